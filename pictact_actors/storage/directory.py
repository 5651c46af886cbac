"""The data directory: who it belongs to, who holds it, and how it comes into being.

    directory = STORE  LOCK  journal/  state/  and when there is something in it: base/  archive/  backups/  ballast
                CLOSED, while nobody has it open (`seal.py`), and damaged/ (`aside.py`)
    STORE         = which store it is, see `identity.py`
    LOCK          = held with flock while a store is open; says by whom
    console.sock  = where an open store answers the command line; one without an open store means nothing

A directory is created between two marks: `STORE.new` comes first, is durable before there is anything else, and
becomes `STORE` when everything else is durable. So one with `STORE.new` only is an interrupted creation that can be
begun anew, and one with neither is none of ours, or has lost its identity: nothing is ever created there.
What names a store in other files brings a lost identity back.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self

from pictact_actors.errors import NotAStore, StorageFull, StoreLocked
from pictact_actors.storage.identity import MENDED, Identity, identity_of, names_a_store
from pictact_actors.storage.recovery import aside, healing, seal
from pictact_actors.storage.state import leveldb, rebuilding
from pictact_actors.storage.truth.journal import Journal
from pictact_actors.storage.truth.segment import NO_ROOM, sync_directory, write_all

CONSOLE = "console.sock"
_MARKS = frozenset({"LOCK", "STORE.new"})
_PARTS = frozenset({"journal", "state", "state.new"})
_LATER_PARTS = frozenset({"base", "archive", "backups", "ballast", CONSOLE, *rebuilding.NAMES})
_MENDING = frozenset({seal.NAME, f"{seal.NAME}.new", aside.NAME, MENDED, *healing.NAMES})
_OURS = _MARKS | _PARTS | _LATER_PARTS | _MENDING


class Directory:
    """A data directory that this process holds. A forked child does not hold it."""

    def __init__(self, path: Path, lock_fd: int, identity: Identity) -> None:
        self.path = path
        self.identity = identity
        self.store_id = identity.store_id
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

    @property
    def backups(self) -> Path:
        """Where scheduled backups are, unless they go elsewhere; it may be missing."""
        return self.path / "backups"

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
            if not ((root / "STORE").exists() or _has_lost_its_identity(root)):
                _create(root, now, segment_bytes)
            sealed = seal.read(root)
            return cls(root, lock_fd, identity_of(root, sealed and sealed.identity))
        except BaseException as error:
            if lock_fd >= 0:
                os.close(lock_fd)
            if isinstance(error, OSError | ValueError):
                raise unopened(path, error) from error
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


def unopened(path: str | os.PathLike[str], error: OSError | ValueError) -> StorageFull | NotAStore:
    """Return what to tell whoever opens a directory of which the disk says no."""
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return StorageFull(str(error))
    return NotAStore(os.fsdecode(path), f"it cannot be read and written: {error}")


def _require_usable(root: Path, *, create: bool) -> None:
    """Look before anything is touched."""
    if root.exists() and not root.is_dir():
        raise NotAStore(str(root), "it is a file; name a directory")
    entries = _entries_of(root)
    if (root / "STORE").is_file() or _has_lost_its_identity(root):  # asked last: somebody may just be creating it
        return
    _require_identity(root, entries)
    if not create:
        raise NotAStore(str(root), "there is none; check the path")


def _require_identity(root: Path, entries: set[str]) -> None:
    """Refuse what was not left by an interrupted creation."""
    created = _MARKS | _PARTS if "STORE.new" in entries else _MARKS
    if entries <= created:
        return
    others = ", ".join(sorted(entries - _MARKS)[:3])
    raise NotAStore(str(root), f"it holds something else ({others}); name an empty directory")


def _has_lost_its_identity(root: Path) -> bool:
    """Whether all that is there is a store's, but for its mark, and some file says which store that is."""
    entries = _entries_of(root)
    return not {"STORE", "STORE.new"} & entries and entries <= _OURS and names_a_store(root)


def _entries_of(root: Path) -> set[str]:
    return {entry.name for entry in root.iterdir()} if root.exists() else set()


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
    identity = Identity.new(now)
    identity.write(root / "STORE.new")
    for part in _PARTS:
        shutil.rmtree(root / part, ignore_errors=True)
    leveldb.create(root / "state")
    Journal.create(root / "journal", identity.store_id, segment_bytes)
    (root / "STORE.new").rename(root / "STORE")
    sync_directory(root)
