"""Whether the state is what base and journal lead to, commit by commit without a gap."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from pictact_actors.errors import StoreDamaged
from pictact_actors.model.keys import COUNTED
from pictact_actors.storage.engine import Entry, Problem
from pictact_actors.storage.merge import Scattered

Stored = Iterable[tuple[str, bytes]]
Written = Scattered[int | None]
"""The checksum of each key's last value; None if it was deleted."""


def state_problems(
    stored: Stored, entries: Callable[[], Iterator[Entry]], last_seq: int, base: Stored = (), base_seq: int = 0
) -> Iterator[Problem]:
    """Yield where the records `stored` differ from what the commits 1 … `last_seq` lead to.

    `stored` is pinned to the moment of `last_seq`, `base` is what the commits up to `base_seq` led to, both in key
    order; `entries` gives the commits behind it. Keeps one checksum in memory for each key that those wrote.
    """
    written = Written()
    seq = base_seq
    try:
        for entry in entries():
            if entry.seq > last_seq:
                break
            if entry.seq != seq + 1:
                yield Problem("sequence", f"seq:{entry.seq}", f"follows {seq}: commits are missing between them")
            seq = entry.seq
            for key, value in entry.changes.items():
                written[key] = checksum(value)
        if seq != last_seq:
            yield Problem("sequence", f"seq:{seq}", f"is the journal's last, {last_seq} were committed")
        yield from differences(written, base, stored)
    except StoreDamaged as damage:
        yield Problem("damage", "", damage.what)


def checksum(value: bytes | None) -> int | None:
    """Return what is remembered of a value."""
    return None if value is None else zlib.crc32(value)


def differences(written: Written, base: Stored, stored: Stored) -> Iterator[Problem]:
    """Yield where what is stored differs from the base with what was `written` after it, of the same range of keys."""
    for key, old, value in _side_by_side(base, stored):
        expected = written.pop(key) if key in written else checksum(old)
        found = checksum(value)
        if found is None and expected is not None:
            yield Problem("state", key, "is missing from the state, the journal wrote it")
        elif expected is None and found is not None:
            yield Problem("state", key, "is in the state, but no commit wrote it")
        elif expected != found:
            yield Problem("state", key, "has another value in the state than the journal gave it")
    for key, expected in written.items():
        if expected is not None:
            yield Problem("state", key, "is missing from the state, the journal wrote it")


def _side_by_side(base: Stored, stored: Stored) -> Iterator[tuple[str, bytes | None, bytes | None]]:
    """Merge two sources in key order; None where one does not have a key."""
    waiting = iter(base)
    older = next(waiting, None)
    for key, value in stored:
        while older is not None and older[0] < key:
            yield older[0], older[1], None
            older = next(waiting, None)
        if older is not None and older[0] == key:
            yield key, older[1], value
            older = next(waiting, None)
        else:
            yield key, None, value
    while older is not None:
        yield older[0], older[1], None
        older = next(waiting, None)


class Recount:
    """Whether the counts of counted keys are right: it counts what passes by while something else is compared."""

    def __init__(self, chunks: Sequence[tuple[str, int]]) -> None:
        self._chunks = chunks
        self._starts = [start for start, _ in chunks]
        self._found = [0] * len(chunks)
        self._complete = False

    def along(self, stored: Stored) -> Iterator[tuple[str, bytes]]:
        """Pass on everything that is stored, of the same moment as the counts."""
        for pair in stored:
            if pair[0].startswith(COUNTED):
                self._found[bisect_right(self._starts, pair[0]) - 1] += 1
            yield pair
        self._complete = True

    def problems(self) -> Iterator[Problem]:
        """Yield where the counts differ from what passed by, if all of it did."""
        for (start, count), found in zip(self._chunks, self._found, strict=True):
            if self._complete and count != found:
                yield Problem("count", start, f"begins a chunk of {found} keys that counts as {count}")
