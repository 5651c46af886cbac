"""What every reader sees: the committed records, one moment at a time.

The committer publishes a commit group as a whole. While it does, `_publishing` is set: a reader that meets it waits
for the end of the moment, because what it just read may be newer than what somebody else is still shown. A reader that
does not meet it has read before or after the group, and needs no lock: a look-up in a dict and a look at the flag.
Readers of several records take the lock of the moment, or pin it in the engine and go on at leisure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from pictact_actors.errors import NotFound, StoreClosed
from pictact_actors.model import codec, keys
from pictact_actors.model.records import Lifetime, Record, Score
from pictact_actors.runtime.cache import SMALL_BYTES, Cache
from pictact_actors.runtime.leaderboard import Board, Boards, LifetimeBoard, LifetimeBoards
from pictact_actors.runtime.staging import Staged
from pictact_actors.storage.engine import Engine, Problem

T = TypeVar("T")
_LOADS = 16
"""Boards that can be loaded at the same time, at the most."""


class Committed:
    """Committed records, leaderboards, and the moment they belong to."""

    def __init__(self, engine: Engine, cache_bytes_max: int, board_players_max: int) -> None:
        self._engine = engine
        self._cache = Cache(cache_bytes_max)
        self._boards = Boards(board_players_max)
        self._lifetime_boards = LifetimeBoards()
        self._moment = threading.Lock()
        self._loads = [threading.Lock() for _ in range(_LOADS)]
        self._publishing = False
        self._version = 0
        self._closed: StoreClosed | None = None

    # -- one record

    def get(self, key: str) -> Record | None:
        """Return the record under a key. Raises `InvalidKey` if there can be none: what is found was checked."""
        record = self._cache.hot.get(key)
        if record is None or self._publishing:
            return self._get_slowly(key)
        return record

    def cached(self, key: str) -> Record | None:
        """Return the record under a key if that needs no wait and no disk."""
        return None if self._publishing else self._cache.hot.get(key)

    def _get_slowly(self, key: str) -> Record | None:
        if self._publishing:
            with self._moment:
                record = self._cache.hot.get(key)
            if record is not None:
                return record
        keys.parse(key)
        version = self._version  # before both look-ups: what is published after it is newer than what they find
        record = self._cache.hot.get(key) or self._cache.cold.get(key)
        if record is None:
            self.require_open()
            self._cache.misses += 1
            value = self._engine.get(key)
            if value is not None:
                record = codec.decode(key, value)
                self._keep(key, record, len(value), version)
        else:
            self._keep(key, record, self._cache.cold_bytes(key), version)
        if self._publishing or self._version != version:
            with self._moment:
                return self._locked_get(key)
        return record

    def _keep(self, key: str, record: Record, value_bytes: int, version: int) -> None:
        """Take a record that was read into the cache, unless anything was published since."""
        if self._moment.acquire(blocking=False):
            try:
                if self._version == version and not self._publishing:
                    self._cache.put(key, record, value_bytes)
            finally:
                self._moment.release()

    def _locked_get(self, key: str) -> Record | None:
        """Return the record under a key while the moment is held."""
        record = self._cache.hot.get(key) or self._cache.cold.get(key)
        if record is None:
            value = self._engine.get(key)
            return None if value is None else codec.decode(key, value)
        return record

    # -- several records of one moment

    def get_many(self, wanted: Iterable[str]) -> dict[str, Record]:
        """Return the records that exist among the wanted ones, all of one moment."""
        listed = list(wanted)
        for _ in range(3):
            version = self._version
            found = {key: self.get(key) for key in listed}
            if self._version == version and not self._publishing:
                break
        else:
            with self._moment:
                found = {key: self._locked_get(key) for key in listed}
        return {key: record for key, record in found.items() if record is not None}

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, Record]]:
        """Iterate the records under a prefix, as they are now, in key order."""
        self.require_open()
        with self._moment:
            pairs = self._engine.scan(prefix, after)
        return self._decode_all(pairs)

    def one_and_scan(self, key: str, prefix: str) -> tuple[Record | None, list[Record]]:
        """Return the record under a key and all those under a prefix, as they are at one moment."""
        self.require_open()
        with self._moment:
            record = self._locked_get(key)
            pairs = self._engine.scan(prefix)
        return record, [record for _, record in self._decode_all(pairs)]

    def pinned(self) -> tuple[Iterator[tuple[str, Record]], Iterator[Problem]]:
        """Return all records of the present moment, and the engine's own check of it."""
        self.require_open()
        with self._moment:
            return self._decode_all(self._engine.scan("")), self._engine.check()

    # -- leaderboards

    def on_board(self, post_id: str, read: Callable[[Board], T]) -> T:
        """Read a post's leaderboard, loading it if need be. Raises `NotFound` if there is no such match."""
        while True:
            with self._moment:
                self.require_open()
                board = self._boards.get(post_id)
                if board is not None:
                    return read(board)
            if self.get(keys.match_key(post_id)) is None:
                raise NotFound(keys.match_key(post_id))
            with self._one_load(post_id):
                self._load_board(post_id)

    def on_lifetime_board(self, by: str, read: Callable[[LifetimeBoard], T]) -> T:
        """Read the leaderboard of all players by a lifetime total, loading it if need be."""
        while True:
            with self._moment:
                self.require_open()
                board = self._lifetime_boards.get(by)
                if board is not None:
                    return read(board)
            with self._one_load(by):
                self._load_lifetime_board(by)

    def _one_load(self, board: str) -> threading.Lock:
        """Return the lock that lets one reader load a board while others who ask for it wait for that."""
        return self._loads[hash(board) % len(self._loads)]

    def _load_board(self, post_id: str) -> None:
        """Load a board from one moment, without holding writers up; what is published meanwhile follows in the end."""
        loaded: Board | None = None
        with self._moment:
            boards = self._boards
            if boards.get(post_id) is not None:
                return
            pairs = self._engine.scan(keys.score_key(post_id, ""))
            loading = boards.begin(post_id)
        try:
            board = Board()
            for _, record in self._decode_all(pairs):
                if isinstance(record, Score):
                    board.put(record)
            loaded = board
        finally:
            with self._moment:
                boards.end(post_id, loading, loaded)

    def _load_lifetime_board(self, by: str) -> None:
        """Load a board of all players in the same way."""
        loaded: LifetimeBoard | None = None
        with self._moment:
            boards = self._lifetime_boards
            if boards.get(by) is not None:
                return
            pairs = self._engine.scan("lifetime:")
            loading = boards.begin()
        try:
            board = LifetimeBoard(by)
            for _, record in self._decode_all(pairs):
                board.put(_lifetime(record))
            loaded = board
        finally:
            with self._moment:
                boards.end(loading, loaded)

    # -- publishing (the committer's)

    def publish(self, staged: Sequence[Staged]) -> None:
        """Show a commit group that is durable: all of it at one moment."""
        with self._moment:
            self._publishing = True
            try:
                self._engine.publish()
                followed = bool(self._boards or self._lifetime_boards)
                for item in staged:
                    self._show(item, followed)
            finally:
                self._version += 1
                self._publishing = False

    def _show(self, item: Staged, followed: bool) -> None:  # noqa: FBT001 - whether any board is loaded
        records = item.records
        cache = self._cache
        for key, value in item.changes.items():
            record = None if records is None else records[key]
            if record is None or value is None:
                cache.forget(key)
            elif len(value) <= SMALL_BYTES and key in cache.hot:
                cache.hot[key] = record  # the usual case, spelled out: a third of the time
            else:
                cache.put(key, record, len(value))
            if followed and key.startswith(_ON_BOARDS):
                self._show_on_boards(key, record, value)

    def _show_on_boards(self, key: str, record: Record | None, value: bytes | None) -> None:
        if key.startswith("score:"):
            if self._boards:
                _, post_id, user = key.split(":")
                self._boards.publish(post_id, user, _score(record or _decoded(key, value)))
        elif self._lifetime_boards:
            current = record or _decoded(key, value)
            self._lifetime_boards.publish(key[len("lifetime:") :], None if current is None else _lifetime(current))

    def forget(self, groups: frozenset[str]) -> None:
        """Read the records of some groups anew: another host has written them."""
        with self._moment:
            self._cache.clear()
            self._version += 1
            for group in groups:
                self._boards.drop(group.removeprefix("match:"))
            self._lifetime_boards.drop()

    # -- the end

    def require_open(self) -> None:
        """Raise `StoreClosed` if reads are refused."""
        if self._closed is not None:
            raise self._closed.with_traceback(None)  # each time anew, or it would grow with every call

    def close(self, reason: StoreClosed) -> None:
        """Refuse reads from now on."""
        self._closed = reason
        with self._moment:
            self._version += 1  # what a reader has on its way into the cache comes too late
            self._cache.clear()
            self._boards = Boards(1)
            self._lifetime_boards = LifetimeBoards()

    def abandon(self, reason: StoreClosed) -> None:
        """Refuse reads in a forked child, where locks may be held by threads that are not there."""
        self._closed = reason
        self._publishing = False
        self._moment = threading.Lock()
        self._cache.clear()

    def statistics(self) -> tuple[int, int, int]:
        """Return cached records, cache misses, and boards in memory."""
        return len(self._cache), self._cache.misses, len(self._boards)

    def _decode_all(self, pairs: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, Record]]:
        return ((key, codec.decode(key, value)) for key, value in pairs)


_ON_BOARDS = ("score:", "lifetime:")


def _decoded(key: str, value: bytes | None) -> Record | None:
    return None if value is None else codec.decode(key, value)


def _score(record: Record | None) -> Score | None:
    return record if isinstance(record, Score) else None


def _lifetime(record: Record) -> Lifetime:
    if not isinstance(record, Lifetime):
        raise TypeError(f"{record!r} is no lifetime")
    return record
