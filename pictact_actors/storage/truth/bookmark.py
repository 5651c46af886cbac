"""A bookmark in the journal: a place between two commits, from which one reads on.

    number, at, chain    the segment, the byte in it at which the next frame begins, and what that frame must carry
    seq                  the last commit before it

It remembers its place and not more: no file is open between two reads, and none is kept from being removed. So any
number of readers costs the journal nothing, however slow they are; one that falls behind what is given up learns it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from pictact_actors.errors import EntriesGone, StoreDamaged
from pictact_actors.storage.engine import Entry
from pictact_actors.storage.truth.body import entries_of
from pictact_actors.storage.truth.journal import Journal
from pictact_actors.storage.truth.segment import HEADER_BYTES, Header, SegmentFile


class _Place(NamedTuple):
    number: int
    at: int
    chain: bytes
    seq: int


class JournalBookmark:
    """Reads a journal commit by commit, up to what is published. One thread at a time."""

    def __init__(self, journal: Journal, from_seq: int, published: Callable[[], int]) -> None:
        """Look for no place yet: that is what the first read does. Raises `EntriesGone`."""
        self._journal = journal
        self._published = published
        self._seq = from_seq - 1
        self._place: _Place | None = None
        self._require_kept(None)

    def read(self, count: int) -> list[Entry]:
        """Return the published commits that follow, `count` or somewhat more: the rest of a frame's.

        Raises `EntriesGone` if the next one is not kept any more, `StoreDamaged` where the journal is broken.
        """
        last_seq = self._published()
        found: list[Entry] = []
        try:
            while self._seq < last_seq and len(found) < count:
                self._read_segment(found, last_seq, count)
        except StoreDamaged as error:
            if not found:  # otherwise those are whole, and what is wrong behind them is said the next time
                self._require_kept(error)
                raise
        return found

    def _read_segment(self, found: list[Entry], last_seq: int, count: int) -> None:
        """Read on in one segment, up to its end if need be."""
        place = self._place or self._first_place()
        try:
            opened = SegmentFile(self._journal.path_of(place.number))
        except FileNotFoundError:  # given up meanwhile, which is none of our business if all of it was read
            self._place = self._place_behind(place)
            return
        with closing(opened) as segment:
            while self._seq < last_seq and len(found) < count:
                frame = segment.frame(place.at, place.chain)
                if frame is None:
                    self._place = self._place_behind(place)
                    return
                entries = list(entries_of(frame.body, place.seq + 1))
                found += [entry for entry in entries if entry.seq > self._seq]
                self._place = place = _Place(place.number, frame.end, frame.chain, place.seq + len(entries))
                self._seq = max(self._seq, place.seq)

    def _first_place(self) -> _Place:
        """Return the beginning of the segment that the next commit is in."""
        numbers = self._journal.numbers()
        following = bisect_right(numbers, self._seq + 1, key=lambda number: self._journal.header(number).first_seq)
        if not following:
            raise StoreDamaged(f"the journal lacks commit {self._seq + 1}")
        return _beginning(self._journal.header(numbers[following - 1]))

    def _place_behind(self, place: _Place) -> _Place:
        """Return the beginning of the segment behind the one that ends here."""
        path = self._journal.path_of(place.number)
        try:
            header = self._journal.header(place.number + 1)
        except StoreDamaged as error:
            raise StoreDamaged(f"{path} breaks off at byte {place.at}, after commit {place.seq}") from error
        if (header.first_seq, header.chain) != (place.seq + 1, place.chain):
            raise StoreDamaged(f"{path} breaks off at byte {place.at}, commit {header.first_seq} does not follow it")
        return _beginning(header)

    def _require_kept(self, cause: Exception | None) -> None:
        first_seq = self._journal.first_seq
        if self._seq + 1 < first_seq:
            raise EntriesGone(self._seq + 1, first_seq) from cause


def _beginning(header: Header) -> _Place:
    return _Place(header.number, HEADER_BYTES, header.chain, header.first_seq - 1)
