"""The journal: what was committed, in order, in numbered segments. It is the truth; the state follows it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

from pictact_actors import log
from pictact_actors.errors import CommitFailed, StorageFull, StoreDamaged
from pictact_actors.model import codec
from pictact_actors.storage.engine import Commit, Entry
from pictact_actors.storage.segment import (
    FORMAT_VERSION,
    HEADER_BYTES,
    Header,
    SegmentFile,
    chain_of,
    pack_frame,
    segment_name,
    sync_directory,
)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _Position(NamedTuple):
    """The end of what is durable: the last segment's number, and the offset behind its last frame."""

    number: int
    offset: int


class Journal:
    """An append-only log of commit groups. One thread appends; any thread reads `entries`."""

    def __init__(self, directory: Path, store_id: bytes, segment_bytes: int) -> None:
        self._directory = directory
        self._store_id = store_id
        self._segment_bytes = segment_bytes
        self._segment: SegmentFile
        self._end: _Position
        self._chain = store_id
        self.seq = 0
        self.ts = 0.0
        self.mark = 0.0
        self.torn_bytes = 0

    @classmethod
    def create(cls, directory: Path, store_id: bytes, segment_bytes: int) -> None:
        """Create an empty journal in a directory of its own, durably."""
        directory.mkdir(exist_ok=True)
        header = Header(FORMAT_VERSION, store_id, 1, 1, 0.0, 0.0, store_id)
        SegmentFile.create(directory / segment_name(1), header, segment_bytes).close()
        sync_directory(directory.parent)

    @classmethod
    def open(cls, directory: Path, store_id: bytes, segment_bytes: int) -> Self:
        """Open a journal at its end; a torn last frame is cut. Raises `StoreDamaged`."""
        journal = cls(directory, store_id, segment_bytes)
        journal._require_contiguous()
        journal._find_end()
        return journal

    def append(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        """Write one frame for a group of commits, sync it, and return the last one's sequence number.

        Raises `StorageFull` (cut off again, nothing written) or `CommitFailed` (unknown, give up the journal).
        """
        body = codec.dumps(
            [self.seq + 1, ts, mark, [[commit.cause, commit.request_id, commit.changes] for commit in commits]]
        )
        frame = pack_frame(body, self._chain)
        self._make_room(len(frame))
        self._write(frame)
        self._end = _Position(self._end.number, self._end.offset + len(frame))
        self._chain = chain_of(frame)
        self.seq += len(commits)
        self.ts, self.mark = ts, mark
        return self.seq

    def entries(self, from_seq: int = 1) -> Iterator[Entry]:
        """Iterate what is durable now, from `from_seq` on. Raises `StoreDamaged` where a frame is broken."""
        return self._entries(from_seq, self._end, self.seq)

    def numbers(self) -> list[int]:
        """Return the numbers of the segments there are, in order."""
        return sorted(int(path.stem) for path in self._directory.glob("*.journal"))

    def size_bytes(self) -> int:
        """Disk space of all segments."""
        return sum(path.stat().st_size for path in self._directory.glob("*.journal"))

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
        header = self._segment.header()
        self._require_own(header, number)
        tail, last = self._segment.tail(header.chain)
        if tail.torn_bytes:
            self._cut(tail.end, tail.torn_bytes)
        self._end = _Position(number, tail.end)
        self._chain = tail.chain
        self.seq, self.ts, self.mark = header.first_seq - 1, header.ts, header.mark
        if last is not None:
            first_seq, self.ts, self.mark, commits = codec.loads(last.body)
            self.seq = first_seq + len(commits) - 1

    def _cut(self, end: int, torn_bytes: int) -> None:
        self._segment.write(bytes(torn_bytes), end)
        self._segment.sync()
        self.torn_bytes = torn_bytes
        log.warning(log.TORN_TAIL_CUT, path=str(self._segment.path), offset=end, torn_bytes=torn_bytes)

    def _make_room(self, frame_bytes: int) -> None:
        if self._end.offset + frame_bytes <= self._segment.size:
            return
        number = self._end.number + 1
        header = Header(FORMAT_VERSION, self._store_id, number, self.seq + 1, self.ts, self.mark, self._chain)
        size = max(self._segment_bytes, HEADER_BYTES + frame_bytes)
        try:
            rolled = SegmentFile.create(self._directory / segment_name(number), header, size)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise StorageFull(str(error)) from error
            raise CommitFailed(f"no new journal segment: {error}") from error
        self._segment.close()
        self._segment, self._end = rolled, _Position(number, HEADER_BYTES)

    def _write(self, frame: bytes) -> None:
        at = self._end.offset
        try:
            self._segment.write(frame, at)
        except OSError as error:
            self._erase(at, len(frame), error)
            if error.errno in _NO_ROOM:
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

    def _entries(self, from_seq: int, end: _Position, last_seq: int) -> Iterator[Entry]:
        seq, chain = 0, b""
        for number in self._numbers_from(from_seq, end.number):
            segment = SegmentFile(self._directory / segment_name(number))
            try:
                header = segment.header()
                self._require_own(header, number)
                if chain and (header.first_seq, header.chain) != (seq + 1, chain):
                    raise StoreDamaged(f"{segment.path} does not continue the segment before it")
                seq, chain = header.first_seq - 1, header.chain
                stop = end.offset if number == end.number else None
                for frame in segment.frames(chain, end=stop):
                    for entry in _entries_of(frame.body, seq + 1):
                        seq = entry.seq
                        if seq >= from_seq:
                            yield entry
                    chain = frame.chain
            finally:
                segment.close()
        if seq != last_seq:
            raise StoreDamaged(f"the journal breaks off after sequence number {seq}, {last_seq} were committed")

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
        segment = SegmentFile(self._directory / segment_name(number))
        try:
            return segment.header().first_seq
        finally:
            segment.close()


def _entries_of(body: bytes, expected_seq: int) -> Iterator[Entry]:
    first_seq, ts, _mark, commits = codec.loads(body)
    if first_seq != expected_seq:
        raise StoreDamaged(f"the journal jumps from sequence number {expected_seq - 1} to {first_seq}")
    for seq, (cause, request_id, changes) in enumerate(commits, first_seq):
        yield Entry(seq, ts, cause, request_id, changes)
