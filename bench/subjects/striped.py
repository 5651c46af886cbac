"""LevelDB through plyvel with 64 striped locks: the store that a careful user writes in an afternoon."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import cbor2

try:
    import plyvel
except ModuleNotFoundError:  # Python 3.13 and newer
    import plyvel_next as plyvel

STRIPES = 64


class StripedPlyvel:
    """Read, add and write under the lock of the key, `sync=True`; a bloom filter for reads, as its guide advises."""

    NAME: ClassVar[str] = "plyvel"
    TITLE: ClassVar[str] = "plyvel, striped locks"
    SETUP: ClassVar[str] = ""

    def __init__(self, directory: Path) -> None:
        self._db = plyvel.DB(str(directory / "db"), create_if_missing=True, bloom_filter_bits=10)
        self._locks = [Lock() for _ in range(STRIPES)]

    def create(self, posts: Sequence[str]) -> None:
        for post in posts:
            self._db.put(f"match:{post}".encode(), cbor2.dumps({"status": "active"}), sync=True)

    def award(self, post: str, user: str) -> None:
        key = f"score:{post}:{user}".encode()
        with self._locks[hash(key) % STRIPES]:
            value = self._db.get(key)
            score = {"points": 0, "wins": 0} if value is None else cbor2.loads(value)
            score["points"] += 1
            self._db.put(key, cbor2.dumps(score), sync=True)

    def score(self, post: str, user: str) -> object:
        return cbor2.loads(self._db.get(f"score:{post}:{user}".encode()))

    def top(self, post: str, _user: str) -> object:
        scores = [(cbor2.loads(value), key) for key, value in self._db.iterator(prefix=f"score:{post}:".encode())]
        return heapq.nlargest(10, scores, key=_points)

    def close(self) -> None:
        self._db.close()

    @staticmethod
    def stored_points(directory: Path) -> int:
        db = plyvel.DB(str(directory / "db"), create_if_missing=False)
        points = sum(cbor2.loads(value)["points"] for value in db.iterator(prefix=b"score:", include_key=False))
        db.close()
        return int(points)


def _points(entry: tuple[Any, bytes]) -> tuple[int, int]:
    score, _ = entry
    return score["points"], score["wins"]
