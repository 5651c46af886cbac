"""The data directory: who it belongs to, who holds it, and how it comes into being.

    directory = STORE  LOCK  journal/  state/
    STORE     = JSON { "format": 1, "store": store id in hex, "createdAt": epoch seconds }
    LOCK      = held with flock while a store is open; says by whom

`STORE` is written last, so a directory without it is one whose creation was interrupted, or none of ours.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Self

from pictact_actors.errors import NotAStore, StoreDamaged, StoreLocked
from pictact_actors.storage import leveldb
from pictact_actors.storage.journal import Journal
from pictact_actors.storage.segment import HEADER_BYTES, sync_directory, write_all

FORMAT_VERSION = 1
_OURS = frozenset({"LOCK", "STORE.new", "journal", "state", "state.new"})


class Directory:
    """A data directory that this process holds."""

    def __init__(self, path: Path, lock_fd: int, store_id: bytes) -> None:
        self.path = path
        self.store_id = store_id
        self._lock_fd = lock_fd

    @property
    def journal(self) -> Path:
        """Where the journal's segments are."""
        return self.path / "journal"

    @property
    def state(self) -> Path:
        """Where LevelDB is."""
        return self.path / "state"

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool, now: float, segment_bytes: int) -> Self:
        """Hold a data directory, creating it if it may be and is not there.

        Raises `StoreLocked` if another store holds it, `NotAStore` if it is something else, `StoreDamaged`.
        """
        root = Path(os.path.realpath(path))
        _require_usable(root, create=create)
        try:
            root.mkdir(parents=True, exist_ok=True)
            lock_fd = _lock(root)
        except OSError as error:
            raise NotAStore(str(root), f"it cannot be written ({error.strerror})") from error
        try:
            if not (root / "STORE").exists():
                _create(root, now, segment_bytes)
            return cls(root, lock_fd, _read_identity(root))
        except OSError as error:
            os.close(lock_fd)
            raise NotAStore(str(root), f"it could not be created or read: {error}") from error
        except BaseException:
            os.close(lock_fd)
            raise

    def release(self) -> None:
        """Let others open it. Twice is fine."""
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            os.close(fd)


def _require_usable(root: Path, *, create: bool) -> None:
    if (root / "STORE").is_file():
        return
    if root.exists() and not root.is_dir():
        raise NotAStore(str(root), "it is a file; name a directory")
    entries = {entry.name for entry in root.iterdir()} if root.exists() else set()
    if not create:
        raise NotAStore(str(root), "there is none; check the path" if not entries else "it holds something else")
    if entries - _OURS:
        raise NotAStore(
            str(root), f"it holds something else ({', '.join(sorted(entries - _OURS)[:3])}); name an empty one"
        )


def _lock(root: Path) -> int:
    fd = os.open(root / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 64, 0).decode(errors="replace").strip() or "another process"
        os.close(fd)
        raise StoreLocked(str(root), holder) from None
    os.ftruncate(fd, 0)
    write_all(fd, f"process {os.getpid()}\n".encode(), 0)
    return fd


def _create(root: Path, now: float, segment_bytes: int) -> None:
    """Create the parts, each durable, and the identity last; an interrupted creation is begun anew."""
    if (root / "journal").exists() and _has_commits(root / "journal"):
        raise StoreDamaged(f"{root / 'STORE'} is missing, but the journal holds commits")
    for part in ("journal", "state"):
        shutil.rmtree(root / part, ignore_errors=True)
    store_id = uuid.uuid4().bytes
    leveldb.create(root / "state")
    Journal.create(root / "journal", store_id, segment_bytes)
    identity = {"format": FORMAT_VERSION, "store": store_id.hex(), "createdAt": now}
    _write_durably(root / "STORE", json.dumps(identity).encode() + b"\n")
    sync_directory(root.parent)


def _has_commits(journal: Path) -> bool:
    """Whether a journal without an identity file holds anything that could be lost."""
    return any(path.read_bytes()[HEADER_BYTES:].strip(b"\0") for path in journal.glob("*.journal"))


def _write_durably(path: Path, data: bytes) -> None:
    aside = path.with_suffix(".new")
    fd = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    aside.rename(path)
    sync_directory(path.parent)


def _read_identity(root: Path) -> bytes:
    try:
        identity = json.loads((root / "STORE").read_bytes())
        version, store_id = identity["format"], bytes.fromhex(identity["store"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(f"{root / 'STORE'} does not read: {error}") from error
    if version != FORMAT_VERSION or len(store_id) != len(uuid.UUID(int=0).bytes):
        raise StoreDamaged(f"{root / 'STORE'} has format {version}, this version knows {FORMAT_VERSION}")
    return store_id
