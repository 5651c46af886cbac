"""Whether the state is what the journal leads to, commit by commit without a gap."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.engine import Entry, Problem


def state_problems(
    stored: Iterable[tuple[str, bytes]], entries: Callable[[], Iterator[Entry]], last_seq: int
) -> Iterator[Problem]:
    """Yield where the records `stored` differ from what the commits 1 … `last_seq` lead to.

    `stored` is pinned to the moment of `last_seq`. Keeps one checksum a key in memory.
    """
    expected: dict[str, int] = {}
    seq = 0
    try:
        for entry in entries():
            if entry.seq > last_seq:
                break
            if entry.seq != seq + 1:
                yield Problem("sequence", f"seq:{entry.seq}", f"follows {seq}: commits are missing between them")
            seq = entry.seq
            _apply(expected, entry)
        if seq != last_seq:
            yield Problem("sequence", f"seq:{seq}", f"is the journal's last, {last_seq} were committed")
        yield from _differences(expected, stored)
    except StoreDamaged as damage:
        yield Problem("damage", "", damage.what)


def _apply(expected: dict[str, int], entry: Entry) -> None:
    for key, value in entry.changes.items():
        if value is None:
            expected.pop(key, None)
        else:
            expected[key] = zlib.crc32(value)


def _differences(expected: dict[str, int], stored: Iterable[tuple[str, bytes]]) -> Iterator[Problem]:
    for key, value in stored:
        checksum = expected.pop(key, None)
        if checksum is None:
            yield Problem("state", key, "is in the state, but no commit wrote it")
        elif checksum != zlib.crc32(value):
            yield Problem("state", key, "has another value in the state than the journal gave it")
    for key in expected:
        yield Problem("state", key, "is missing from the state, the journal wrote it")
