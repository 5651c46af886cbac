"""Scrubbing: everything that is stored is read again at a slow pace, and compared.

    1. the layers of the base, and the segments of the journal that are full, frame by frame, against their chains
    2. the state, one part of the base at a time, against what base and journal lead to

A part is compared as of one moment, and pinned no longer than that takes. What came after the parts is kept in memory
as a checksum a key: from the runs first, then from the journal, which is read on up to the moment of each part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.check import Written, checksum, differences
from pictact_actors.storage.engine import Problem
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.bookmark import JournalBookmark
from pictact_actors.storage.truth.stack import Tile
from pictact_actors.storage.truth.truth import Truth

Pace = Callable[[int], None]
"""Told how many bytes were read; comes back when more may be read, or raises to end it."""
Suspect = Callable[[str], None]
"""Told what is damaged of base and journal."""
_COMMITS = 256


class Scrub:
    """One pass over a store that goes on meanwhile. One thread's."""

    def __init__(self, truth: Truth, state: State, pace: Pace, suspect: Suspect) -> None:
        self._truth = truth
        self._state = state
        self._pace = pace
        self._suspect = suspect
        self._seq = 0
        self._low: str | None = ""
        self._latest = Written()

    def problems(self) -> Iterator[Problem]:
        """Read everything once; yield what is wrong. Raises `EntriesGone` if it is slower than what is given up."""
        found = list(self._read_truth())
        yield from found
        if found:
            self._suspect(found[0].detail)
            return  # what the state is compared with
        try:
            yield from self._compare_state()
        except StoreDamaged as damage:
            yield Problem("damage", "", damage.what)

    def _read_truth(self) -> Iterator[Problem]:
        for _, reading in self._truth.files():
            try:
                for size_bytes in reading:
                    self._pace(size_bytes)
            except StoreDamaged as damage:
                yield Problem("damage", "", damage.what)

    def _compare_state(self) -> Iterator[Problem]:
        stack = self._truth.base.stack
        pin = self._truth.base.pin()
        for run in stack.runs:
            for pairs in run.frames():
                self._note(pairs.items())
        del pin
        journal = JournalBookmark(self._truth.journal, stack.seq + 1, lambda: self._seq)
        while self._low is not None:
            pin, stack = self._truth.base.pin(), self._truth.base.stack
            tile = next((tile for tile in stack.tiles if tile.high is None or self._low < tile.high), None)
            self._seq, stored = self._state.pinned(self._low)
            while entries := journal.read(_COMMITS):
                for entry in entries:
                    self._note(entry.changes.items())
            yield from self._compare(tile, stored)
            del pin

    def _compare(self, tile: Tile | None, stored: Iterable[tuple[str, bytes]]) -> Iterator[Problem]:
        """Compare the state from `_low` on, to the end of a part or of everything."""
        low, high = self._low or "", None if tile is None else tile.high
        written = self._latest_below(high)
        old = () if tile is None else (pair for pair in _values(tile.frames()) if pair[0] >= low)
        here = takewhile(lambda pair: high is None or pair[0] < high, stored)
        yield from differences(written, self._paced(old), self._paced(here))
        self._low = high

    def _latest_below(self, high: str | None) -> Written:
        """Take out what was noted of the keys before one."""
        if high is None:
            written, self._latest = self._latest, Written()
            return written
        written = Written()
        for key in list(self._latest):
            if key < high:
                written[key] = self._latest.pop(key)
        return written

    def _note(self, changes: Iterable[tuple[str, bytes | None]]) -> None:
        size_bytes = 0
        for key, value in changes:
            size_bytes += len(key) + len(value or b"")
            if self._low is not None and key >= self._low:
                self._latest[key] = checksum(value)
        self._pace(size_bytes)

    def _paced(self, pairs: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        for pair in pairs:
            yield pair
            self._pace(len(pair[0]) + len(pair[1]))


def _values(frames: Iterable[dict[str, bytes | None]]) -> Iterator[tuple[str, bytes]]:
    for pairs in frames:
        for key, value in pairs.items():
            if value is not None:
                yield key, value
