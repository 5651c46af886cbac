"""What a store takes of its disk, and what the disk has left."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Disk space by what it is for, in bytes (memory of a store without a disk), and where the base ends."""

    journal_bytes: int = 0
    state_bytes: int = 0
    base_bytes: int = 0
    archive_bytes: int = 0
    ballast_bytes: int = 0
    backup_bytes: int = 0
    damaged_bytes: int = 0
    base_seq: int = 0
    """The last commit that is not kept one by one any more; 0 while all are."""

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return sum(self[:7])


def size_of(directory: Path) -> int:
    """Return the size of all files in a directory, 0 if there is none."""
    total = 0
    with suppress(FileNotFoundError), os.scandir(directory) as files:
        for file in files:
            with suppress(FileNotFoundError):  # LevelDB removes files at any time
                total += file.stat().st_size
    return total


def free_bytes(path: Path) -> int:
    """Return what the disk has left for us, in bytes."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize
