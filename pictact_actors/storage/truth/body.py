"""The body of a journal's frame, read item by item: large ones hold nobody up, and leave nothing to be collected.

A frame may hold thousands of commits. Decoding it at once takes milliseconds in which no other thread runs, and makes
so many objects that the interpreter looks through all there are; this makes no more than a pair at a time.

    body   = [ first seq, ts, mark, [ commit* ] ]       CBOR of definite lengths, see `segment.py`
    commit = [ cause, request id or null, { key: value or null, … } ]
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from pictact_actors.errors import StoreDamaged
from pictact_actors.model import codec
from pictact_actors.storage.engine import Entry

_NUMBER, _BYTES, _TEXT, _LIST, _MAP, _OTHER = 0, 2, 3, 4, 5, 7
_DIRECT = 24
"""Lengths below it stand in the first byte."""
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_NULL = 22
_ROOT, _COMMIT = 4, 3
"""Items of a body and of a commit."""
_SMALL_BYTES = 32 * 1024
"""A body up to this size is decoded at once: that takes less than a millisecond, and a third of the time."""
_PAIRS = 256
"""Pairs that are handed on together."""
Pairs = list[tuple[str, bytes | None]]


class Body:
    """What a frame says of itself: its first commit, its time (epoch s) and mark, how many commits, and their changes.

    Raises `StoreDamaged` if it is not such a body.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            at = self._expect(_LIST, 0, _ROOT)
            self.first_seq, at = self._sized(_NUMBER, at)
            self.ts, at = self._time(at)
            self.mark, at = self._time(at)
            self.count, self._start = self._sized(_LIST, at)
        except (IndexError, struct.error) as error:
            raise StoreDamaged("a frame of the journal ends before its commits") from error

    @property
    def last_seq(self) -> int:
        """Its last commit."""
        return self.first_seq + self.count - 1

    def entries(self) -> Iterator[Entry]:
        """Iterate its commits. Raises `StoreDamaged`."""
        at = self._start
        for seq in range(self.first_seq, self.last_seq + 1):
            at = self._expect(_LIST, at, _COMMIT)
            cause, at = self._text(at)
            request_id, at = self._text(at)
            count, at = self._sized(_MAP, at)
            changes: dict[str, bytes | None] = {}
            for _ in range(count):
                key, value, at = self._pair(at)
                changes[key] = value
            if cause is None:
                raise _unknown(at)
            yield Entry(seq, self.ts, cause, request_id, changes)
        self._require_end(at)

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Iterate what its commits changed, in their order. Raises `StoreDamaged`."""
        at = self._start
        for _ in range(self.count):
            at = self._expect(_LIST, at, _COMMIT)
            at = self._text(self._text(at)[1])[1]
            count, at = self._sized(_MAP, at)
            for _ in range(count):
                key, value, at = self._pair(at)
                yield key, value
        self._require_end(at)

    def _pair(self, at: int) -> tuple[str, bytes | None, int]:
        """Return a key and what it was set to, and where that ends."""
        key, at = self._text(at)
        kind, size, start = self._head(at)
        if key is None:
            raise _unknown(at)
        if kind == _BYTES:
            end = start + size
            return key, self._data[start:end], end
        if (kind, size) == (_OTHER, _NULL):
            return key, None, start
        raise _unknown(at)

    def _require_end(self, at: int) -> None:
        if at != len(self._data):
            raise _unknown(at)

    def _head(self, at: int) -> tuple[int, int, int]:
        """Return the kind of an item, its number or length, and where that ends."""
        kind, length = divmod(self._data[at], 32)
        if length < _DIRECT:
            return kind, length, at + 1
        width = _WIDTHS.get(length)
        if width is None:
            raise _unknown(at)
        end = at + 1 + width
        return kind, int.from_bytes(self._data[at + 1 : end], "big"), end

    def _sized(self, expected: int, at: int) -> tuple[int, int]:
        kind, length, end = self._head(at)
        if kind != expected:
            raise _unknown(at)
        return length, end

    def _expect(self, kind: int, at: int, length: int) -> int:
        found, end = self._sized(kind, at)
        if found != length:
            raise _unknown(at)
        return end

    def _time(self, at: int) -> tuple[float, int]:
        """Return a number of seconds and where it ends."""
        kind, value, end = self._head(at)
        if kind == _NUMBER:
            return float(value), end
        form = _FLOATS.get(self._data[at] % 32)
        if kind != _OTHER or form is None:
            raise _unknown(at)
        (time,) = struct.unpack(form, self._data[at + 1 : end])
        return time, end

    def _text(self, at: int) -> tuple[str | None, int]:
        """Return a text or None, and where it ends."""
        kind, length, start = self._head(at)
        if kind == _TEXT:
            end = start + length  # a checksum vouches for it: it is what was written
            return self._data[start:end].decode(errors="replace"), end
        if (kind, length) != (_OTHER, _NULL):
            raise _unknown(at)
        return None, start


def entries_of(body: bytes, expected_seq: int) -> Iterator[Entry]:
    """Iterate the commits of a frame, the first of which has this number. Raises `StoreDamaged`."""
    if len(body) > _SMALL_BYTES:
        large = Body(body)
        _require_seq(large.first_seq, expected_seq)
        yield from large.entries()
        return
    first_seq, ts, _, commits = codec.loads(body)
    _require_seq(first_seq, expected_seq)
    for seq, (cause, request_id, changes) in enumerate(commits, first_seq):
        yield Entry(seq, ts, cause, request_id, changes)


def changes_of(body: bytes, expected_seq: int) -> Iterator[Pairs]:
    """Iterate what the commits of a frame changed, in their order, some pairs at a time. Raises `StoreDamaged`."""
    if len(body) > _SMALL_BYTES:
        large = Body(body)
        _require_seq(large.first_seq, expected_seq)
        changes = large.changes()
        while pairs := list(islice(changes, _PAIRS)):
            yield pairs
        return
    yield [pair for entry in entries_of(body, expected_seq) for pair in entry.changes.items()]


def _require_seq(first_seq: int, expected_seq: int) -> None:
    if first_seq != expected_seq:
        raise StoreDamaged(f"the journal jumps from sequence number {expected_seq - 1} to {first_seq}")


def _unknown(at: int) -> StoreDamaged:
    return StoreDamaged(f"a frame of the journal has something at byte {at} of its body that nobody writes there")
