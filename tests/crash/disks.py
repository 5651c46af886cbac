"""Stores with small files, and a disk that is soon full."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from games import points_of

from pictact_actors import Store, StoreConfig

KIB = 1024
CONFIG = StoreConfig(
    journal_segment_bytes=32 * KIB,
    state_buffer_bytes=64 * KIB,
    state_cache_bytes=64 * KIB,
    state_pending_max=4_096,
    cache_bytes_max=4 * KIB,
    request_timeout_s=20.0,
)
"""Small files, and hardly any cache: reads go to the state."""


def opened(path: Path, **limits: Any) -> Store:
    return Store.open(path, config=CONFIG if not limits else StoreConfig(**limits))


def awards(store: Store) -> Counter[str]:
    """The points of all players, from disk."""
    return Counter(points_of(store))


class SmallDisk:
    """A file system of a few megabytes, and a file that fills what is left of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, spare: int = 0) -> None:
        """Leave no room, or hardly any."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(64 * KIB))
            except OSError:
                pass
        if spare:
            with self._filler.open("r+b") as file:
                file.truncate(max(0, self._filler.stat().st_size - spare))

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()


@contextmanager
def small_disk_at(path: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount a small file system; skip the test, and say why, where that cannot be done."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: a small file system needs root: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)  # noqa: S607
