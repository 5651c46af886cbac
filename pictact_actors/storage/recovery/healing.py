"""Healing base and journal from the state, when one of their files is damaged and the state has all that was committed.

    healed.new      being written; worth nothing
    healed          complete and durable: its base/ and journal/ take the place of the damaged ones

The new base holds every record as one part or several, the new journal one empty segment that goes on behind the last
commit. Each step of the exchange can be repeated, so a crash at any moment leaves what can be finished. The commits
themselves are only in what was put aside then, and in backups.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pictact_actors.storage.state.rebuilding import PutAside
from pictact_actors.storage.truth.layer import Covers, LayerWriter, Next
from pictact_actors.storage.truth.position import Position
from pictact_actors.storage.truth.segment import FORMAT_VERSION, Header, SegmentFile, segment_name, sync_directory

NEW, HEALED = NAMES = ("healed.new", "healed")
_PARTS = ("base", "journal")
_PAIRS = Iterable[tuple[str, bytes]]


def heal(root: Path, store_id: bytes, position: Position, pairs: _PAIRS, segment_bytes: int, part_bytes: int) -> None:
    """Write base and journal anew from every record, in key order, as of a position; `finish` puts them in place.

    Raises `OSError` when there is no room, and what reading the records raises; nothing is changed then.
    """
    new = root / NEW
    shutil.rmtree(new, ignore_errors=True)
    for part in _PARTS:
        (new / part).mkdir(parents=True)
    number = max(position.number, *_numbers(root / "journal", "journal")) + 1
    follows = Next(number, position.seq + 1, position.ts, position.mark, position.chain)
    _write_base(new / "base", max(0, *_numbers(root / "base", "layer")) + 1, store_id, follows, pairs, part_bytes)
    header = Header(FORMAT_VERSION, store_id, number, position.seq + 1, position.ts, position.mark, position.chain)
    SegmentFile.create(new / "journal" / segment_name(number), header, segment_bytes).close()
    for part in (*_PARTS, "."):
        sync_directory(new / part)
    new.rename(root / HEALED)
    sync_directory(root)


def finish(root: Path, keep: PutAside) -> bool:
    """Put what was healed in the place of what was damaged, and that aside; say whether there was something."""
    healed = root / HEALED
    shutil.rmtree(root / NEW, ignore_errors=True)
    if not healed.exists():
        return False
    for part in _PARTS:
        if (healed / part).exists():
            if (root / part).exists():
                keep(root / part)
            (healed / part).rename(root / part)
            sync_directory(root)
            sync_directory(healed)
    healed.rmdir()
    sync_directory(root)
    return True


def _write_base(directory: Path, number: int, store_id: bytes, follows: Next, pairs: _PAIRS, part_bytes: int) -> None:
    waiting = iter(pairs)
    low: str | None = ""
    while low is not None:
        low = _write_part(LayerWriter(directory, number, store_id), follows, low, waiting, part_bytes)
        number += 1


def _write_part(
    writer: LayerWriter, follows: Next, low: str, waiting: Iterator[tuple[str, bytes]], part_bytes: int
) -> str | None:
    """Write the part that begins at `low`; return where the next one begins."""
    high: str | None = None
    try:
        for key, value in waiting:
            writer.add(key, value)
            if writer.size_bytes >= part_bytes:
                high = key + "\0"
                break
        for _ in writer.finish(Covers(1, follows, low, high)):
            pass
    finally:
        writer.abandon()
    return high


def _numbers(directory: Path, suffix: str) -> list[int]:
    """Return the numbers of all files there are, also of damaged ones."""
    return [0, *(int(path.stem) for path in directory.glob(f"*.{suffix}") if path.stem.isdecimal())]
