"""Ballast: room on the disk that is held for nothing, and given up when the disk is full.

Removing what is due needs some room first: a journal segment for the deletes, room for merging, and what LevelDB needs
to be opened again. So a file of that size is kept; only cleanup and deletes use the room while it is gone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pictact_actors.storage.truth.segment import sync_directory

NAME = "ballast"
_SHARE = 2
"""It takes at most this part of what is free: on a tiny disk the store needs the room itself."""
_GROWTH = 1.5
"""It is made larger when it can be so many times as large."""


class Ballast:
    """The file that holds room. One thread at a time takes or drops it."""

    def __init__(self, directory: Path, bytes_max: int) -> None:
        self._path = directory / NAME
        self._bytes_max = bytes_max
        self.size_bytes = 0
        with suppress(FileNotFoundError):
            self.size_bytes = self._path.stat().st_size

    def take(self, room_bytes: float, used_bytes: int) -> None:
        """Hold as much as there should be: no more than the store itself uses, and not too much of the room."""
        size = int(min(self._bytes_max, used_bytes, max(0.0, self.size_bytes + room_bytes) // _SHARE))
        if size < self.size_bytes * _GROWTH and not self.size_bytes < size == self._bytes_max:
            return
        if size <= self.size_bytes:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(fd, 0, size)
            self.size_bytes = size
        except OSError:
            self.drop()
        finally:
            os.close(fd)

    def drop(self) -> int:
        """Give the room back; return how much it was, in bytes."""
        size, self.size_bytes = self.size_bytes, 0
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            sync_directory(self._path.parent)
        return size
