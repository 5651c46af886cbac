"""Who is measured: the store, the parts it is made of, and what a user would pick instead. One file each.

Every file begins with how its peer is set up, and why: as its own documentation recommends, with the promise of the
store (what is acknowledged survives a power cut). What this machine lacks is in `MISSING`, with what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from bench.subjects.protocol import Subject

_PLACES = (
    ("pictact", "pictact_actors", ("PictactStore",)),
    ("bare", "bare parts", ("BareParts", "BulkParts")),
    ("striped", "plyvel, striped locks", ("StripedPlyvel",)),
    ("sqlite", "SQLite FULL", ("OneConnection", "Connections")),
    ("lightning", "LMDB", ("Lightning",)),
    ("disk_cache", "diskcache FULL", ("DiskCache", "Fanout")),
    ("redis_server", "Redis always", ("RedisAlways",)),
)


def _found() -> tuple[list[type[Subject]], dict[str, str]]:
    found: list[type[Subject]] = []
    missing: dict[str, str] = {}
    for place, title, names in _PLACES:
        try:
            module = import_module(f"bench.subjects.{place}")
        except ModuleNotFoundError as error:
            missing[title] = f"{error.name} is not installed: pip install -e '.[bench]'"
            continue
        lacking = module.missing() if hasattr(module, "missing") else None
        if lacking:
            missing[title] = lacking
        else:
            found += [getattr(module, name) for name in names]
    return found, missing


SUBJECTS: Sequence[type[Subject]]
MISSING: dict[str, str]
SUBJECTS, MISSING = _found()
STORE = SUBJECTS[0]

__all__ = ["MISSING", "STORE", "SUBJECTS", "Subject"]
