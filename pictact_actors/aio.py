"""`AsyncStore`: the same store for an asyncio host. It never blocks the event loop.

Messages that tasks send in one turn of the loop travel together, one hand-over a shard; answers come back with one
wake-up of the loop a commit group, however many tasks wait (`runtime/port.py`). Reads of cached records and of boards
in memory are answered at once; what needs the disk or waits for a lock runs on a small pool of threads.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from pictact_actors.aio_transaction import CHUNK, AsyncTransaction, async_transact
from pictact_actors.aio_verbs import AsyncVerbs
from pictact_actors.clock import Clock
from pictact_actors.config import StoreConfig
from pictact_actors.errors import Quarantined, StoreClosed
from pictact_actors.janitor import CleanupReport
from pictact_actors.model import keys
from pictact_actors.model.commands import (
    Command,
    PutMany,
)
from pictact_actors.model.records import Analytics, Audit, Lifetime, Match, Player, Record, Round, Score, Standing
from pictact_actors.model.summary import AnalyticsSummary
from pictact_actors.model.updating import RecordFunction, Update
from pictact_actors.runtime.feed import Change, Follower
from pictact_actors.runtime.leaderboard import WouldWait
from pictact_actors.runtime.port import LoopPort
from pictact_actors.runtime.queries import Queries
from pictact_actors.runtime.runtime import check_timeout
from pictact_actors.runtime.statistics import Statistics
from pictact_actors.storage.backup.manifest import BackupInfo
from pictact_actors.storage.backup.restoring import RestoreReport
from pictact_actors.storage.engine import Problem
from pictact_actors.store import Store, message_of
from pictact_actors.tracing import attach_async

P = ParamSpec("P")
T = TypeVar("T")

_LINES_AT_ONCE = 256
"""Lines of a board that are read in the loop itself: less than a millisecond."""
_READERS = 4
"""Threads for reads that need the disk or a lock."""


class AsyncStore(AsyncVerbs):
    """The methods of `Store`, awaitable. Open it in the event loop that uses it, as an async context manager.

    Raises what `Store` raises. Cancelling a task stops its wait, not its write.
    """

    def __init__(self, store: Store) -> None:
        """Wrap an open store; use `AsyncStore.open` instead."""
        if store.runtime.config.spans:
            attach_async(self)
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._port = LoopPort(store.runtime, self._loop)
        self._at_once = Queries(store.runtime.committed, at_once=True)
        self._cached = store.runtime.committed.cached
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="pictact-reader")

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        config: StoreConfig | None = None,
        clock: Clock | None = None,
        create: bool = True,
    ) -> _Opening:
        """Open a store as `Store.open` does: `async with AsyncStore.open(path) as store`, or `await` it."""
        return _Opening(partial(Store.open, path, config=config, clock=clock, create=create))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is in flight and close."""
        await self._loop.run_in_executor(None, self._store.close)
        self._pool.shutdown(wait=False)

    def _do(self, command: Command, timeout: float | None) -> Awaitable[object]:
        return self.ask(command, timeout)

    # -- messages

    def ask(self, message: Command, timeout: float | None = None) -> asyncio.Future[Any]:
        """Send a message; the future holds its answer or its error."""
        try:
            return self._port.send(message_of(message), timeout)
        except Exception as error:  # noqa: BLE001 - every error arrives through the future
            failed: asyncio.Future[Any] = self._loop.create_future()
            failed.set_exception(error)
            return failed

    def tell(self, message: Command) -> None:
        """Send a message and forget it. Raises `InvalidKey`, `InvalidValue` or `Overloaded` at once, never waits."""
        self._store.tell(message)

    def submit(self, messages: Iterable[Command], timeout: float | None = None) -> list[asyncio.Future[Any]]:
        """Send many messages; each gets its own future, errors included."""
        return [self.ask(message, timeout) for message in messages]

    # -- queries

    async def match(self, post_id: str) -> Match:
        """Return a match. Raises `NotFound`."""
        return cast("Match", self._cached(f"match:{post_id}") or await self._off_loop(self._store.match, post_id))

    async def round(self, post_id: str, index: int) -> Round:
        """Return a round. Raises `NotFound`."""
        found = self._cached(f"round:{post_id}:{index}")
        return cast("Round", found or await self._off_loop(self._store.round, post_id, index))

    async def rounds(self, post_id: str) -> list[Round]:
        """Return all rounds of a match by index, as of one moment. Raises `NotFound` if there is no match."""
        return await self._off_loop(self._store.rounds, post_id)

    async def score(self, post_id: str, user: str) -> Score:
        """Return a player's score in a match. Raises `NotFound`."""
        found = self._cached(f"score:{post_id}:{user}")
        return cast("Score", found or await self._off_loop(self._store.score, post_id, user))

    async def lifetime(self, user: str) -> Lifetime:
        """Return a player's lifetime statistics. Raises `NotFound`."""
        return cast("Lifetime", self._cached(f"lifetime:{user}") or await self._off_loop(self._store.lifetime, user))

    async def player(self, user: str) -> Player:
        """Return a player's lifetime and every match played, oldest first, as of one moment. Raises `NotFound`."""
        return await self._off_loop(self._store.player, user)

    async def analytics(self, post_id: str) -> Analytics:
        """Return a match's running means. Raises `NotFound`."""
        found = self._cached(f"analytics:{post_id}")
        return cast("Analytics", found or await self._off_loop(self._store.analytics, post_id))

    async def analytics_summary(self, *, subreddit: str | None = None, since: float | None = None) -> AnalyticsSummary:
        """Return means over matches weighted by their samples, and percentiles of the matches' means."""
        return await self._off_loop(self._store.analytics_summary, subreddit=subreddit, since=since)

    async def leaderboard(self, post_id: str, limit: int = 10, offset: int = 0) -> list[Standing]:
        """Return a page of a match's leaderboard. Raises `NotFound`."""
        return await self._on_board(limit, lambda boards: boards.leaderboard(post_id, limit, offset))

    async def standing(self, post_id: str, user: str) -> Standing:
        """Return a player's line on a match's leaderboard. Raises `NotFound`."""
        return await self._on_board(1, lambda boards: boards.standing(post_id, user))

    async def around(self, post_id: str, user: str, span: int = 2) -> list[Standing]:
        """Return a player's line with `span` lines on either side. Raises `NotFound`."""
        return await self._on_board(span, lambda boards: boards.around(post_id, user, span))

    async def lifetime_leaderboard(
        self, by: str = "total_wins", limit: int = 10, offset: int = 0, *, after: str | None = None
    ) -> list[Standing]:
        """Return a page of all players by `total_wins`, `matches_played` or `total_points`; see `Store`."""
        return await self._off_loop(self._store.lifetime_leaderboard, by, limit, offset, after=after)

    async def lifetime_standing(self, user: str, by: str = "total_wins") -> Standing:
        """Return a player's line among all players. Raises `NotFound`."""
        return await self._off_loop(self._store.lifetime_standing, user, by)

    async def lifetime_around(self, user: str, by: str = "total_wins", span: int = 2) -> list[Standing]:
        """Return a player's line among all players with `span` lines on either side. Raises `NotFound`."""
        return await self._off_loop(self._store.lifetime_around, user, by, span)

    # -- bulk and generic

    async def get(self, key: str) -> Record:
        """Return the record under a key. Raises `NotFound`, `InvalidKey`."""
        found = self._cached(key) if isinstance(key, str) and keys.is_public(key) else None
        return await self._off_loop(self._store.get, key) if found is None else found

    async def get_many(self, wanted: Iterable[str]) -> dict[str, Record]:
        """Return the records that exist among these keys, as of one moment."""
        return await self._off_loop(self._store.get_many, list(wanted))

    async def put_many(
        self,
        records: Mapping[str, Record],
        *,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Write records under any keys in one atomic step. Raises `InvalidKey`, `InvalidValue`."""
        if records:
            await self.ask(PutMany(dict(records), request_id), timeout)

    async def update(
        self, key: str, fn: RecordFunction, *, request_id: str | None = None, timeout: float | None = None
    ) -> Record:
        """Write what `fn(record_or_None)` returns under a key; a plain function, see `Store.update`."""
        return cast("Record", await self.ask(Update(key, fn, request_id), timeout))

    async def scan(
        self, prefix: str, *, limit: int | None = None, after: str | None = None
    ) -> AsyncIterator[tuple[str, Record]]:
        """Yield `(key, record)` under a prefix in key order, as of one moment; `after` a key, at most `limit`."""
        pairs = await self._off_loop(self._store.scan, prefix, limit=limit, after=after)
        while chunk := await self._off_loop(lambda: list(islice(pairs, CHUNK))):
            for pair in chunk:
                yield pair

    # -- transactions

    def transaction(self, *, timeout: float | None = None) -> AsyncTransaction:
        """Begin a transaction: `async with store.transaction() as tx`. One attempt; see `Store.transaction`."""
        return self._begin(self._timeout_s(timeout))

    async def transact(self, fn: Callable[[AsyncTransaction], Awaitable[T]], *, timeout: float | None = None) -> T:
        """Await `fn(tx)`, commit, and return what it returned; again after a conflict, for at most `timeout` seconds.

        `fn` may run more than once; see `Store.transact`.
        """
        return await async_transact(self._begin, fn, self._timeout_s(timeout))

    # -- watching

    def changes(self, from_seq: int | None = None, *, timeout: float | None = None) -> AsyncIterator[Change]:
        """Yield what is committed, from a kept commit on or the next after this call; see `Store.changes`."""
        self._store.runtime.committed.require_open()
        return self._follow(
            self._store.runtime.feed.follow(from_seq), None if timeout is None else check_timeout(timeout)
        )

    async def _follow(self, follower: Follower, timeout_s: float | None) -> AsyncIterator[Change]:
        event = asyncio.Event()
        while not follower.ended:
            found = await self._loop.run_in_executor(None, follower.read)  # our own pool goes before the last is read
            for change in found:
                yield change
            if found or follower.ended:
                continue
            event.clear()
            with follower.woken(partial(_set_in, self._loop, event)), suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await event.wait()
            if not event.is_set():
                return

    # -- operating

    async def check(self) -> list[Problem]:
        """Compare everything with everything, as of one moment."""
        return await self._off_loop(self._store.check)

    async def backup(self, directory: str | os.PathLike[str] | None = None) -> BackupInfo:
        """Copy this moment into a directory while everything goes on; see `Store.backup`."""
        return await self._off_loop(self._store.backup, directory)

    @staticmethod
    async def restore(
        backup: str | os.PathLike[str] | BackupInfo,
        path: str | os.PathLike[str],
        *,
        to_seq: int | None = None,
        to_time: float | None = None,
        config: StoreConfig | None = None,
    ) -> RestoreReport:
        """Build the store in a new directory, as it was; see `Store.restore`."""
        restoring = partial(Store.restore, backup, path, to_seq=to_seq, to_time=to_time, config=config)
        return await asyncio.get_running_loop().run_in_executor(None, restoring)

    async def cleanup(self) -> CleanupReport:
        """Remove what is due at once, and report what that was; see `Store.cleanup`."""
        return await self._off_loop(self._store.cleanup)

    async def audit(self, *, since: float | None = None, limit: int | None = None) -> AsyncIterator[Audit]:
        """Yield what cleanup removed, when and why, from a time on (epoch s); see `Store.audit`."""
        entries = await self._off_loop(self._store.audit, since=since, limit=limit)
        while chunk := await self._off_loop(lambda: list(islice(entries, CHUNK))):
            for entry in chunk:
                yield entry

    async def quarantine(self) -> list[Quarantined]:
        """Return the messages that stopped their shard twice and are not tried again."""
        return self._store.quarantine()

    async def statistics(self) -> Statistics:
        """Return counters and sizes."""
        return await self._off_loop(self._store.statistics)

    def _begin(self, timeout_s: float) -> AsyncTransaction:
        return AsyncTransaction(self._store.runtime, self._port, self._off_loop, timeout_s)

    def _timeout_s(self, timeout: float | None) -> float:
        return self._store.runtime.config.request_timeout_s if timeout is None else check_timeout(timeout)

    async def _on_board(self, lines: int, ask: Callable[[Queries | Store], T]) -> T:
        """Answer a few lines of a board at once if it is in memory; everything else does not keep the loop waiting."""
        if isinstance(lines, int) and lines <= _LINES_AT_ONCE:
            with suppress(WouldWait):
                return ask(self._at_once)
        return await self._off_loop(ask, self._store)

    async def _off_loop(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            running = self._loop.run_in_executor(self._pool, partial(function, *args, **kwargs))
        except RuntimeError as error:  # what a pool that was shut down says
            raise StoreClosed from error
        return await running


class _Opening:
    """A store that is being opened: await it, or enter it with `async with`."""

    def __init__(self, opener: Callable[[], Store]) -> None:
        self._opener = opener
        self._store: AsyncStore | None = None

    def __await__(self) -> Any:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncStore:
        self._store = await self._open()
        return self._store

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store is not None:
            await self._store.close()

    async def _open(self) -> AsyncStore:
        opening = asyncio.get_running_loop().run_in_executor(None, self._opener)
        try:
            store = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        return AsyncStore(store)


def _set_in(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event of a loop. Any thread's."""
    with suppress(RuntimeError):  # the loop is closed, nobody waits any more
        loop.call_soon_threadsafe(event.set)


def _close_unwanted(opening: asyncio.Future[Store]) -> None:
    """Close a store that nobody waits for any more: its directory would stay locked."""
    if not opening.cancelled() and opening.exception() is None:
        asyncio.get_running_loop().run_in_executor(None, opening.result().close)
