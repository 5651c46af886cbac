"""The twins of archived files: a copy of each, because nothing else has what is in them.

    archive/copies = ( NAME [".damaged"] )*         NAME: as in the archive when it is done

A twin is there, durable, before its file is pending. When the two differ, the one that reads is copied over the other.
A file that is missing comes back as pending: finishing it again does no harm, and it may not have been finished.
Whoever moves files away for good moves or removes their twins too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.truth.segment import checksum_of, sync_directory, write_durably

COPIES = "copies"
PENDING, DAMAGED = ".pending", ".damaged"
_NEW = ".new"
_COMPARED_BYTES_MAX = 64 * 1024 * 1024
"""Files of so much are compared byte by byte when a store is opened, the newest; the others by their size."""


class Twins:
    """The copies of one archive. Those of files that are written by others are left alone."""

    def __init__(self, archive: Path, require_whole: Callable[[Path], None]) -> None:
        """`require_whole` raises `StoreDamaged` if a file does not read."""
        self._archive = archive
        self._path = archive / COPIES
        self._require_whole = require_whole

    def add(self, name: str, file: Path) -> None:
        """Copy a file durably, before it is there under its name."""
        if not self._path.exists():
            self._path.mkdir()
            sync_directory(self._archive)
        _copy(file, self._path / name)

    def set_aside(self, name: str) -> None:
        """Keep the twin of a file that is kept for people to look at, but do not bring that one back."""
        with suppress(FileNotFoundError):
            (self._path / name).rename(self._path / f"{name}{DAMAGED}")

    def mend(self, names: set[str]) -> Iterator[tuple[str, str]]:
        """Bring files and twins in step; yield what was found and what was done. `names` are those of the files."""
        had_twins = self._path.exists()
        for left in self._path.glob(f"*{_NEW}"):
            left.unlink()
        aside = {name.removesuffix(DAMAGED) for name in names if name.endswith(DAMAGED)}
        known = {name.removesuffix(PENDING) for name in names} | {path.name for path in self._path.glob("*")}
        compared_bytes = 0
        for name in sorted(known, reverse=True):
            if name.endswith(DAMAGED) or name in aside:
                continue
            done = self.mend_one(name, thoroughly=compared_bytes < _COMPARED_BYTES_MAX)
            with suppress(OSError):
                compared_bytes += (self._path / name).stat().st_size
            if done and (had_twins or not (self._path / name).exists()):
                yield done

    def mend_one(self, name: str, *, thoroughly: bool) -> tuple[str, str] | None:
        """Compare a file with its twin and mend the one that is damaged; return what was found and done, if anything.

        Not thoroughly: only if one of them is missing, or they differ in size.
        """
        twin, file = self._path / name, self._archive / name
        if not file.exists():
            file = self._archive / f"{name}{PENDING}"
        if file.exists() and twin.exists() and not _differ(file, twin, thoroughly=thoroughly):
            return None
        if self._is_whole(file):
            self.add(name, file)
            return f"the copy of {file} was missing or damaged", "copied again"
        if self._is_whole(twin):
            _copy(twin, file)
            return f"{file} was missing or damaged", "taken from its copy"
        return f"{file} is damaged, and its copy too", "left as it is"

    def _is_whole(self, path: Path) -> bool:
        try:
            self._require_whole(path)
        except (StoreDamaged, OSError):
            return False
        return True


def _differ(file: Path, twin: Path, *, thoroughly: bool) -> bool:
    if file.stat().st_size != twin.stat().st_size:
        return True
    return thoroughly and checksum_of(file) != checksum_of(twin)


def _copy(source: Path, path: Path) -> None:
    """Copy a file durably: under its name it is whole."""
    aside = path.with_name(f"{path.name}{_NEW}")
    try:
        write_durably(aside, source.read_bytes())
        aside.rename(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
