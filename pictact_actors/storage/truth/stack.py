"""What the layers of a base amount to, one above the other.

    part = a layer from commit 1 on: what all of them led to, in a range of the keys
    run  = a layer from a later commit on: what changed, over all keys

The parts tile the keys. Where several cover a key, the one with the highest number counts: an interrupted merge leaves
that behind. Above the parts the runs follow each other without a gap. What is below something newer is left over.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.merge import merged
from pictact_actors.storage.truth.layer import Layer, Next, Pair


class Tile(NamedTuple):
    """The range of keys in which a part counts: `low` <= key < `high` (None: to the end)."""

    part: Layer
    low: str
    high: str | None

    def frames(self) -> Iterator[dict[str, bytes | None]]:
        """Iterate what is in it, frame by frame."""
        whole = (self.low, self.high) == self.part.covers[2:]
        for pairs in self.part.frames():
            yield pairs if whole else {key: pairs[key] for key in pairs if _covers(self.low, self.high, key)}


class Stack(NamedTuple):
    """The layers that count, in the order in which they lie, and those that are left over."""

    tiles: tuple[Tile, ...] = ()
    runs: tuple[Layer, ...] = ()
    left_over: tuple[Layer, ...] = ()

    @property
    def seq(self) -> int:
        """The last commit whose changes are in it."""
        return self.runs[-1].last_seq if self.runs else self.part_seq

    @property
    def part_seq(self) -> int:
        """The last commit whose changes are in all of its parts."""
        return min((tile.part.last_seq for tile in self.tiles), default=0)

    @property
    def next(self) -> Next | None:
        """The journal segment that follows it; None if nothing is in it."""
        layers = self.runs[-1:] or [tile.part for tile in self.tiles]
        return min((layer.covers.next for layer in layers), default=None)

    @property
    def runs_bytes(self) -> int:
        """Disk space of the runs."""
        return sum(run.size_bytes for run in self.runs)

    @property
    def parts_bytes(self) -> int:
        """Disk space of the parts."""
        return sum(tile.part.size_bytes for tile in self.tiles)

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers that count."""
        return (*dict.fromkeys(tile.part for tile in self.tiles), *self.runs)

    def reaches(self, seq: int) -> bool:
        """Whether the runs lead on from what holds the commits up to `seq`."""
        return seq >= self.part_seq

    def pairs(self) -> Iterator[tuple[str, bytes]]:
        """Iterate every record at `seq`, in key order. Raises `StoreDamaged`."""
        return merged(self._parts(), latest(self.runs))

    def _parts(self) -> Iterator[tuple[str, bytes]]:
        for pairs in chain.from_iterable(tile.frames() for tile in self.tiles):
            for key, value in pairs.items():
                if value is not None:
                    yield key, value


def latest(runs: Sequence[Layer]) -> Iterator[Pair]:
    """Merge runs, oldest first; the value of the latest one counts."""
    if len(runs) == 1:
        yield from runs[0].pairs()
        return
    last = None
    for key, _, value in heapq.merge(*(_ranked(run, -place) for place, run in enumerate(runs))):
        if key != last:
            last = key
            yield key, value


def stacked(layers: Sequence[Layer]) -> Stack:
    """Find out how layers lie on each other. Raises `StoreDamaged` if some are missing."""
    parts = [layer for layer in layers if layer.first_seq == 1]
    tiles = tuple(_tiles(parts))
    stack = Stack(tiles)
    runs: list[Layer] = []
    seq = stack.part_seq
    for run in sorted((layer for layer in layers if layer.first_seq > 1), key=lambda run: run.first_seq):
        if run.last_seq <= seq:
            continue
        if run.first_seq > seq + 1:
            raise StoreDamaged(f"{run.path.parent} lacks the commits {seq + 1} to {run.first_seq - 1}")
        runs.append(run)
        seq = run.last_seq
    counted = {tile.part.number for tile in tiles} | {run.number for run in runs}
    return Stack(tiles, tuple(runs), tuple(layer for layer in layers if layer.number not in counted))


def _tiles(parts: Sequence[Layer]) -> Iterator[Tile]:
    """Sweep over the keys from low to high; at each the newest part counts."""
    ordered = sorted(parts, key=lambda part: part.covers.low)
    covering: list[tuple[int, Layer]] = []
    place = 0
    at: str | None = "" if ordered else None
    while at is not None:
        while place < len(ordered) and ordered[place].covers.low <= at:
            heapq.heappush(covering, (-ordered[place].number, ordered[place]))
            place += 1
        while covering and not _covers("", covering[0][1].covers.high, at):
            heapq.heappop(covering)
        if not covering:
            raise StoreDamaged(f"{ordered[0].path.parent} lacks the keys from {at!r}")
        newest = covering[0][1]
        end = _end_of(newest, ordered, place)
        yield Tile(newest, at, end)
        at = end


def _end_of(newest: Layer, ordered: Sequence[Layer], place: int) -> str | None:
    """Return where a part ends or a newer one begins, which is not before `place`."""
    high = newest.covers.high
    while place < len(ordered) and _covers("", high, ordered[place].covers.low):
        if ordered[place].number > newest.number:
            return ordered[place].covers.low
        place += 1
    return high


def _covers(low: str, high: str | None, key: str) -> bool:
    return low <= key and (high is None or key < high)


def _ranked(run: Layer, rank: int) -> Iterator[tuple[str, int, bytes | None]]:
    return ((key, rank, value) for key, value in run.pairs())
