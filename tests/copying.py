"""Copies of a data directory, as a crash or a copy command leaves them."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from waiting import until


def copy_of(source: Path, to: Path) -> Path:
    """Copy everything but sockets, which nobody can copy, as it was at one moment; what was at `to` goes.

    A running store writes and gives back files by itself: a copy during which that happened is made once more.
    """

    def is_of_one_moment() -> bool:
        shutil.rmtree(to, ignore_errors=True)
        before = _stamps(source)
        try:
            shutil.copytree(source, to, ignore=_sockets)
        except (shutil.Error, FileNotFoundError):
            if _stamps(source) == before:
                raise
        return _stamps(source) == before

    until(is_of_one_moment)
    return to


def _sockets(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(directory, name).is_socket()]


def _stamps(source: Path) -> dict[Path, tuple[int, int, int]]:
    stamps = {}
    for directory, _, names in os.walk(source):
        for path in [Path(directory, name) for name in names]:
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                stamps[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return stamps
