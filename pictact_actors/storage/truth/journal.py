"""The journal: what was committed, in order, in numbered segments. It is the truth; the state follows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

from pictact_actors import log
from pictact_actors.errors import CommitFailed, EntriesGone, StorageFull, StoreDamaged
from pictact_actors.model import codec
from pictact_actors.storage.engine import Commit, Entry
from pictact_actors.storage.truth.body import Body, Pairs, changes_of, entries_of
from pictact_actors.storage.truth.position import Position
from pictact_actors.storage.truth.segment import (
    FORMAT_VERSION,
    HEADER_BYTES,
    NO_ROOM,
    Header,
    SegmentFile,
    chain_of,
    pack_frame,
    segment_name,
    sync_directory,
)

_SEGMENTS = "[0-9]" * 10 + ".journal"


class _Position(NamedTuple):
    """The end of what is durable: the last segment's number, the offset behind its last frame, the last commit's seq.

    And the sizes of that segment and of all before it. One value: a reader in another thread sees all of it or nothing.
    """

    number: int
    offset: int
    seq: int
    size: int
    size_before: int


class Closed(NamedTuple):
    """A segment that is full: its header, that of the one behind it, and its disk space."""

    header: Header
    following: Header
    size_bytes: int


class Journal:
    """An append-only log of commit groups. One thread appends; any thread reads `entries`.

    `torn_bytes` follow the last whole frame when it is opened, until `cut_tail` takes them away.
    """

    def __init__(self, directory: Path, store_id: bytes, segment_bytes: int) -> None:
        self._directory = directory
        self._store_id = store_id
        self._segment_bytes = segment_bytes
        self._segment: SegmentFile
        self._end: _Position
        self._chain = store_id
        self._headers: dict[int, Header] = {}
        self._first: Header
        self._removed_bytes = 0
        self._broken: CommitFailed | None = None
        self.ts = 0.0
        self.mark = 0.0
        self.torn_bytes = 0

    @classmethod
    def create(cls, directory: Path, store_id: bytes, segment_bytes: int) -> None:
        """Create an empty journal in a directory of its own, durably."""
        directory.mkdir(exist_ok=True)
        header = Header(FORMAT_VERSION, store_id, 1, 1, 0.0, 0.0, store_id)
        SegmentFile.create(directory / segment_name(1), header, segment_bytes).close()
        sync_directory(directory)
        sync_directory(directory.parent)

    @classmethod
    def open(cls, directory: Path, store_id: bytes, segment_bytes: int) -> Self:
        """Open a journal at its end. Raises `StoreDamaged`; nothing is changed, a torn last frame is still there."""
        journal = cls(directory, store_id, segment_bytes)
        journal._require_contiguous()
        journal._find_end()
        journal._first = journal.header(journal.numbers()[0])
        return journal

    @property
    def seq(self) -> int:
        """The last commit's sequence number."""
        return self._end.seq

    @property
    def first_seq(self) -> int:
        """The sequence number of the oldest commit that is kept, or will be the first."""
        return self._first.first_seq

    @property
    def end(self) -> str:
        """Where the last whole frame ends, for people."""
        return f"byte {self._end.offset} of {self._segment.path}"

    @property
    def position(self) -> Position:
        """Where the last whole frame ends. The appending thread's."""
        end = self._end
        return Position(end.seq, self.ts, self.mark, self._chain, end.number, end.offset)

    def verify(self) -> None:
        """Read all full segments, and compare the end of each with where the next one begins. Raises `StoreDamaged`."""
        for header, following, _ in self.closed():
            with closing(SegmentFile(self.path_of(header.number))) as segment:
                tail, _ = segment.tail(header.chain)
                if following.chain != tail.chain:
                    raise StoreDamaged(f"{segment.path} is broken at byte {tail.end}")

    def cut_tail(self) -> None:
        """Erase a frame that was torn when the journal was left, so that the next one can take its place."""
        if self.torn_bytes:
            self._segment.write(bytes(self.torn_bytes), self._end.offset)
            self._segment.sync()
            log.warning(log.TORN_TAIL_CUT, place=self.end, torn_bytes=self.torn_bytes)

    def append(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        """Write one frame for a group of commits, sync it, and return the last one's sequence number.

        Raises `StorageFull` (cut off again, nothing written) or `CommitFailed` (unknown, give up the journal).
        """
        is_large = any(len(commit.changes) > codec.MAP_PIECE for commit in commits)
        body = (codec.dumps_in_pieces if is_large else codec.dumps)(
            [self.seq + 1, ts, mark, [[commit.cause, commit.request_id, commit.changes] for commit in commits]]
        )
        if self._broken is not None:
            raise self._broken
        frame = pack_frame(body, self._chain)
        self._make_room(len(frame))
        self._write(frame)
        end = self._end
        self._end = _Position(end.number, end.offset + len(frame), end.seq + len(commits), end.size, end.size_before)
        self._chain = chain_of(frame)
        self.ts, self.mark = ts, mark
        return self.seq

    def entries(self, from_seq: int | None = None) -> Iterator[Entry]:
        """Iterate what is durable now, from `from_seq` or the oldest commit on.

        Raises `StoreDamaged` where a frame is broken, and `EntriesGone` if `from_seq` is not kept (any more).
        """
        end, first_seq = self._end, self.first_seq
        if from_seq is not None and from_seq < first_seq:
            raise EntriesGone(from_seq, first_seq)
        return self._entries(from_seq or first_seq, end)

    # -- giving segments up

    def roll(self) -> None:
        """Make what is committed a full segment, if there is something in the last one. The appending thread's.

        Raises `StorageFull`, or `CommitFailed`, as every later `append` does then.
        """
        if self._end.offset > HEADER_BYTES:
            self._begin(self._segment_bytes)

    def closed(self) -> list[Closed]:
        """Return the segments that are full, oldest first."""
        end = self._end
        headers = [self.header(number) for number in self.numbers() if number <= end.number]
        return [
            Closed(header, following, (self._directory / segment_name(header.number)).stat().st_size)
            for header, following in pairwise(headers)
        ]

    def header(self, number: int) -> Header:
        """Return the header of a segment. Raises `StoreDamaged`."""
        header = self._headers.get(number)
        if header is None:
            try:
                with closing(SegmentFile(self._directory / segment_name(number))) as segment:
                    header = segment.header()
            except FileNotFoundError as error:
                raise StoreDamaged(f"{self._directory} lacks segment {segment_name(number)}") from error
            self._require_own(header, number)
            self._headers[number] = header
        return header

    def folded(self, closed: Closed) -> Iterator[Pairs]:
        """Iterate the changes of a full segment, some at a time, checked up to where the following one begins.

        Raises `StoreDamaged`.
        """
        header, following, _ = closed
        seq, chain = header.first_seq - 1, header.chain
        with closing(SegmentFile(self._directory / segment_name(header.number))) as segment:
            for frame in segment.frames(chain):
                yield from changes_of(frame.body, seq + 1)
                seq, chain = Body(frame.body).last_seq, frame.chain
            if (seq + 1, chain) != (following.first_seq, following.chain):
                raise StoreDamaged(f"{segment.path} breaks off after sequence number {seq}")

    def remove(self, seq: int) -> Iterator[int]:
        """Remove the segments in which nothing is younger than `seq`, oldest first and durably; yield their bytes."""
        for header, following, size in self.closed():
            if following.first_seq > seq + 1:
                return
            self._first = following
            (self._directory / segment_name(header.number)).unlink()
            sync_directory(self._directory)
            self._headers.pop(header.number, None)
            self._removed_bytes += size
            yield size

    def numbers(self) -> list[int]:
        """Return the numbers of the segments there are, in order."""
        return sorted(int(path.stem) for path in self._directory.glob(_SEGMENTS))

    def missing(self) -> list[int]:
        """Return the numbers of the segments that should be there, and are not."""
        there = set(self.numbers())
        return [number for number in range(self._first.number, self._end.number) if number not in there]

    def path_of(self, number: int) -> Path:
        """Return the path of a segment."""
        return self._directory / segment_name(number)

    def size_bytes(self) -> int:
        """Disk space of all segments. Counted, not measured."""
        end = self._end
        return end.size_before + end.size - self._removed_bytes

    def closed_bytes(self) -> int:
        """Disk space of the segments that are full."""
        return self._end.size_before - self._removed_bytes

    def written_bytes(self) -> int:
        """Return a count that grows with every byte that is appended."""
        end = self._end
        return end.size_before + end.offset

    def close(self) -> None:
        """Close the last segment."""
        self._segment.close()

    def _require_contiguous(self) -> None:
        for path in self._directory.glob("*.new"):
            path.unlink()
        numbers = self.numbers()
        if not numbers:
            raise StoreDamaged(f"{self._directory} has no segments")
        for before, number in pairwise(numbers):
            if number != before + 1:
                raise StoreDamaged(f"{self._directory} lacks segment {segment_name(before + 1)}")

    def _find_end(self) -> None:
        number = self.numbers()[-1]
        self._segment = SegmentFile(self._directory / segment_name(number), writable=True)
        try:
            header = self._segment.header()
            self._require_own(header, number)
            tail, last = self._segment.tail(header.chain)
        except BaseException:
            self._segment.close()
            raise
        seq, self.ts, self.mark = header.first_seq - 1, header.ts, header.mark
        if last is not None:
            body = Body(last.body)
            seq, self.ts, self.mark = body.last_seq, body.ts, body.mark
        size = self._segment.size
        total = sum(path.stat().st_size for path in self._directory.glob(_SEGMENTS))
        self._end = _Position(number, tail.end, seq, size, total - size)
        self._chain = tail.chain
        self.torn_bytes = tail.torn_bytes

    def _make_room(self, frame_bytes: int) -> None:
        if self._end.offset + frame_bytes > self._segment.size:
            self._begin(max(self._segment_bytes, HEADER_BYTES + frame_bytes))

    def _begin(self, size: int) -> None:
        """Go on in another segment."""
        number = self._end.number + 1
        header = Header(FORMAT_VERSION, self._store_id, number, self.seq + 1, self.ts, self.mark, self._chain)
        try:
            rolled = SegmentFile.create(self._directory / segment_name(number), header, size)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise StorageFull(str(error)) from error
            raise CommitFailed(f"no new journal segment: {error}") from error
        self._segment.close()
        before = self._end
        self._segment = rolled
        self._end = _Position(number, HEADER_BYTES, before.seq, rolled.size, before.size_before + before.size)
        try:
            sync_directory(self._directory)
        except OSError as error:  # a crash may leave it or not: writing on in the one before would fork the journal
            self._broken = CommitFailed(f"no new journal segment: {error}")
            raise self._broken from error

    def _write(self, frame: bytes) -> None:
        at = self._end.offset
        try:
            self._segment.write(frame, at)
        except OSError as error:
            self._erase(at, len(frame), error)
            if error.errno in NO_ROOM:
                raise StorageFull(str(error)) from error
            raise CommitFailed(f"journal write: {error}") from error
        try:
            self._segment.sync()
        except OSError as error:
            raise CommitFailed(f"journal sync: {error}") from error

    def _erase(self, at: int, size: int, cause: OSError) -> None:
        """Take back what a failed write may have left, so that it cannot appear after a crash."""
        try:
            self._segment.write(bytes(size), at)
            self._segment.sync()
        except OSError as error:
            raise CommitFailed(f"journal write: {cause}; taking it back: {error}") from error

    def _require_own(self, header: Header, number: int) -> None:
        if header.store_id != self._store_id or header.number != number:
            raise StoreDamaged(f"{segment_name(number)} belongs to another store or place")

    def _entries(self, from_seq: int, end: _Position) -> Iterator[Entry]:
        try:
            yield from self._entries_kept(from_seq, end)
        except FileNotFoundError as error:
            if from_seq < self.first_seq:  # it was slower than what is given up behind it
                raise EntriesGone(from_seq, self.first_seq) from error
            raise StoreDamaged(f"{self._directory} lacks a segment: {error}") from error

    def _entries_kept(self, from_seq: int, end: _Position) -> Iterator[Entry]:
        seq, chain, place = 0, b"", str(self._directory)
        for number in self._numbers_from(from_seq, end.number):
            with closing(SegmentFile(self._directory / segment_name(number))) as segment:
                header = segment.header()
                self._require_own(header, number)
                if chain and (header.first_seq, header.chain) != (seq + 1, chain):
                    raise StoreDamaged(f"{place} breaks off, or {segment.path} is not the segment that follows it")
                seq, chain, at = header.first_seq - 1, header.chain, HEADER_BYTES
                for frame in segment.frames(chain, end=end.offset if number == end.number else None):
                    for entry in entries_of(frame.body, seq + 1):
                        seq = entry.seq
                        if seq >= from_seq:
                            yield entry
                    chain, at = frame.chain, frame.end
                place = f"{segment.path} at byte {at}"
        if seq != end.seq:
            raise StoreDamaged(f"{place} breaks off after sequence number {seq}, {end.seq} were committed")

    def _numbers_from(self, from_seq: int, last: int) -> list[int]:
        """Return the segments from the one that holds `from_seq`, found by their headers."""
        numbers = [number for number in self.numbers() if number <= last]
        low, high = 0, len(numbers) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._first_seq(numbers[middle]) <= from_seq:
                low = middle
            else:
                high = middle - 1
        return numbers[low:]

    def _first_seq(self, number: int) -> int:
        with closing(SegmentFile(self._directory / segment_name(number))) as segment:
            return segment.header().first_seq
