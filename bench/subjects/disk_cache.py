"""diskcache: a dictionary on disk, made of SQLite; one `Cache`, or `FanoutCache` with a shard for each of 8 writers.

As its documentation says: never evicting (`eviction_policy="none"`, nothing culled), `incr` for counters, `transact`
around what belongs together. Its default is `synchronous=NORMAL`, which may lose the last commits at a power cut: here
it is FULL, so that the promise is the same. The timeout is long, so that no write is given up. What a score holds is
only the points, a number that SQLite itself can add to; who plays in a match is a list beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import diskcache

from bench.subjects.completion import completion
from bench.subjects.protocol import Draw, Stored

BUSY_TIMEOUT_S = 60.0
SQLITE_FULL = 2
SETTINGS: dict[str, object] = {
    "timeout": BUSY_TIMEOUT_S,
    "eviction_policy": "none",
    "cull_limit": 0,
    "size_limit": 2**40,
    "sqlite_synchronous": SQLITE_FULL,
}


class DiskCache:
    """One cache that all threads share."""

    NAME: ClassVar[str] = "diskcache"
    TITLE: ClassVar[str] = "diskcache FULL"
    SETUP: ClassVar[str] = "Cache"
    LACKS: ClassVar[Mapping[str, str]] = {
        "boards": "diskcache keeps nothing in order",
        "ycsb-e": "diskcache has no ranges of keys",
    }

    def __init__(self, directory: Path) -> None:
        self._cache = self._opened(directory)

    @classmethod
    def _opened(cls, directory: Path) -> Any:
        return diskcache.Cache(str(directory / "cache"), **SETTINGS)

    def create(self, posts: Sequence[str]) -> None:
        with self._cache.transact():
            for post in posts:
                self._cache.set(f"match:{post}", "active")

    def load(self, post: str, scores: Mapping[str, int]) -> None:
        with self._cache.transact():
            self._cache.set(f"players:{post}", [*self._cache.get(f"players:{post}", ()), *scores])
            for user, points in scores.items():
                self._cache.set(f"score:{post}:{user}", points)

    def award(self, post: str, user: str) -> None:
        if self._cache.incr(f"score:{post}:{user}") == 1:
            self._enlist(post, user)

    def batch(self, awards: Sequence[Draw]) -> None:
        with self._cache.transact():
            for post, user in awards:
                self.award(post, user)

    def score(self, post: str, user: str) -> object:
        return self._cache[f"score:{post}:{user}"]

    def put(self, post: str, user: str) -> None:
        self._cache.set(f"score:{post}:{user}", 1)

    def complete(self, post: str) -> None:
        with self._cache.transact():
            players = self._cache[f"players:{post}"]
            scores = ((user, {"points": self._cache[f"score:{post}:{user}"], "wins": 0}) for user in players)
            for key, record in completion(post, scores, lambda user: self._cache.get(f"lifetime:{user}")):
                self._cache.set(key, record)

    def close(self) -> None:
        self._cache.close()

    @classmethod
    def stored(cls, directory: Path) -> Stored:
        return cls._counted(directory, "score:")

    @classmethod
    def lifetimes(cls, directory: Path) -> Stored:
        return cls._counted(directory, "lifetime:")

    def _enlist(self, post: str, user: str) -> None:
        with self._cache.transact():
            self._cache.set(f"players:{post}", [*self._cache.get(f"players:{post}", ()), user])

    @classmethod
    def _counted(cls, directory: Path, prefix: str) -> Stored:
        cache = cls._opened(directory)
        found = [cache[key] for key in cache if key.startswith(prefix)]
        cache.close()
        points = [value if isinstance(value, int) else value["points"] for value in found]
        return Stored(len(points), sum(points))


class Fanout(DiskCache):
    """Eight databases: each writer locks one of them, a transaction locks all."""

    NAME: ClassVar[str] = "diskcache-fanout"
    SETUP: ClassVar[str] = "FanoutCache, 8 shards"

    @classmethod
    def _opened(cls, directory: Path) -> Any:
        return diskcache.FanoutCache(str(directory / "cache"), shards=8, **SETTINGS)
