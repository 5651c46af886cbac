"""The one door to LevelDB (plyvel, or plyvel-next where plyvel has no wheels), with its traps closed.

- Every read verifies checksums, and goes through `raw_iterator`: the plain iterator ends early, in silence, on damage.
- A database that should exist is never created: with its `CURRENT` missing, that would delete every table.
- A new database is created aside, synced and renamed: LevelDB 1.22 does not sync its first manifest.
- `close()` waits until nobody is inside: closing under a reader crashes the process.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

if sys.version_info >= (3, 13):
    import plyvel_next as plyvel
else:
    import plyvel

from pictact_actors.clock import monotonic
from pictact_actors.errors import StorageFull, StoreClosed, StoreDamaged
from pictact_actors.storage.truth.segment import NO_ROOM, sync_directory

_CHUNK, _PAGE, _CHUNK_MAX = 32, 128, 256
"""Pairs that a cursor reads at once: few within a page, since who asks for one needs no more, and then many.

LevelDB gives the interpreter's lock up for a microsecond at every pair: too short to be taken, yet the wait of a thread
that wants it begins anew, and only a whole wait (5 ms) is granted. A walk must have stretches as long without a pair.
"""
_STEPS = 1024
"""Pairs that are passed between two looks at the clock."""
_BLOOM_BITS = 10
_TABLE_BYTES = 512 * 1024
"""Size of a table, about. LevelDB maps those it has open into memory; small ones are quickly opened again."""
_TABLES_OPEN = 256
"""Tables that are open at the same time: what LevelDB takes of memory does not grow with what it holds."""
_INSIDE_S = 60.0
"""How long a call may take, a compaction of everything included."""
_BEHIND_ALL = (b"\xff\xff", b"\xff\xff\xff")
_REOPEN_BUFFERS = 2
"""Room that opening may need, in write buffers: it writes the log out as a table, and begins a new one."""


def create(path: Path) -> None:
    """Create an empty database under `path`, durably. What an interrupted creation left is replaced."""
    aside = path.with_suffix(".new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    with _damage():
        plyvel.DB(str(aside), create_if_missing=True, error_if_exists=True).close()
    sync(aside)
    aside.rename(path)
    sync_directory(path.parent)


def sync(path: Path) -> None:
    """Make a database durable that nobody has open."""
    for file in path.iterdir():
        _sync_file(file)
    sync_directory(path)


Changes = Mapping[bytes, bytes | None]
NO_RECORDS: Mapping[str, bytes | None] = MappingProxyType({})


class Database:
    """An open LevelDB. Any thread may call anything; `close` waits for those inside."""

    def __init__(
        self, path: Path, buffer_bytes: int, cache_bytes: int, on_damage: Callable[[], object] = lambda: None
    ) -> None:
        """Open what is there; `on_damage` is told when it is found to be damaged later on, by any thread."""
        self._on_damage = on_damage
        self._db: Any = _open(path, buffer_bytes, cache_bytes)
        self._path = path
        self._buffer_bytes = buffer_bytes
        self._lock = threading.Condition()
        self._inside: set[int] = set()
        """Threads that use it now. No count: who is interrupted at the door (Ctrl-C) would stay in it for ever."""
        self._closing = False
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()

    @property
    def is_open(self) -> bool:
        """Whether it takes calls."""
        return not self._closing

    def get(self, key: bytes) -> bytes | None:
        """Return a value. Raises `StoreDamaged` if it fails its checksum."""
        self._enter()
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except plyvel.Error as error:
            self._on_damage()
            raise StoreDamaged(f"the state does not read: {_text_of(error)}; read again in a moment") from error
        finally:
            self._leave()
        return value

    def write(self, changes: Changes, records: Mapping[str, bytes | None] = NO_RECORDS) -> None:
        """Write all of both or nothing, without a sync. After an error nothing may be written any more, only read."""
        with self._entered(), _damage(self._on_damage), self._db.write_batch(transaction=True, sync=False) as batch:
            for key, value in chain(((key.encode(), value) for key, value in records.items()), changes.items()):
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)

    def cursor(self, prefix: bytes, after: bytes | None = None) -> Cursor:
        """Pin the present moment and return its pairs under `prefix`, behind `after`."""
        start = prefix if after is None else max(prefix, after)
        return self._pinned(start, _behind(prefix), after)

    def keys(self, start: str, stop: str) -> Iterator[str]:
        """Pin the present moment and return its keys from `start` on, without `stop`."""
        return (key.decode() for key, _ in self._pinned(start.encode(), stop.encode()))

    def _pinned(self, start: bytes, stop: bytes, after: bytes | None = None) -> Cursor:
        with self._entered():
            cursor = Cursor(self._db.raw_iterator(verify_checksums=True), start, stop, after, self._on_damage)
            self._cursors.add(cursor)
            return cursor

    def has(self, key: str) -> bool:
        """Whether there is something under a key. Raises `StoreDamaged`."""
        return self.get(key.encode()) is not None

    def settle(self) -> None:
        """Make everything durable that was written: what is in the log is written out as a table, and synced."""
        self.compact(*_BEHIND_ALL)

    def verify(self, until_s: float) -> bool:
        """Read what is there, to see that it passes its checksums, until a `monotonic()`; say whether that was all.

        Raises `StoreDamaged`.
        """
        with self._entered(), _damage():
            iterator = self._db.raw_iterator(verify_checksums=True, fill_cache=False)
            try:
                iterator.seek_to_first()
                while iterator.valid() and monotonic() < until_s:
                    for _ in range(_STEPS):
                        if not iterator.valid():
                            break
                        iterator.next()
                return not iterator.valid()
            finally:
                iterator.close()

    def compact(self, start: bytes, stop: bytes | None) -> None:
        """Give the space back of what was deleted or overwritten from one key to another. Other threads go on."""
        with self._entered(), _damage(self._on_damage):
            self._db.compact_range(start=start, stop=stop or _BEHIND_ALL[1])  # plyvel takes None for the first key

    def require_room(self) -> None:
        """Raise `OSError` unless there is room to open it again. It may be closed."""
        probe = self._path.with_suffix(".room")
        fd = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            probe.unlink()
            os.posix_fallocate(fd, 0, _REOPEN_BUFFERS * self._buffer_bytes)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Wait until nobody else is inside, then close. Twice is fine.

        If somebody stays for longer than anything takes, it is left open: closing it then would crash the process.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            if not self._lock.wait_for(lambda: self._inside <= {threading.get_ident()}, _INSIDE_S):
                return
        for cursor in list(self._cursors):
            cursor.close()
        self._db.compact_range(start=_BEHIND_ALL[0], stop=_BEHIND_ALL[1])  # waits for compactions without the GIL
        self._db.close()
        self._db = None  # plyvel complains when one is freed at the very end of the interpreter, even if it is closed

    def _enter(self) -> None:
        """Come in, without a lock: who comes in looks whether it is closing, who closes looks who is inside."""
        self._inside.add(threading.get_ident())
        if self._closing:
            self._leave()
            raise StoreClosed

    def _leave(self) -> None:
        self._inside.discard(threading.get_ident())
        if self._closing:
            with self._lock:
                self._lock.notify_all()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()


class Cursor:
    """Pairs in key order as they were when the cursor was made. One thread reads, any thread may close.

    They are those from `start` on, without `stop` and without `after`.
    """

    def __init__(
        self, iterator: Any, start: bytes, stop: bytes, after: bytes | None, on_damage: Callable[[], object]
    ) -> None:
        self._on_damage = on_damage
        self._iterator = iterator
        self._start = start
        self._stop = stop
        self._after = after
        self._lock = threading.RLock()  # a host's signal handler may close the store in the middle of a read
        self._closed = False
        self._positioned = False
        self._read = 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        try:
            while chunk := self._chunk():
                yield from chunk
        finally:
            self.close()

    def close(self) -> None:
        """Give the pinned moment up. Twice is fine."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._iterator.close()

    def _chunk(self) -> list[tuple[bytes, bytes]]:
        with self._lock, _damage(self._on_damage):
            if self._closed:
                raise StoreClosed("the store was closed, or its state was reopened, during this read; read again")
            if not self._positioned:
                self._position()
            pairs, stop = list[tuple[bytes, bytes]](), self._stop
            size = _CHUNK if self._read < _PAGE else _CHUNK_MAX
            while len(pairs) < size and self._iterator.valid():
                key, value = self._iterator.item()
                if key >= stop:
                    break
                pairs.append((key, value))
                self._iterator.next()
            self._read += len(pairs)
            return pairs

    def _position(self) -> None:
        self._positioned = True
        self._iterator.seek(self._start)
        if self._iterator.valid() and self._iterator.key() == self._after:
            self._iterator.next()


def _behind(prefix: bytes) -> bytes:
    """Return the first key behind all that begin with a prefix."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else _BEHIND_ALL[1]


def _open(path: Path, buffer_bytes: int, cache_bytes: int) -> Any:
    if not (path / "CURRENT").is_file():
        raise StoreDamaged(f"{path} has no CURRENT file")
    with _damage():
        return plyvel.DB(
            str(path),
            create_if_missing=False,
            paranoid_checks=True,
            write_buffer_size=buffer_bytes,
            lru_cache_size=cache_bytes,
            bloom_filter_bits=_BLOOM_BITS,
            max_file_size=_TABLE_BYTES,
            max_open_files=_TABLES_OPEN,
        )


@contextmanager
def _damage(tell: Callable[[], object] = lambda: None) -> Iterator[None]:
    try:
        yield
    except plyvel.Error as error:
        what = _text_of(error)
        if any(os.strerror(code) in what for code in NO_ROOM):
            raise StorageFull(what) from error
        tell()
        raise StoreDamaged(f"the state cannot be used: {what}") from error


def _text_of(error: Exception) -> str:
    """Return what plyvel says, which is bytes."""
    what = error.args[0] if error.args else ""
    return what.decode(errors="replace") if isinstance(what, bytes) else str(what)


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
