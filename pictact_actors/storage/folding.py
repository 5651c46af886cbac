"""Giving space back: the journal's oldest segments are folded into the base, the base's runs into its parts.

    fold      a full segment -> a run: the last value of each key in it, in key order; then the segment goes
    merge     runs and parts -> new parts, each as large as a segment; what it replaces goes as soon as it is there
    compact   LevelDB gives back what was deleted, one range of keys after the other

All of it goes in steps of a few milliseconds, and whoever runs it decides how long to pause between them. It can be
left for ever at any step, by a crash too: what is durable by then is in one piece, and what is left over goes the next
time. Merging needs room for one part and one run, or as many as there is room for, not for another copy of everything;
memory is bounded by a segment.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator
from itertools import accumulate
from math import inf
from pathlib import Path

from pictact_actors import log
from pictact_actors.config import StoreConfig
from pictact_actors.errors import StorageFull
from pictact_actors.storage.merge import Scattered, sorted_pieces
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.base import Base
from pictact_actors.storage.truth.journal import Closed, Journal
from pictact_actors.storage.truth.layer import Covers, Layer, LayerWriter, Next
from pictact_actors.storage.truth.stack import Stack
from pictact_actors.storage.usage import size_of

PART_BYTES_MIN = 64 * 1024
"""A part is as large as a segment, but no smaller."""
FLOOR_PARTS = 2
"""Room for so many parts is left to giving space back when there is hardly any."""
_RUNS_MAX = 64
"""Runs that lie on the base at the most: all of them are open during a merge."""
_PAIRS = 128
"""Pairs of a step."""
_BLOAT = 1.25
"""LevelDB is compacted when it takes so many times the space of the same records in the base, and some buffers."""
_BLOAT_BUFFERS = 4
_SETTLE_S = 10.0


Keep = Callable[[Closed, Path], Iterator[None]]
"""Called with a segment and its file before the journal gives it up: a chance to copy it, step by step."""


def keep_nothing(_closed: Closed, _path: Path) -> Iterator[None]:
    """Copy nothing."""
    return iter(())


class Folding:
    """What gives space back. One thread at a time runs `reclaim`."""

    def __init__(
        self,
        journal: Journal,
        base: Base,
        state: State,
        state_directory: Path,
        room_bytes: Callable[[], float],
        config: StoreConfig,
        keep: Keep = keep_nothing,
    ) -> None:
        self._keep = keep
        self._room = room_bytes
        self._journal = journal
        self._base = base
        self._state = state
        self._state_directory = state_directory
        self._journal_bytes_max = config.kept_journal_bytes
        self._part_bytes = max(config.segment_bytes, PART_BYTES_MIN)
        self._buffer_bytes = config.buffer_bytes
        self._compacted_bytes = 0

    def reclaim(self, *, urgent: bool) -> Generator[None, None, None]:
        """Give back what is worth it; `urgent`: all there is. Raises `StorageFull`, `OSError`, `StoreDamaged`."""
        yield from self._clear()
        if urgent or self._journal.closed_bytes() > self._journal_bytes_max:
            yield from self._fold(0 if urgent else self._journal_bytes_max // 2)
        stack = self._base.stack
        worth_it = stack.runs_bytes > max(self._journal_bytes_max, stack.parts_bytes) // 2
        if stack.runs and (urgent or worth_it or len(stack.runs) >= _RUNS_MAX):
            yield from self._merge()
            yield from self._compact(urgent=urgent)

    def _clear(self) -> Iterator[None]:
        """Remove what base or journal hold twice, unless somebody reads it."""
        self._base.clear()
        yield
        removal = self._journal.remove(self._base.seq)
        removed = 0
        while True:
            with self._base.removing() as may:
                size = next(removal, 0) if may else 0
            if not size:
                break
            removed += size
            yield
        if removed:
            log.info(log.JOURNAL_SHORTENED, first_seq=self._journal.first_seq, removed_bytes=removed)

    # -- journal to runs

    def _fold(self, keep_bytes: int) -> Iterator[None]:
        """Fold the oldest full segments until the rest of them is small enough."""
        waiting = [closed for closed in self._journal.closed() if closed.header.first_seq > self._base.seq]
        left_bytes = sum(closed.size_bytes for closed in waiting)
        for closed in waiting:
            if left_bytes <= keep_bytes:
                return
            self._require_room(closed.size_bytes)
            yield from self._fold_one(closed)
            yield from self._clear()
            left_bytes -= closed.size_bytes
            if len(self._base.stack.runs) >= _RUNS_MAX:
                yield from self._merge()

    def _fold_one(self, closed: Closed) -> Iterator[None]:
        """Write the last values of a segment as a run; they are held in memory meanwhile."""
        yield from self._keep(closed, self._journal.path_of(closed.header.number))
        latest: Scattered[bytes | None] = Scattered()
        for changed in self._journal.folded(closed):
            for key, value in changed:
                latest[key] = value
            yield
        following = closed.following
        follows = Next(following.number, following.first_seq, following.ts, following.mark, following.chain)
        pairs = ((key, latest[key]) for key in heapq.merge(*(yield from sorted_pieces(list(latest)))))
        layer = yield from self._write(pairs, Covers(closed.header.first_seq, follows))
        self._base.add(layer)
        log.info(log.JOURNAL_FOLDED, seq=layer.last_seq, keys=layer.count, size_bytes=layer.size_bytes)

    def _write(self, pairs: Iterator[tuple[str, bytes | None]], covers: Covers) -> Generator[None, None, Layer]:
        writer = self._base.begin()
        try:
            yield from _filled(writer, pairs)
            return (yield from writer.finish(covers))
        finally:
            writer.abandon()

    # -- runs to parts

    def _merge(self) -> Iterator[None]:
        """Write the parts anew with what is in the runs: with all of them, or as many at a time as there is room for.

        A state that does not know the runs cannot be brought forward any more afterwards, only built anew. So it has
        to have them first, unless it has no room for that itself.
        """
        if not self._state.settle(self._base.seq, _SETTLE_S) and self._state.failure is None:
            raise StorageFull("the state is not up to date")
        while self._base.stack.runs:
            yield from self._merge_some(self._fitting(self._base.stack))
            yield from self._clear()

    def _fitting(self, stack: Stack) -> Stack:
        """Return a stack of all parts and the oldest runs: the parts may grow by them before they go."""
        room = self._room() - self._part_bytes
        grown = list(accumulate(run.size_bytes for run in stack.runs))
        fitting = bisect_right(grown, room)
        if not fitting:
            self._require_room(grown[0] + self._part_bytes)
        return stack._replace(runs=stack.runs[: max(1, fitting)])

    def _merge_some(self, stack: Stack) -> Iterator[None]:
        if stack.next is None:
            return
        pairs = stack.pairs()
        low: str | None = ""
        while low is not None:
            low = yield from self._write_part(pairs, stack.next, low)
            self._base.clear()
        merged = self._base.stack
        log.info(log.BASE_MERGED, seq=merged.part_seq, parts=len(merged.tiles), size_bytes=merged.parts_bytes)

    def _write_part(
        self, pairs: Iterator[tuple[str, bytes]], follows: Next, low: str
    ) -> Generator[None, None, str | None]:
        """Write the part that begins at `low`; return where the next one begins."""
        writer = self._base.begin()
        try:
            high = yield from _filled(writer, pairs, self._part_bytes)
            part = yield from writer.finish(Covers(1, follows, low, high))
        finally:
            writer.abandon()
        self._base.add(part)
        return high

    def _require_room(self, size_bytes: int) -> None:
        """Raise `StorageFull` if there is less room: better nothing is begun than that nothing is left."""
        if self._room() < size_bytes:
            raise StorageFull(f"giving space back needs {size_bytes:,} bytes first")

    # -- the state to parts

    def restate(self, follows: Next, pairs: Iterator[tuple[str, bytes]]) -> Iterator[None]:
        """Write all parts anew from the records of the moment before a segment; what they replace goes later."""
        self._require_room(self._base.stack.parts_bytes + self._part_bytes)
        for closed in self._journal.closed():
            yield from self._keep(closed, self._journal.path_of(closed.header.number))
        low: str | None = ""
        while low is not None:
            low = yield from self._write_part(pairs, follows, low)

    # -- LevelDB

    def _compact(self, *, urgent: bool) -> Iterator[None]:
        stack, size_bytes = self._base.stack, size_of(self._state_directory)
        bloated = size_bytes > stack.parts_bytes * _BLOAT + self._buffer_bytes * _BLOAT_BUFFERS
        if not urgent and (not bloated or size_bytes <= self._compacted_bytes * _BLOAT):
            return
        for tile in stack.tiles:
            self._state.compact(tile.low, tile.high)
            yield
        self._compacted_bytes = size_of(self._state_directory)
        log.info(log.STATE_COMPACTED, before_bytes=size_bytes, size_bytes=self._compacted_bytes)


def _filled(
    writer: LayerWriter, pairs: Iterator[tuple[str, bytes | None]] | Iterator[tuple[str, bytes]], bytes_max: float = inf
) -> Generator[None, None, str | None]:
    """Write pairs to a layer, step by step, until it is so large; return where the rest begins, None if all went in."""
    for count, (key, value) in enumerate(pairs):
        writer.add(key, value)
        if not count % _PAIRS:
            yield
        if writer.size_bytes >= bytes_max:
            return key + "\0"
    return None
