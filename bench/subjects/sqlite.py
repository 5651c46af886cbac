"""SQLite, write-ahead log and `synchronous=FULL`: one connection behind a lock, or one for each caller.

An award is one upsert in autocommit: it takes the write lock at once, as BEGIN IMMEDIATE would, with two statements
less. Only the board has an index by points: elsewhere it would slow down the awards and speed up nothing. Its tables
are WITHOUT ROWID, as SQLite's documentation advises for small rows under a key of several columns, and queries go
through sqlite3's cache of prepared statements.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import ClassVar

from bench.subjects.protocol import Board, Draw, Line, Stored

BUSY_TIMEOUT_S = 60.0
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS match(post TEXT PRIMARY KEY, status TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS score(
        post TEXT NOT NULL, user TEXT NOT NULL, points INTEGER NOT NULL, wins INTEGER NOT NULL,
        PRIMARY KEY (post, user)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS lifetime(
        user TEXT PRIMARY KEY, wins INTEGER NOT NULL, played INTEGER NOT NULL, points INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS history(
        user TEXT NOT NULL, post TEXT NOT NULL, points INTEGER NOT NULL, wins INTEGER NOT NULL, rank INTEGER NOT NULL,
        PRIMARY KEY (user, post)
    ) WITHOUT ROWID;
"""
_BOARD_SCHEMA = """
    CREATE TABLE board(user TEXT PRIMARY KEY, points INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX board_order ON board(points DESC, user);
"""
_LOAD = "INSERT INTO score VALUES (?, ?, ?, 0)"
_AWARD = "INSERT INTO score VALUES (?, ?, 1, 0) ON CONFLICT DO UPDATE SET points = points + 1"
_PUT = "INSERT INTO score VALUES (?, ?, 1, 0) ON CONFLICT DO UPDATE SET points = 1, wins = 0"
_SCORE = "SELECT points, wins FROM score WHERE post = ? AND user = ?"
_SCAN = "SELECT user, points, wins FROM score WHERE post = ? AND user >= ? ORDER BY user LIMIT ?"
_LIFETIMES = """
    INSERT INTO lifetime SELECT user, wins, 1, points FROM score WHERE post = ?
    ON CONFLICT DO UPDATE SET wins = wins + excluded.wins, played = played + 1, points = points + excluded.points
"""
_HISTORY = """
    INSERT INTO history SELECT user, post, points, wins, rank() OVER (ORDER BY points DESC, wins DESC)
    FROM score WHERE post = ?
"""
_COMPLETED = "UPDATE match SET status = 'completed' WHERE post = ?"


def _connect(directory: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        directory / "scores.db", timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield connection


class _Sqlite(ABC):
    """What both ways share."""

    TITLE: ClassVar[str] = "SQLite FULL"
    LACKS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with closing(_connect(directory)) as connection:
            connection.executescript(_SCHEMA)

    @abstractmethod
    def _using(self) -> AbstractContextManager[sqlite3.Connection]:
        """Have a connection for oneself."""

    @abstractmethod
    def close(self) -> None: ...

    def create(self, posts: Sequence[str]) -> None:
        self._many("INSERT INTO match VALUES (?, 'active')", ((post,) for post in posts))

    def load(self, post: str, scores: Mapping[str, int]) -> None:
        self._many(_LOAD, ((post, user, points) for user, points in scores.items()))

    def award(self, post: str, user: str) -> None:
        self._all(_AWARD, post, user)

    def batch(self, awards: Sequence[Draw]) -> None:
        self._many(_AWARD, awards)

    def score(self, post: str, user: str) -> object:
        return self._all(_SCORE, post, user)

    def put(self, post: str, user: str) -> None:
        self._all(_PUT, post, user)

    def scan(self, post: str, user: str, limit: int) -> int:
        return len(self._all(_SCAN, post, user, limit))

    @staticmethod
    def board(directory: Path) -> Board:
        return SqliteBoard(directory)

    def complete(self, post: str) -> None:
        with self._using() as connection, _transaction(connection):
            for statement in (_LIFETIMES, _HISTORY, _COMPLETED):
                connection.execute(statement, (post,))

    @staticmethod
    def stored(directory: Path) -> Stored:
        return _counted(directory, "score")

    @staticmethod
    def lifetimes(directory: Path) -> Stored:
        return _counted(directory, "lifetime")

    def _all(self, query: str, *values: str | int) -> list[tuple[object, ...]]:
        with self._using() as connection:
            return connection.execute(query, values).fetchall()

    def _many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._using() as connection, _transaction(connection):
            connection.executemany(statement, rows)


class OneConnection(_Sqlite):
    """One connection that all threads share."""

    NAME: ClassVar[str] = "sqlite"
    SETUP: ClassVar[str] = "1 connection"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._connection = _connect(directory)
        self._lock = Lock()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    def close(self) -> None:
        self._connection.close()


class Connections(_Sqlite):
    """A connection for each caller at work, kept for the next; SQLite's own lock keeps writers apart."""

    NAME: ClassVar[str] = "sqlite-pool"
    SETUP: ClassVar[str] = "a connection per thread"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._idle: deque[sqlite3.Connection] = deque()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _connect(self._directory)
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


class SqliteBoard:
    """An index by points that holds all a page needs; writers and readers have connections of their own."""

    def __init__(self, directory: Path) -> None:
        self._writer = _connect(directory)
        self._writer.executescript(_BOARD_SCHEMA)
        self._reader = _connect(directory)

    def fill(self, scores: Mapping[str, int]) -> None:
        with _transaction(self._writer) as writer:
            writer.executemany("INSERT INTO board VALUES (?, ?)", scores.items())
        self._writer.execute("ANALYZE")

    def add(self, users: Sequence[str]) -> None:
        with _transaction(self._writer) as writer:
            writer.executemany("UPDATE board SET points = points + 1 WHERE user = ?", ((user,) for user in users))

    def top(self) -> list[Line]:
        return self._reader.execute("SELECT user, points FROM board ORDER BY points DESC, user LIMIT 10").fetchall()

    def rank(self, user: str) -> int:
        query = "SELECT 1 + count(*) FROM board WHERE points > (SELECT points FROM board WHERE user = ?)"
        return int(self._reader.execute(query, (user,)).fetchone()[0])

    def around(self, user: str) -> list[Line]:
        self._reader.execute("BEGIN")
        points = self._reader.execute("SELECT points FROM board WHERE user = ?", (user,)).fetchone()[0]
        above = self._reader.execute(
            "SELECT user, points FROM board WHERE (-points, user) < (-?1, ?2) AND points >= ?1 "
            "ORDER BY points, user DESC LIMIT 2",
            (points, user),
        ).fetchall()
        below = self._reader.execute(
            "SELECT user, points FROM board WHERE (-points, user) >= (-?1, ?2) AND points <= ?1 "
            "ORDER BY points DESC, user LIMIT 3",
            (points, user),
        ).fetchall()
        self._reader.execute("COMMIT")
        return [*reversed(above), *below]

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


def _counted(directory: Path, table: str) -> Stored:
    with closing(_connect(directory)) as connection:
        return Stored(*connection.execute(f"SELECT count(*), coalesce(sum(points), 0) FROM {table}").fetchone())
