"""A place for backups: a directory with one manifest for each, and a pool of files that they share.

    place = LOCK  pool/  SEQ-CHAIN.backup*          see `manifest.py`
    pool  = NUMBER-PRINT.layer                      PRINT: of its header, which says what is in it
            NUMBER-CHAIN.journal                    a segment up to the frame whose hash is CHAIN
            DIGEST.archive                          a file of the archive

A file in the pool never changes, and its name says what is in it: what is there already is not copied again, only read
again. A file gets its name when it is synced; a manifest is written last, when all it names was read back. So what a
crash or a full disk leaves half done is never taken for a backup. Who writes holds LOCK.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pictact_actors.errors import BackupInvalid
from pictact_actors.storage.backup.digest import CHUNK_BYTES, file_digest
from pictact_actors.storage.backup.manifest import PATTERN, Manifest, Piece, read_manifest
from pictact_actors.storage.truth.segment import sync_directory, write_all, write_durably

POOL = "pool"
_NEW = ".new"


class Place:
    """A directory for backups. Reading needs nothing; one at a time writes, in `writing`.

    What is being written is `aside`, under a name of the writer's own. `copied_bytes` counts what was added.
    """

    def __init__(self, path: Path, aside: str = "backup") -> None:
        self.path = path
        self.pool = path / POOL
        self._aside = f"{aside}{_NEW}"
        self.copied_bytes = 0
        self._added: list[Path] = []

    def manifest_paths(self) -> list[Path]:
        """Return the files of all backups, the oldest moment first."""
        return sorted(self.path.glob(PATTERN))

    def manifests(self) -> list[Manifest]:
        """Return all backups whose own file reads, the oldest moment first."""
        found: list[Manifest] = []
        for path in self.manifest_paths():
            with suppress(BackupInvalid):
                found.append(read_manifest(path))
        return found

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the place, made if need be. What was added without a manifest goes again when the block raises."""
        missing = [path for path in (self.pool, *self.pool.parents) if not path.exists()]
        self.pool.mkdir(parents=True, exist_ok=True)
        for path in missing:
            sync_directory(path.parent)
        fd = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._hold(fd)
            self._added, self.copied_bytes = [], 0
            for left in (self.pool, self.path):
                (left / self._aside).unlink(missing_ok=True)
            yield
        except BaseException:
            for path in self._added:
                with suppress(OSError):
                    path.unlink()
            raise
        finally:
            os.close(fd)

    def _hold(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupInvalid(str(self.path), "another backup is being written there, wait for its end") from None

    def require_own(self, store_id: bytes) -> list[Manifest]:
        """Return the backups there are. Raises `BackupInvalid` if some are of another store."""
        manifests = self.manifests()
        for manifest in manifests:
            if manifest.store_id != store_id:
                raise BackupInvalid(
                    str(self.path), f"it holds backups of another store ({manifest.store_id.hex()}), name another one"
                )
        return manifests

    # -- writing

    def put(
        self, name: str, pooled: str, source: Path, size_bytes: int, known: bytes | None = None
    ) -> Generator[None, None, Piece]:
        """Have the first bytes of a file in the pool, synced and read back; `known`: the digest it must have.

        Raises `OSError` when there is no room, `BackupInvalid` if it does not read back as it was written.
        """
        path = self.pool / pooled
        with suppress(FileNotFoundError):
            if path.stat().st_size == size_bytes:
                found = yield from file_digest(path)
                if known is None or known == found:
                    return Piece(name, pooled, size_bytes, found)
        yield from self._copy(source, path, size_bytes)
        if known is None:
            self._added.append(path)
        digest = yield from file_digest(path)
        if path.stat().st_size != size_bytes or known not in (None, digest):
            raise BackupInvalid(str(path), "it does not read back as it was written, see to its disk")
        return Piece(name, pooled, size_bytes, digest)

    def _copy(self, source: Path, path: Path, size_bytes: int) -> Iterator[None]:
        aside = path.with_name(self._aside)
        try:
            yield from copied(source, aside, size_bytes)
            aside.rename(path)
        except BaseException:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        self.copied_bytes += size_bytes

    def declare(self, manifest: Manifest) -> None:
        """Write a manifest durably, whose files are there, and read it back."""
        sync_directory(self.pool)
        path = self.path / manifest.name
        aside = path.with_name(self._aside)
        try:
            write_durably(aside, manifest.packed())
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        if read_manifest(aside) != manifest:
            raise BackupInvalid(str(aside), "it does not read back as it was written, see to its disk")
        aside.rename(path)
        self._added.clear()
        sync_directory(self.path)

    def prune(self, keep: int) -> int:
        """Remove all backups but the latest ones, and what nobody needs then; return how many there are left.

        Segments from the oldest backup that stays on are kept also when no manifest names them: they lead from one
        backup to the next.
        """
        kept = self.manifests()
        kept.sort(key=lambda manifest: (manifest.seq, manifest.taken_at))
        gone, kept = kept[: max(0, len(kept) - keep)], kept[-keep:]
        for manifest in gone:
            (self.path / manifest.name).unlink(missing_ok=True)
        if gone:
            sync_directory(self.path)
        self._sweep(kept)
        return len(kept)

    def _sweep(self, kept: Iterable[Manifest]) -> None:
        needed = {piece.pooled for manifest in kept for piece in manifest.pieces}
        first = min((_last_segment(manifest) for manifest in kept), default=0)
        for path in self.pool.iterdir():
            follows = path.suffix == ".journal" and _number_of(path) >= first
            if path.name not in needed and not follows and path.suffix != _NEW:
                path.unlink(missing_ok=True)


def copied(source: Path, path: Path, size_bytes: int, behind: bytes = b"") -> Generator[None, None, None]:
    """Copy the first bytes of a file, and others behind them, step by step, and sync the copy."""
    with source.open("rb", buffering=0) as file:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            at = 0
            while at < size_bytes and (chunk := file.read(min(CHUNK_BYTES, size_bytes - at))):
                write_all(fd, chunk, at)
                at += len(chunk)
                yield
            write_all(fd, behind, at)
            os.fsync(fd)
        finally:
            os.close(fd)


def _last_segment(manifest: Manifest) -> int:
    return max(piece.number for piece in manifest.pieces if piece.is_segment)


def _number_of(path: Path) -> int:
    number = path.name.partition("-")[0]
    return int(number) if number.isdigit() else 0
