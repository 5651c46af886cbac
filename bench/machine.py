"""Where the figures come from: they mean little without it."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter

PACKAGES = ("pictact-actors", "pykka", "cbor2", "google-crc32c", "plyvel", "plyvel-next", "lmdb", "diskcache", "redis")
SYNCS = 200
ADDITIONS = 1_000_000
PAGE = 4096


def describe(directory: Path) -> dict[str, object]:
    """Return the processors, the system, one sync of the disk in microseconds, and all versions."""
    versions = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "sync_us": round(_sync_us(directory)),
        "versions": versions,
    }


def yardsticks(directory: Path) -> dict[str, float]:
    """Return what the machine alone takes now, without any store: a sync, and a million additions in Python."""
    began = perf_counter()
    sum(number for number in range(ADDITIONS))
    python_ms = (perf_counter() - began) * 1e3
    return {"sync_us": _sync_us(directory), "python_ms": python_ms}


def _sync_us(directory: Path) -> float:
    """Return the median time of writing and syncing a few bytes in a preallocated file."""
    with tempfile.TemporaryFile(dir=directory) as file:
        number = file.fileno()
        os.posix_fallocate(number, 0, SYNCS * PAGE)
        os.fsync(number)
        return median(_sync(number, at * PAGE) for at in range(SYNCS)) * 1e6


def _sync(number: int, at: int) -> float:
    began = perf_counter()
    os.pwrite(number, b"bench", at)
    os.fdatasync(number)
    return perf_counter() - began
