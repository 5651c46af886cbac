"""The body of a journal's frame, read item by item: large ones hold nobody up, and leave nothing to be collected.

A frame may hold thousands of commits. Decoding it at once takes milliseconds in which no other thread runs, and makes
so many objects that the interpreter looks through all there are; this makes no more than a pair at a time.

    body   = [ first seq, ts, mark, [ commit* ] ]       CBOR of definite lengths, see `segment.py`
    commit = [ cause, request id or null, { key: value or null, … } ]
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pictact_actors.errors import StoreDamaged

_NUMBER, _BYTES, _TEXT, _LIST, _MAP, _OTHER = 0, 2, 3, 4, 5, 7
_DIRECT = 24
"""Lengths below it stand in the first byte."""
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_NULL = 22
_ROOT, _COMMIT = 4, 3
"""Items of a body and of a commit."""


class Body:
    """What a frame says of itself: its first commit, its time (epoch s), how many commits it has, and their changes.

    Raises `StoreDamaged` if it is not such a body.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            at = self._expect(_LIST, 0, _ROOT)
            self.first_seq, at = self._sized(_NUMBER, at)
            self.ts, at = self._time(at)
            _, at = self._time(at)
            self.count, self._start = self._sized(_LIST, at)
        except (IndexError, struct.error) as error:
            raise StoreDamaged("a frame of the journal ends before its commits") from error

    def changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Iterate what its commits changed, in their order. Raises `StoreDamaged`."""
        data, at = self._data, self._start
        for _ in range(self.count):
            at = self._expect(_LIST, at, _COMMIT)
            at = self._text_end(self._text_end(at))
            pairs, at = self._sized(_MAP, at)
            for _ in range(pairs):
                length, start = self._sized(_TEXT, at)
                at = start + length
                key = data[start:at].decode(errors="replace")  # a checksum vouches for it: it is what was written
                kind, size, start = self._head(at)
                if kind == _BYTES:
                    at = start + size
                    yield key, data[start:at]
                elif (kind, size) == (_OTHER, _NULL):
                    at = start
                    yield key, None
                else:
                    raise _unknown(at)
        if at != len(data):
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

    def _text_end(self, at: int) -> int:
        """Return where a text or a null ends."""
        kind, length, end = self._head(at)
        if kind == _TEXT:
            return end + length
        if (kind, length) != (_OTHER, _NULL):
            raise _unknown(at)
        return end


def _unknown(at: int) -> StoreDamaged:
    return StoreDamaged(f"a frame of the journal has something at byte {at} of its body that nobody writes there")
