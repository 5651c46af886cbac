"""LevelDB through plyvel with 64 striped locks: the store that a careful user writes in an afternoon.

LevelDB's guide asks for `sync` on writes that must last and for a bloom filter where keys are looked up at random; both
are here. A batch locks all its stripes, in order, and is one synced write batch. The board is a second range of keys,
by falling points, kept in the same batch: its top is a short range, a rank is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import cbor2

from bench.subjects.completion import completion
from bench.subjects.protocol import Board, Draw, Line, Stored

try:
    import plyvel
except ModuleNotFoundError:  # Python 3.13 and newer
    import plyvel_next as plyvel

STRIPES = 64
STEP = 4_000
POINTS_MAX = 2**63


class StripedPlyvel:
    """Read, add and write under the lock of the key, `sync=True`."""

    NAME: ClassVar[str] = "plyvel"
    TITLE: ClassVar[str] = "plyvel, striped locks"
    SETUP: ClassVar[str] = ""
    LACKS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, directory: Path) -> None:
        self._db = plyvel.DB(str(directory / "db"), create_if_missing=True, bloom_filter_bits=10)
        self._locks = [Lock() for _ in range(STRIPES)]

    def create(self, posts: Sequence[str]) -> None:
        for post in posts:
            self._db.put(f"match:{post}".encode(), cbor2.dumps({"status": "active"}), sync=True)

    def load(self, post: str, scores: Mapping[str, int]) -> None:
        rest = iter(scores.items())
        while step := list(islice(rest, STEP)):
            with self._db.write_batch(transaction=True, sync=True) as batch:
                for user, points in step:
                    batch.put(f"score:{post}:{user}".encode(), cbor2.dumps({"points": points, "wins": 0}))

    def award(self, post: str, user: str) -> None:
        key = f"score:{post}:{user}".encode()
        with self._locks[hash(key) % STRIPES]:
            self._db.put(key, cbor2.dumps(self._with_a_point(key)), sync=True)

    def batch(self, awards: Sequence[Draw]) -> None:
        awarded = [f"score:{post}:{user}".encode() for post, user in awards]
        with self._locked(awarded):
            new: dict[bytes, dict[str, int]] = {}
            for key in awarded:
                score = new.get(key) or self._read(key)
                score["points"] += 1
                new[key] = score
            with self._db.write_batch(transaction=True, sync=True) as batch:
                for key, score in new.items():
                    batch.put(key, cbor2.dumps(score))

    def score(self, post: str, user: str) -> object:
        return cbor2.loads(self._db.get(f"score:{post}:{user}".encode()))

    def put(self, post: str, user: str) -> None:
        key = f"score:{post}:{user}".encode()
        with self._locks[hash(key) % STRIPES]:
            self._db.put(key, cbor2.dumps({"points": 1, "wins": 0}), sync=True)

    def scan(self, post: str, user: str, limit: int) -> int:
        first, stop = f"score:{post}:{user}".encode(), f"score:{post};".encode()
        with self._db.iterator(start=first, stop=stop, include_key=False) as values:
            return sum(1 for _ in map(cbor2.loads, islice(values, limit)))

    @staticmethod
    def board(directory: Path) -> Board:
        return PlyvelBoard(directory)

    def complete(self, post: str) -> None:
        prefix = f"score:{post}:".encode()
        with ExitStack() as locks:
            for lock in self._locks:
                locks.enter_context(lock)
            scores = ((key.decode(), cbor2.loads(value)) for key, value in self._db.prefixed_db(prefix))
            with self._db.write_batch(transaction=True, sync=True) as batch:
                for key, record in completion(post, scores, self._lifetime):
                    batch.put(key.encode(), cbor2.dumps(record))

    def close(self) -> None:
        self._db.close()

    @staticmethod
    def stored(directory: Path) -> Stored:
        return _counted(directory, b"score:")

    @staticmethod
    def lifetimes(directory: Path) -> Stored:
        return _counted(directory, b"lifetime:")

    @contextmanager
    def _locked(self, awarded: Sequence[bytes]) -> Iterator[None]:
        with ExitStack() as locks:
            for stripe in sorted({hash(key) % STRIPES for key in awarded}):
                locks.enter_context(self._locks[stripe])
            yield

    def _read(self, key: bytes) -> dict[str, int]:
        value = self._db.get(key)
        return {"points": 0, "wins": 0} if value is None else cbor2.loads(value)

    def _with_a_point(self, key: bytes) -> dict[str, int]:
        score = self._read(key)
        score["points"] += 1
        return score

    def _lifetime(self, user: str) -> dict[str, Any] | None:
        value = self._db.get(f"lifetime:{user}".encode())
        return None if value is None else cbor2.loads(value)


class PlyvelBoard:
    """Players by name, and again by falling points; one lock for both."""

    def __init__(self, directory: Path) -> None:
        self._db = plyvel.DB(str(directory / "db"), create_if_missing=True, bloom_filter_bits=10)
        self._order = self._db.prefixed_db(b"order:")
        self._lock = Lock()

    def fill(self, scores: Mapping[str, int]) -> None:
        rest = iter(scores.items())
        while step := list(islice(rest, STEP)):
            with self._db.write_batch(transaction=True, sync=True) as batch:
                for user, points in step:
                    batch.put(b"score:" + user.encode(), _falling(points))
                    batch.put(b"order:" + _falling(points) + user.encode(), b"")

    def add(self, users: Sequence[str]) -> None:
        with self._lock:
            new: dict[str, int] = {}
            with self._db.write_batch(transaction=True, sync=True) as batch:
                for user in users:
                    before = new.get(user) or self._points(user)
                    batch.delete(b"order:" + _falling(before) + user.encode())
                    batch.put(b"order:" + _falling(before + 1) + user.encode(), b"")
                    new[user] = before + 1
                for user, points in new.items():
                    batch.put(b"score:" + user.encode(), _falling(points))

    def top(self) -> list[Line]:
        with self._order.iterator(include_value=False) as entries:
            return [_line(key) for key in islice(entries, 10)]

    def rank(self, user: str) -> int:
        with self._order.iterator(stop=_falling(self._points(user)), include_value=False) as better:
            return 1 + sum(1 for _ in better)

    def around(self, user: str) -> list[Line]:
        own = _falling(self._points(user)) + user.encode()
        with self._order.iterator(stop=own, reverse=True, include_value=False) as better:
            above = [_line(key) for key in islice(better, 2)]
        with self._order.iterator(start=own, include_value=False) as rest:
            return [*reversed(above), *(_line(key) for key in islice(rest, 3))]

    def close(self) -> None:
        self._db.close()

    def _points(self, user: str) -> int:
        return _points_of(self._db.get(b"score:" + user.encode()))


def _falling(points: int) -> bytes:
    return (POINTS_MAX - points).to_bytes(8, "big")


def _points_of(falling: bytes) -> int:
    return POINTS_MAX - int.from_bytes(falling, "big")


def _line(key: bytes) -> Line:
    return key[8:].decode(), _points_of(key[:8])


def _counted(directory: Path, prefix: bytes) -> Stored:
    db = plyvel.DB(str(directory / "db"), create_if_missing=False)
    points = [cbor2.loads(value)["points"] for value in db.iterator(prefix=prefix, include_key=False)]
    db.close()
    return Stored(len(points), sum(points))
