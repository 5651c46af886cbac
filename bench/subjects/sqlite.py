"""SQLite, write-ahead log and `synchronous=FULL`: one connection behind a lock, or one for each caller.

An award is one upsert in autocommit: it takes the write lock at once, as BEGIN IMMEDIATE would, with two statements
less. There is no index by points: it would slow down the awards more than it speeds up a board of this size.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import ClassVar

BUSY_TIMEOUT_S = 60.0
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS match(post TEXT PRIMARY KEY, status TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS score(
        post TEXT NOT NULL, user TEXT NOT NULL, points INTEGER NOT NULL, wins INTEGER NOT NULL,
        PRIMARY KEY (post, user)
    ) WITHOUT ROWID;
"""
_AWARD = "INSERT INTO score VALUES (?, ?, 1, 0) ON CONFLICT DO UPDATE SET points = points + 1"
_SCORE = "SELECT points, wins FROM score WHERE post = ? AND user = ?"
_TOP = "SELECT user, points, wins FROM score WHERE post = ? ORDER BY points DESC, wins DESC LIMIT 10"


def _connect(directory: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        directory / "scores.db", timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


class _Sqlite(ABC):
    """What both ways share."""

    TITLE: ClassVar[str] = "SQLite FULL"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with closing(_connect(directory)) as connection:
            connection.executescript(_SCHEMA)

    @abstractmethod
    def _all(self, query: str, *values: str) -> list[tuple[object, ...]]: ...

    @abstractmethod
    def close(self) -> None: ...

    def create(self, posts: Sequence[str]) -> None:
        for post in posts:
            self._all("INSERT INTO match VALUES (?, 'active')", post)

    def award(self, post: str, user: str) -> None:
        self._all(_AWARD, post, user)

    def score(self, post: str, user: str) -> object:
        return self._all(_SCORE, post, user)

    def top(self, post: str, _user: str) -> object:
        return self._all(_TOP, post)

    @staticmethod
    def stored_points(directory: Path) -> int:
        with closing(_connect(directory)) as connection:
            return int(connection.execute("SELECT sum(points) FROM score").fetchone()[0])


class OneConnection(_Sqlite):
    """One connection that all threads share."""

    NAME: ClassVar[str] = "sqlite"
    SETUP: ClassVar[str] = "1 connection"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._connection = _connect(directory)
        self._lock = Lock()

    def _all(self, query: str, *values: str) -> list[tuple[object, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        self._connection.close()


class Connections(_Sqlite):
    """A connection for each caller at work, kept for the next; SQLite's own lock keeps writers apart."""

    NAME: ClassVar[str] = "sqlite-pool"
    SETUP: ClassVar[str] = "pooled"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._idle: deque[sqlite3.Connection] = deque()

    def _all(self, query: str, *values: str) -> list[tuple[object, ...]]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _connect(self._directory)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
