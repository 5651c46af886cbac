"""LMDB through py-lmdb: one memory-mapped tree, one writer at a time, readers that wait for nobody.

As its documentation says: a map far larger than the data (on 64 bits that costs nothing), `sync` and `metasync` on (the
defaults, and the only setting that survives a power cut), `writemap` off (its protection from stray writes), values
read within a transaction, and a spare read transaction for each thread. A write is a transaction: LMDB queues writers
by itself, so no locks are needed. The board is a second database, by falling points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import cbor2
import lmdb

from bench.subjects.completion import completion
from bench.subjects.protocol import Board, Draw, Line, Stored

MAP_BYTES = 64 * 2**30
THREADS_MAX = 126
STEP = 4_000
POINTS_MAX = 2**63


def _opened(directory: Path, databases: int = 0) -> lmdb.Environment:
    return lmdb.open(str(directory / "db"), map_size=MAP_BYTES, max_dbs=databases, max_spare_txns=THREADS_MAX)


class Lightning:
    """A transaction for each award, or for each batch."""

    NAME: ClassVar[str] = "lmdb"
    TITLE: ClassVar[str] = "LMDB"
    SETUP: ClassVar[str] = ""
    LACKS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, directory: Path) -> None:
        self._env = _opened(directory)

    def create(self, posts: Sequence[str]) -> None:
        with self._env.begin(write=True) as txn:
            for post in posts:
                txn.put(f"match:{post}".encode(), cbor2.dumps({"status": "active"}))

    def load(self, post: str, scores: Mapping[str, int]) -> None:
        rest = iter(scores.items())
        while step := list(islice(rest, STEP)):
            with self._env.begin(write=True) as txn:
                for user, points in step:
                    txn.put(f"score:{post}:{user}".encode(), cbor2.dumps({"points": points, "wins": 0}))

    def award(self, post: str, user: str) -> None:
        with self._env.begin(write=True) as txn:
            _add(txn, post, user)

    def batch(self, awards: Sequence[Draw]) -> None:
        with self._env.begin(write=True) as txn:
            for post, user in awards:
                _add(txn, post, user)

    def score(self, post: str, user: str) -> object:
        with self._env.begin() as txn:
            return cbor2.loads(_required(txn.get(f"score:{post}:{user}".encode())))

    def put(self, post: str, user: str) -> None:
        with self._env.begin(write=True) as txn:
            txn.put(f"score:{post}:{user}".encode(), cbor2.dumps({"points": 1, "wins": 0}))

    def scan(self, post: str, user: str, limit: int) -> int:
        with self._env.begin() as txn, txn.cursor() as cursor:
            if not cursor.set_range(f"score:{post}:{user}".encode()):
                return 0
            prefix = f"score:{post}:".encode()
            page = islice(cursor.iternext(), limit)
            return sum(1 for key, value in page if key.startswith(prefix) and cbor2.loads(value))

    @staticmethod
    def board(directory: Path) -> Board:
        return LightningBoard(directory)

    def complete(self, post: str) -> None:
        with self._env.begin(write=True) as txn:

            def lifetime_of(user: str) -> dict[str, Any] | None:
                value = txn.get(f"lifetime:{user}".encode())
                return None if value is None else cbor2.loads(value)

            scores = list(_scores(txn, f"score:{post}:".encode()))
            for key, record in completion(post, scores, lifetime_of):
                txn.put(key.encode(), cbor2.dumps(record))

    def close(self) -> None:
        self._env.close()

    @staticmethod
    def stored(directory: Path) -> Stored:
        return _counted(directory, b"score:")

    @staticmethod
    def lifetimes(directory: Path) -> Stored:
        return _counted(directory, b"lifetime:")


class LightningBoard:
    """Players by name, and again by falling points, changed in one transaction."""

    def __init__(self, directory: Path) -> None:
        self._env = _opened(directory, databases=2)
        self._scores, self._order = self._env.open_db(b"scores"), self._env.open_db(b"order")

    def fill(self, scores: Mapping[str, int]) -> None:
        rest = iter(scores.items())
        while step := list(islice(rest, STEP)):
            with self._env.begin(write=True) as txn:
                for user, points in step:
                    txn.put(user.encode(), _falling(points), db=self._scores)
                    txn.put(_falling(points) + user.encode(), b"", db=self._order)

    def add(self, users: Sequence[str]) -> None:
        with self._env.begin(write=True) as txn:
            for user in users:
                before = _required(txn.get(user.encode(), db=self._scores))
                after = _falling(_points_of(before) + 1)
                txn.delete(before + user.encode(), db=self._order)
                txn.put(after + user.encode(), b"", db=self._order)
                txn.put(user.encode(), after, db=self._scores)

    def top(self) -> list[Line]:
        with self._env.begin(db=self._order) as txn, txn.cursor() as cursor:
            return [_line(key) for key in islice(cursor.iternext(values=False), 10)]

    def rank(self, user: str) -> int:
        with self._env.begin(db=self._order) as txn, txn.cursor() as cursor:
            own = _required(txn.get(user.encode(), db=self._scores))
            better = 0
            for key in cursor.iternext(values=False):
                if key >= own:
                    break
                better += 1
            return 1 + better

    def around(self, user: str) -> list[Line]:
        with self._env.begin(db=self._order) as txn, txn.cursor() as cursor:
            own = _required(txn.get(user.encode(), db=self._scores)) + user.encode()
            cursor.set_range(own)
            above = list(islice(cursor.iterprev(values=False), 1, 3))
            cursor.set_range(own)
            below = list(islice(cursor.iternext(values=False), 3))
            return [_line(key) for key in (*reversed(above), *below)]

    def close(self) -> None:
        self._env.close()


def _add(txn: lmdb.Transaction[bytes], post: str, user: str) -> None:
    key = f"score:{post}:{user}".encode()
    value = txn.get(key)
    score = {"points": 0, "wins": 0} if value is None else cbor2.loads(value)
    score["points"] += 1
    txn.put(key, cbor2.dumps(score))


def _scores(txn: lmdb.Transaction[bytes], prefix: bytes) -> Iterator[tuple[str, dict[str, int]]]:
    with txn.cursor() as cursor:
        if cursor.set_range(prefix):
            for key, value in cursor.iternext():
                if not key.startswith(prefix):
                    return
                yield key.removeprefix(prefix).decode(), cbor2.loads(value)


def _counted(directory: Path, prefix: bytes) -> Stored:
    env = _opened(directory)
    with env.begin() as txn:
        points = [score["points"] for _, score in _scores(txn, prefix)]
    env.close()
    return Stored(len(points), sum(points))


def _required(value: bytes | None) -> bytes:
    if value is None:
        raise KeyError("nobody of that name is stored")
    return value


def _falling(points: int) -> bytes:
    return (POINTS_MAX - points).to_bytes(8, "big")


def _points_of(falling: bytes) -> int:
    return POINTS_MAX - int.from_bytes(falling, "big")


def _line(key: bytes) -> Line:
    return key[8:].decode(), _points_of(key[:8])
