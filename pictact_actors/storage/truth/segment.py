"""The format of a journal segment, and reading and writing one file of it.

    segment = header frame* zero*                      preallocated; zeros follow the last frame
    header  = "PICTACTJ" crc32c(4) version(2) store-id(16) number(8) first-seq(8) ts(8) mark(8) chain(16)
    frame   = "PTFR" crc32c(4) length(4) chain(16) body(length)
    body    = CBOR [ first seq, ts, mark, [ [ cause, request id or null, { key: value or null, … } ], … ] ]

Integers and floats are little-endian. A crc32c covers everything behind it. `chain` is the BLAKE2b-128 of the frame
before (of the store id at the very beginning), so frames cannot be left out, swapped or taken from another store.
The header repeats the time and mark of the last frame of the segment before.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import google_crc32c

from pictact_actors.errors import StoreDamaged

FORMAT_VERSION = 1
CHAIN_BYTES = 16
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a disk that is full, and works otherwise."""
_MAGIC = b"PICTACTJ"
_FRAME_MAGIC = b"PTFR"
_CRC = struct.Struct("<I")
CRC_BYTES = _CRC.size
_HEADER = struct.Struct("<H16sQQdd16s")
_FRAME = struct.Struct("<I16s")
HEADER_BYTES = len(_MAGIC) + _CRC.size + _HEADER.size
FRAME_BYTES = len(_FRAME_MAGIC) + _CRC.size + _FRAME.size
_READ_BYTES = 1024 * 1024
_FRAME_PREFIX_BYTES = len(_FRAME_MAGIC) + _CRC.size


class NewerFormat(StoreDamaged):
    """A file was written by a newer version of this program: nothing is wrong with it, and nothing is healed."""


class Header(NamedTuple):
    """What a segment says of itself."""

    version: int
    store_id: bytes
    number: int
    first_seq: int
    ts: float
    mark: float
    chain: bytes


class Frame(NamedTuple):
    """A frame that was read and found whole: where it begins and ends, its body, and the chain value after it."""

    start: int
    end: int
    body: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the whole frames of a segment end. `torn_bytes` follow that belong to no whole frame."""

    end: int
    chain: bytes
    torn_bytes: int


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:010d}.journal"


def pack_header(header: Header) -> bytes:
    """Encode a segment's header."""
    packed = _HEADER.pack(*header)
    return _MAGIC + _CRC.pack(google_crc32c.value(packed)) + packed


def pack_frame(body: bytes, chain: bytes) -> bytes:
    """Encode a frame that follows the one whose hash is `chain`."""
    rest = _FRAME.pack(len(body), chain) + body
    return b"".join((_FRAME_MAGIC, _CRC.pack(google_crc32c.value(rest)), rest))


def chain_of(*parts: bytes) -> bytes:
    """Return what the frame behind one, which may come in parts, must carry as its `chain`."""
    running = hashlib.blake2b(digest_size=CHAIN_BYTES)
    for part in parts:
        running.update(part)
    return running.digest()


class SegmentFile:
    """One segment, open for reading and perhaps for writing. Not for several threads at once."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self._fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size

    @classmethod
    def create(cls, path: Path, header: Header, size: int) -> Self:
        """Create a preallocated segment under its final name and open it for writing. Its name is not durable yet.

        Raises `OSError` when there is no room; nothing is left behind then.
        """
        aside = path.with_suffix(".new")
        fd = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(fd, 0, size)
            write_all(fd, pack_header(header), 0)
            os.fsync(fd)
            aside.rename(path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return cls(path, writable=True)

    def header(self) -> Header:
        """Read and verify the header. Raises `StoreDamaged`."""
        data = os.pread(self._fd, HEADER_BYTES, 0)
        packed = data[len(_MAGIC) + _CRC.size :]
        if len(data) < HEADER_BYTES or data[: len(_MAGIC)] != _MAGIC:
            raise StoreDamaged(f"{self.path} does not begin as a journal segment")
        if _CRC.unpack_from(data, len(_MAGIC))[0] != google_crc32c.value(packed):
            raise StoreDamaged(f"the header of {self.path} fails its checksum")
        header = Header(*_HEADER.unpack(packed))
        if header.version > FORMAT_VERSION:
            raise NewerFormat(f"{self.path} was written by a newer version (format {header.version})")
        return header

    def frames(self, chain: bytes, start: int = HEADER_BYTES, end: int | None = None) -> Iterator[Frame]:
        """Iterate the whole frames from `start`, each checked against the chain; ends where none follows."""
        stop, at = self.size if end is None else end, start
        while at < stop:
            begin, data = at, os.pread(self._fd, min(_READ_BYTES, stop - at), at)
            while (frame := _frame_in(data, at - begin, begin, chain)) is not None:
                yield frame
                at, chain = frame.end, frame.chain
            if at == begin:  # a frame that is larger than what is read at once, or none
                frame = read_frame(self._fd, at, chain, stop)
                if frame is None:
                    return
                yield frame
                at, chain = frame.end, frame.chain

    def frame(self, at: int, chain: bytes) -> Frame | None:
        """Read the whole frame at a place, if there is one that follows the one whose hash is `chain`."""
        return read_frame(self._fd, at, chain, self.size)

    def tail(self, chain: bytes) -> tuple[Tail, Frame | None]:
        """Find where the whole frames end, and the last of them.

        Raises `StoreDamaged` if a whole frame lies behind a broken one: that is no torn write.
        """
        last = next(iter(deque(self.frames(chain), maxlen=1)), None)
        end, chain = (HEADER_BYTES, chain) if last is None else (last.end, last.chain)
        return Tail(end, chain, self.require_no_frame_behind(end)), last

    def require_no_frame_behind(self, end: int) -> int:
        """Raise `StoreDamaged` if a whole frame lies behind where they end; return how many bytes are torn there."""
        torn = os.pread(self._fd, self.size - end, end).rstrip(b"\0")
        if _holds_a_frame(torn):
            raise StoreDamaged(f"{self.path} is broken at byte {end}, but whole frames follow it")
        return len(torn)

    def is_written_before(self, end: int) -> bool:
        """Whether there is something in the last bytes of a frame that ends at an offset; no frame is smaller."""
        return end > HEADER_BYTES and any(os.pread(self._fd, _CRC.size + _FRAME.size, end - _CRC.size - _FRAME.size))

    def write(self, data: bytes, at: int) -> None:
        """Write without a sync."""
        write_all(self._fd, data, at)

    def sync(self) -> None:
        """Make what was written durable."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file. Twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def crc_of(data: bytes) -> bytes:
    """Return the CRC32C of data, packed."""
    return _CRC.pack(google_crc32c.value(data))


def checksum_of(path: Path) -> int:
    """Return the CRC32C of a file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    checksum = at = 0
    try:
        while data := os.pread(fd, _READ_BYTES, at):
            checksum = google_crc32c.extend(checksum, data)
            at += len(data)
    finally:
        os.close(fd)
    return checksum


def read_frame(fd: int, at: int, chain: bytes, end: int) -> Frame | None:
    """Read the whole frame at a place of a file that ends at `end`, if there is one."""
    head = os.pread(fd, FRAME_BYTES, at)
    if len(head) < FRAME_BYTES:
        return None
    length, _ = _FRAME.unpack_from(head, _FRAME_PREFIX_BYTES)
    if at + FRAME_BYTES + length > end:
        return None
    return _frame_of(head, os.pread(fd, length, at + FRAME_BYTES), at, chain)


def _frame_in(data: bytes, at: int, offset: int, chain: bytes | None) -> Frame | None:
    """Return the whole frame at a place in `data` (read from `offset` of the file), if there is one."""
    if len(data) < at + FRAME_BYTES:
        return None
    length, _ = _FRAME.unpack_from(data, at + _FRAME_PREFIX_BYTES)
    begin = at + FRAME_BYTES
    return _frame_of(data[at:begin], data[begin : begin + length], offset + at, chain)


def _frame_of(head: bytes, body: bytes, start: int, chain: bytes | None) -> Frame | None:
    """Return the frame that these bytes are, if they are a whole one."""
    length, follows = _FRAME.unpack_from(head, _FRAME_PREFIX_BYTES)
    if not head.startswith(_FRAME_MAGIC) or length != len(body) or (chain is not None and follows != chain):
        return None
    checksum = google_crc32c.extend(google_crc32c.value(head[_FRAME_PREFIX_BYTES:]), body)
    if _CRC.unpack_from(head, len(_FRAME_MAGIC))[0] != checksum:
        return None
    return Frame(start, start + len(head) + length, body, chain_of(head, body))


def _holds_a_frame(torn: bytes) -> bool:
    at = torn.find(_FRAME_MAGIC, 1)
    while at >= 0:
        if _frame_in(torn, at, 0, None) is not None:
            return True
        at = torn.find(_FRAME_MAGIC, at + 1)
    return False


def write_all(fd: int, data: bytes, at: int) -> None:
    """Write all of `data` at an offset; a short write goes on where it stopped."""
    written = os.pwrite(fd, data, at)
    while written < len(data):
        more = os.pwrite(fd, memoryview(data)[written:], at + written)
        if not more:
            raise OSError(errno.ENOSPC, "the disk takes no more bytes")
        written += more


def dropped_from_cache(fd: int) -> None:
    """Have what is durable of a file read from the disk the next time."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def write_durably(path: Path, data: bytes) -> None:
    """Write a whole file and sync it; what was there before is gone. Its name is not durable yet. Raises `OSError`."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
