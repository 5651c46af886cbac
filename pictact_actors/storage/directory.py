"""The data directory: who it belongs to, who holds it, and how it comes into being.

    directory = STORE  LOCK  journal/  state/  and when there is something in it: base/  archive/  ballast
    STORE     = JSON { "format": 1, "store": store id in hex, "createdAt": epoch seconds }
    LOCK      = held with flock while a store is open; says by whom

A directory is created between two marks: `STORE.new` comes first, is durable before there is anything else, and
becomes `STORE` when everything else is durable. So one with `STORE.new` only is an interrupted creation that can be
begun anew, and one with neither is none of ours, or has lost its identity: nothing is ever created there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self

from pictact_actors.errors import NotAStore, StorageFull, StoreDamaged, StoreLocked
from pictact_actors.storage import leveldb, rebuilding
from pictact_actors.storage.journal import Journal
from pictact_actors.storage.segment import NO_ROOM, sync_directory, write_all

FORMAT_VERSION = 1
_MARKS = frozenset({"LOCK", "STORE.new"})
_PARTS = frozenset({"journal", "state", "state.new"})
_LATER_PARTS = frozenset({"base", "archive", "ballast", *rebuilding.NAMES})
_STORE_ID_BYTES = 16


class Directory:
    """A data directory that this process holds. A forked child does not hold it."""

    def __init__(self, path: Path, lock_fd: int, store_id: bytes) -> None:
        self.path = path
        self.store_id = store_id
        self._lock_fd = lock_fd
        _held.add(self)

    @property
    def journal(self) -> Path:
        """Where the journal's segments are."""
        return self.path / "journal"

    @property
    def state(self) -> Path:
        """Where LevelDB is."""
        return self.path / "state"

    @property
    def base(self) -> Path:
        """Where the base is; it may be missing."""
        return self.path / "base"

    @property
    def archive(self) -> Path:
        """Where the details are that the store does not keep any more; it may be missing."""
        return self.path / "archive"

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool, now: float, segment_bytes: int) -> Self:
        """Hold a data directory, creating it if it may be and is not there.

        Raises `StoreLocked` if another store holds it, `NotAStore` if it is something else, `StoreDamaged`, and
        `StorageFull` if there is no room to create it.
        """
        lock_fd = -1
        try:
            root = Path(os.path.realpath(path))
            _require_usable(root, create=create)
            _make_directory(root)
            lock_fd = _lock(root)
            if not (root / "STORE").exists():
                _create(root, now, segment_bytes)
            return cls(root, lock_fd, _read_identity(root))
        except BaseException as error:
            if lock_fd >= 0:
                os.close(lock_fd)
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise StorageFull(str(error)) from error
            if isinstance(error, OSError | ValueError):
                raise NotAStore(os.fsdecode(path), f"it cannot be read and written: {error}") from error
            raise

    def release(self) -> None:
        """Let others open it. Twice is fine."""
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            fcntl.flock(fd, fcntl.LOCK_UN)  # at once, also when a process forked at the wrong moment has the file open
            os.close(fd)

    def leave(self) -> None:
        """Give up in a forked child what the parent holds, so that it ends with the parent."""
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            os.close(fd)


_held: weakref.WeakSet[Directory] = weakref.WeakSet()


def _leave_all() -> None:
    for directory in list(_held):
        directory.leave()


os.register_at_fork(after_in_child=_leave_all)


def _require_usable(root: Path, *, create: bool) -> None:
    """Look before anything is touched."""
    if root.exists() and not root.is_dir():
        raise NotAStore(str(root), "it is a file; name a directory")
    entries = {entry.name for entry in root.iterdir()} if root.exists() else set()
    if (root / "STORE").is_file():  # asked last: another process may just be creating it
        return
    _require_identity(root, entries)
    if not create:
        raise NotAStore(str(root), "there is none; check the path")


def _require_identity(root: Path, entries: set[str]) -> None:
    """Refuse what was not left by an interrupted creation."""
    created = _MARKS | _PARTS if "STORE.new" in entries else _MARKS
    if entries <= created:
        return
    if entries <= _MARKS | _PARTS | _LATER_PARTS and any((root / "journal").glob("*.journal")):
        raise StoreDamaged(f"{root / 'STORE'} is missing")
    others = ", ".join(sorted(entries - _MARKS)[:3])
    raise NotAStore(str(root), f"it holds something else ({others}); name an empty directory")


def _make_directory(root: Path) -> None:
    """Create the directory and what is missing above it, with durable names."""
    missing = [path for path in (root, *root.parents) if not path.exists()]
    root.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_directory(path.parent)


def _lock(root: Path) -> int:
    fd = os.open(root / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    holder = f"process {os.getpid()}\n".encode()
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):  # a full disk takes nothing away but the name
            write_all(fd, holder, 0)
            os.ftruncate(fd, len(holder))
    except BlockingIOError:
        named = os.pread(fd, 64, 0).decode(errors="replace").strip() or "another process"
        os.close(fd)
        raise StoreLocked(str(root), named) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _create(root: Path, now: float, segment_bytes: int) -> None:
    """Create the parts between the two marks, each durable; what an interrupted creation left is replaced."""
    store_id = uuid.uuid4().bytes
    identity = {"format": FORMAT_VERSION, "store": store_id.hex(), "createdAt": now}
    _write_durably(root / "STORE.new", json.dumps(identity).encode() + b"\n")
    for part in _PARTS:
        shutil.rmtree(root / part, ignore_errors=True)
    leveldb.create(root / "state")
    Journal.create(root / "journal", store_id, segment_bytes)
    (root / "STORE.new").rename(root / "STORE")
    sync_directory(root)


def _write_durably(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_directory(path.parent)


def _read_identity(root: Path) -> bytes:
    try:
        identity = json.loads((root / "STORE").read_bytes())
        version, store_id = identity["format"], bytes.fromhex(identity["store"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(f"{root / 'STORE'} does not read: {error}") from error
    if version != FORMAT_VERSION or len(store_id) != _STORE_ID_BYTES:
        raise StoreDamaged(f"{root / 'STORE'} has format {version}, this version knows {FORMAT_VERSION}")
    return store_id
