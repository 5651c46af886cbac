"""Copies of a data directory, as a crash or a copy command leaves them."""

from __future__ import annotations

import shutil
from pathlib import Path


def copy_of(source: Path, to: Path, **options: bool) -> Path:
    """Copy everything but sockets, which nobody can copy."""
    return Path(shutil.copytree(source, to, ignore=_sockets, **options))


def _sockets(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(directory, name).is_socket()]
