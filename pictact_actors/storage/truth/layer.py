"""A layer: what a range of commits led to, in key order. The format, and reading and writing one file of it.

    layer  = header frame*                             the header takes HEADER_BYTES, zeros follow it
    header = "PICTACTB" crc32c(4) length(4) CBOR map   a crc32c covers everything behind it
    frame  = as in a journal segment, the first one's `chain` is the store id
    body   = CBOR { key: value or null, … }            keys ascend, also from frame to frame; null: it was deleted
    map    = { version, store, number, first: the first commit's seq, next: [ number, first seq, ts, mark, chain ] of
               the journal segment that follows, low, high: the keys it covers (low <= key < high, null: to the end),
               count, valueBytes, size: of the file, digest: the `chain` behind its last frame }

The header is written last, and what was written is read back before the file gets its name. So a file under its name
was whole once, and a header says whether it still is.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pictact_actors.errors import StoreDamaged
from pictact_actors.model import codec
from pictact_actors.storage.truth.segment import (
    CRC_BYTES,
    NewerFormat,
    chain_of,
    crc_of,
    pack_frame,
    read_frame,
    write_all,
)

FORMAT_VERSION = 1
HEADER_BYTES = 4096
FRAME_BODY_BYTES = 32 * 1024
"""A frame ends with the pair that makes it larger: small enough to be decoded without anybody noticing."""
_MAGIC = b"PICTACTB"
_LENGTH = struct.Struct("<I")
_PREFIX_BYTES = len(_MAGIC) + CRC_BYTES
_PAIR_BYTES = 8
"""What a pair takes in a frame beyond its key and value, at most about."""

Pair = tuple[str, bytes | None]


class Next(NamedTuple):
    """The journal segment that follows the commits of a layer, and what it must begin with."""

    number: int
    first_seq: int
    ts: float
    mark: float
    chain: bytes


class Covers(NamedTuple):
    """The commits and the keys of a layer: from `first_seq` up to `next`, `low` <= key < `high` (None: to the end)."""

    first_seq: int
    next: Next
    low: str = ""
    high: str | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer on disk, as its header describes it. Files are opened when they are read."""

    path: Path
    number: int
    covers: Covers
    count: int
    value_bytes: int
    digest: bytes
    store_id: bytes
    size_bytes: int

    @property
    def first_seq(self) -> int:
        """The first commit in it; 1 for a part of the base."""
        return self.covers.first_seq

    @property
    def last_seq(self) -> int:
        """The last commit in it."""
        return self.covers.next.first_seq - 1

    def pairs(self) -> Iterator[Pair]:
        """Iterate what is in it, in key order, and verify it on the way. Raises `StoreDamaged`."""
        for pairs in self.frames():
            yield from pairs.items()

    def frames(self) -> Iterator[dict[str, bytes | None]]:
        """Iterate the same frame by frame."""
        _, _, low, high = self.covers
        count, last = 0, ""
        for body in self._bodies():
            try:
                pairs: dict[str, bytes | None] = codec.loads(body)
                keys = list(pairs)
                ordered = keys == sorted(keys) and low <= keys[0] and (high is None or keys[-1] < high)
            except (ValueError, TypeError, AttributeError, IndexError) as error:
                raise StoreDamaged(f"{self.path} does not read: {error}") from error
            if not ordered or (count and keys[0] <= last):
                raise StoreDamaged(f"{self.path} is not in order near {keys[0]!r}")
            count, last = count + len(keys), keys[-1]
            yield pairs
        if count != self.count:
            raise StoreDamaged(f"{self.path} has {count} pairs, its header says {self.count}")

    def verify(self) -> Iterator[None]:
        """Read everything once, step by step, and compare it with the header. Raises `StoreDamaged`."""
        for _ in self._bodies():
            yield

    def _bodies(self) -> Iterator[bytes]:
        chain, at = self.store_id, HEADER_BYTES
        with closing(_File(self.path, os.O_RDONLY)) as file:
            while (frame := read_frame(file.fd, at, chain, self.size_bytes)) is not None:
                yield frame.body
                chain, at = frame.chain, frame.end
        if at != self.size_bytes or chain != self.digest:
            raise StoreDamaged(f"{self.path} is broken at byte {at}")


def read_layer(path: Path, store_id: bytes, *, renamed: bool = False) -> Layer:
    """Read and verify the header of a layer, and compare it with the file's size. Raises `StoreDamaged`.

    `renamed`: the file has another name than it had in its store.
    """
    layer, size_bytes = _read(path)
    if layer.store_id != store_id or (layer_name(layer.number) != path.name and not renamed):
        raise StoreDamaged(f"{path} belongs to another store or place")
    if size_bytes != layer.size_bytes:
        raise StoreDamaged(f"{path} has {size_bytes} bytes, its header says {layer.size_bytes}")
    return layer


def store_of(path: Path) -> bytes:
    """Return the id of the store that a layer says it is of. Raises `StoreDamaged` if its header does not read."""
    return _read(path)[0].store_id


def _read(path: Path) -> tuple[Layer, int]:
    """Read and verify the header of a layer; return what it says, and the size of the file."""
    with closing(_File(path, os.O_RDONLY)) as file:
        data, size_bytes = os.pread(file.fd, HEADER_BYTES, 0), os.fstat(file.fd).st_size
    if len(data) < HEADER_BYTES or not data.startswith(_MAGIC):
        raise StoreDamaged(f"{path} does not begin as a layer of the base")
    if crc_of(data[_PREFIX_BYTES:]) != data[len(_MAGIC) : _PREFIX_BYTES]:
        raise StoreDamaged(f"the header of {path} fails its checksum")
    (length,) = _LENGTH.unpack_from(data, _PREFIX_BYTES)
    start = _PREFIX_BYTES + _LENGTH.size
    try:
        header = codec.loads(data[start : start + length])
        if header["version"] > FORMAT_VERSION:
            raise NewerFormat(f"{path} was written by a newer version (format {header['version']})")
        return _layer_of(path, header), size_bytes
    except (ValueError, TypeError, KeyError) as error:
        raise StoreDamaged(f"the header of {path} does not read: {error}") from error


def layer_name(number: int) -> str:
    """Return the file name of a layer."""
    return f"{number:010d}.layer"


class LayerWriter:
    """Writes one layer aside; `finish` gives it its name. One thread's. Raises `OSError` when there is no room."""

    def __init__(self, directory: Path, number: int, store_id: bytes) -> None:
        self._path = directory / layer_name(number)
        self._aside = self._path.with_suffix(".new")
        self._number = number
        self._store_id = self._chain = store_id
        self._file = _File(self._aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self._body: dict[str, bytes | None] = {}
        self._body_bytes = self._count = self._value_bytes = 0
        self.size_bytes = HEADER_BYTES

    def add(self, key: str, value: bytes | None) -> None:
        """Add the next pair, in key order."""
        self._body[key] = value
        value_bytes = 0 if value is None else len(value)
        self._value_bytes += value_bytes
        self._body_bytes += len(key) + value_bytes + _PAIR_BYTES
        if self._body_bytes >= FRAME_BODY_BYTES:
            self._write_frame()

    def finish(self, covers: Covers) -> Generator[None, None, Layer]:
        """Write the header, sync, read everything back step by step, and rename. The name is not durable yet."""
        if self._body:
            self._write_frame()
        header = {
            "version": FORMAT_VERSION,
            "store": self._store_id,
            "number": self._number,
            "first": covers.first_seq,
            "next": list(covers.next),
            "low": covers.low,
            "high": covers.high,
            "count": self._count,
            "valueBytes": self._value_bytes,
            "size": self.size_bytes,
            "digest": self._chain,
        }
        write_all(self._file.fd, _pack_header(header), 0)
        os.fsync(self._file.fd)
        os.posix_fadvise(self._file.fd, 0, 0, os.POSIX_FADV_DONTNEED)  # so that it is the disk that is read back
        self._file.close()
        yield from _layer_of(self._aside, header).verify()
        self._aside.rename(self._path)
        return read_layer(self._path, self._store_id)

    def abandon(self) -> None:
        """Leave nothing behind, unless it is finished."""
        self._file.close()
        with suppress(OSError):
            self._aside.unlink(missing_ok=True)

    def _write_frame(self) -> None:
        frame = pack_frame(codec.dumps(self._body), self._chain)
        write_all(self._file.fd, frame, self.size_bytes)
        self._chain = chain_of(frame)
        self._count += len(self._body)
        self.size_bytes += len(frame)
        self._body, self._body_bytes = {}, 0


class _File:
    """An open file. Closing it twice is fine."""

    def __init__(self, path: Path, flags: int) -> None:
        self.fd = os.open(path, flags | os.O_CLOEXEC, 0o644)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def _pack_header(header: dict[str, Any]) -> bytes:
    body = codec.dumps(header)
    data = (_LENGTH.pack(len(body)) + body).ljust(HEADER_BYTES - _PREFIX_BYTES, b"\0")
    if len(data) > HEADER_BYTES - _PREFIX_BYTES:
        raise ValueError(f"the keys {header['low']!r} and {header['high']!r} are too long for a header")
    return _MAGIC + crc_of(data) + data


def _layer_of(path: Path, header: dict[str, Any]) -> Layer:
    number, first_seq, ts, mark, chain = header["next"]
    covers = Covers(
        int(header["first"]),
        Next(int(number), int(first_seq), float(ts), float(mark), bytes(chain)),
        str(header["low"]),
        None if header["high"] is None else str(header["high"]),
    )
    return Layer(
        path=path,
        number=int(header["number"]),
        covers=covers,
        count=int(header["count"]),
        value_bytes=int(header["valueBytes"]),
        digest=bytes(header["digest"]),
        store_id=bytes(header["store"]),
        size_bytes=int(header["size"]),
    )
