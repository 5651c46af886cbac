"""`Store`: the blocking face of a store embedded in the host's process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from pictact_actors import log
from pictact_actors.clock import Clock, SystemClock
from pictact_actors.config import StoreConfig
from pictact_actors.console.server import Console
from pictact_actors.errors import InvalidValue, NotFound, Quarantined, StoreDamaged
from pictact_actors.janitor import CleanupReport
from pictact_actors.lifecycle import keep_track
from pictact_actors.model import integrity, keys
from pictact_actors.model.commands import Command, PutMany
from pictact_actors.model.records import Analytics, Audit, Lifetime, Match, Player, Record, Round, Score, Standing
from pictact_actors.model.summary import AnalyticsSummary
from pictact_actors.model.updating import RecordFunction, Update
from pictact_actors.model.validate import check_page
from pictact_actors.runtime.feed import Change
from pictact_actors.runtime.queries import Queries
from pictact_actors.runtime.reply import Reply
from pictact_actors.runtime.runtime import Runtime, check_timeout
from pictact_actors.runtime.statistics import Statistics
from pictact_actors.services import Services
from pictact_actors.storage.backup.manifest import BackupInfo
from pictact_actors.storage.backup.restoring import RestoreReport, restored
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.engine import Engine, Entry, Problem
from pictact_actors.storage.memory import MemoryEngine
from pictact_actors.tracing import attach
from pictact_actors.transaction import Transaction, transact
from pictact_actors.verbs import Verbs

T = TypeVar("T")
IN_MEMORY = ":memory:"


class Store(Verbs):
    """Records of matches, rounds, scores and players: durable, ordered, shared by any number of threads.

    Use it as a context manager. Every write returns once it is on disk; `timeout` (seconds) bounds the wait and
    defaults to `StoreConfig.request_timeout_s`. Every command takes a `request_id`: the same id again changes nothing
    and returns the first result.

    >>> with Store.open(":memory:") as store:
    ...     _ = store.create_match("t3_abc", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
    ...     store.award_points("t3_abc", "ann", 10).points
    10
    """

    def __init__(self, engine: Engine, config: StoreConfig, clock: Clock) -> None:
        """Run on an engine; use `Store.open` instead."""
        if config.spans:
            attach(self)
        self._runtime = Runtime(engine, config, clock)
        keep_track(self._runtime)
        self._queries = Queries(self._runtime.committed)
        self._get = self._runtime.committed.get
        self._services = Services(self._runtime)
        self._services.start()
        self._console = Console(self)
        self._console.start()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        config: StoreConfig | None = None,
        clock: Clock | None = None,
        create: bool = True,
    ) -> Self:
        """Open the store in a directory (created if it may be), recovered and verified; `":memory:"` has no disk.

        Raises `StoreLocked` if it is open elsewhere, `NotAStore` if the path is something else, `StoreDamaged`.
        """
        config = config or StoreConfig()
        clock = clock or SystemClock(config.clock_jump_max_s, config.clock_confirm_s)
        if path == IN_MEMORY:
            return cls(MemoryEngine(config.kept_journal_bytes, config.storage_bytes_max), config, clock)
        engine = EmbeddedEngine.open(path, config, clock, create=create)
        try:
            log.info(
                log.STORE_OPENED, path=str(path), seq=engine.seq, replayed=engine.replayed, torn_bytes=engine.torn_bytes
            )
            return cls(engine, config, clock)
        except BaseException:  # a Ctrl-C: nobody would ever close it
            engine.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is in flight (at most about `drain_timeout_s`) and close. Any thread, any number of times."""
        if self._runtime.ended:  # also in a forked child, where a lock may be held for ever
            return
        self._console.close()
        self._services.stop()
        if self._runtime.close():
            log.info(log.STORE_CLOSED)

    @property
    def runtime(self) -> Runtime:
        """The running parts, for the other face (`AsyncStore`) and for tools."""
        return self._runtime

    # -- messages

    def ask(self, message: Command, timeout: float | None = None) -> Reply[Any]:
        """Send a message; the reply holds its answer or its error."""
        return self._runtime.send(message_of(message), timeout)

    def tell(self, message: Command) -> None:
        """Send a message and forget it. Raises `InvalidKey`, `InvalidValue` or `Overloaded` at once, never waits."""
        self._runtime.tell(message_of(message))

    def submit(self, messages: Iterable[Command], timeout: float | None = None) -> list[Reply[Any]]:
        """Send many messages at once; each gets its own reply, errors included. Order is kept within a group."""
        return cast("list[Reply[Any]]", self._runtime.submit(map(message_of, messages), timeout))

    # -- queries

    def match(self, post_id: str) -> Match:
        """Return a match. Raises `NotFound`."""
        return cast("Match", self._found(f"match:{post_id}"))

    def round(self, post_id: str, index: int) -> Round:
        """Return a round. Raises `NotFound`."""
        return cast("Round", self._found(f"round:{post_id}:{index}"))

    def rounds(self, post_id: str) -> list[Round]:
        """Return all rounds of a match by index, as of one moment. Raises `NotFound` if there is no match."""
        return self._queries.rounds(post_id)

    def score(self, post_id: str, user: str) -> Score:
        """Return a player's score in a match. Raises `NotFound`."""
        record = self._get(f"score:{post_id}:{user}")
        if record is None:
            raise NotFound(keys.score_key(post_id, user))
        return record  # type: ignore[return-value]  # the key says what it is

    def lifetime(self, user: str) -> Lifetime:
        """Return a player's lifetime statistics. Raises `NotFound`."""
        return cast("Lifetime", self._found(f"lifetime:{user}"))

    def player(self, user: str) -> Player:
        """Return a player's lifetime and every match played, oldest first, as of one moment. Raises `NotFound`."""
        return self._queries.player(user)

    def analytics(self, post_id: str) -> Analytics:
        """Return a match's running means. Raises `NotFound`."""
        return cast("Analytics", self._found(f"analytics:{post_id}"))

    def analytics_summary(self, *, subreddit: str | None = None, since: float | None = None) -> AnalyticsSummary:
        """Return means over matches weighted by their samples, and percentiles of the matches' means.

        Of the matches that are not due: all, those of a subreddit, those observed since a time (epoch s).
        """
        return self._queries.analytics_summary(subreddit, since)

    def leaderboard(self, post_id: str, limit: int = 10, offset: int = 0) -> list[Standing]:
        """Return a page of a match's leaderboard: points, then wins, then who was there first. Raises `NotFound`."""
        return self._queries.leaderboard(post_id, limit, offset)

    def standing(self, post_id: str, user: str) -> Standing:
        """Return a player's line on a match's leaderboard. Raises `NotFound`."""
        return self._queries.standing(post_id, user)

    def around(self, post_id: str, user: str, span: int = 2) -> list[Standing]:
        """Return a player's line with `span` lines on either side. Raises `NotFound`."""
        return self._queries.around(post_id, user, span)

    def lifetime_leaderboard(
        self, by: str = "total_wins", limit: int = 10, offset: int = 0, *, after: str | None = None
    ) -> list[Standing]:
        """Return a page of all players by `total_wins`, `matches_played` or `total_points`, then by name.

        The page begins at position `offset`, or that far behind the player `after`: the last one of the page before.
        Equal totals share a rank (1, 2, 2, 4). Takes as long for millions of players as for a few. Raises `NotFound`.
        """
        return self._queries.lifetime_leaderboard(by, limit, offset, after)

    def lifetime_standing(self, user: str, by: str = "total_wins") -> Standing:
        """Return a player's line among all players. Raises `NotFound`."""
        return self._queries.lifetime_standing(user, by)

    def lifetime_around(self, user: str, by: str = "total_wins", span: int = 2) -> list[Standing]:
        """Return a player's line among all players with `span` lines on either side. Raises `NotFound`."""
        return self._queries.lifetime_around(user, by, span)

    # -- bulk and generic

    def get(self, key: str) -> Record:
        """Return the record under a key. Raises `NotFound`, `InvalidKey`."""
        return self._found(keys.require_public(key))

    def get_many(self, wanted: Iterable[str]) -> dict[str, Record]:
        """Return the records that exist among these keys, as of one moment."""
        return self._runtime.committed.get_many([keys.require_public(key) for key in wanted])

    def put_many(
        self, records: Mapping[str, Record], *, request_id: str | None = None, timeout: float | None = None
    ) -> None:
        """Write records under any keys in one atomic step. Raises `InvalidKey`, `InvalidValue`."""
        if records:
            self._do(PutMany(dict(records), request_id), timeout)

    def update(
        self, key: str, fn: RecordFunction, *, request_id: str | None = None, timeout: float | None = None
    ) -> Record:
        """Write what `fn(record_or_None)` returns under a key, and return it with its times, once it is on disk.

        `fn` runs in the one actor that decides the key: nobody else changes it meanwhile, and the other keys of its
        shard wait. So it should only compute, and quickly. It may read from the store (what is committed), but not
        write or wait: that raises `InvalidValue` inside it. It may run again after the actor was replaced or the disk
        was full. What it raises reaches the caller as it is, and then nothing is written; what cannot be written under
        the key is `InvalidValue`. The same `request_id` again returns the first result, whatever `fn` is: two
        functions cannot be told apart. Another key under it is `InvalidValue`.

        >>> from dataclasses import replace
        >>> with Store.open(":memory:") as store:
        ...     _ = store.add_trophy("ann", "gold")
        ...     store.update("lifetime:ann", lambda ann: replace(ann, trophies=[*ann.trophies, "silver"])).trophies[-1]
        'silver'
        """
        return cast("Record", self._do(Update(key, fn, request_id), timeout))

    def scan(self, prefix: str, *, limit: int | None = None, after: str | None = None) -> Iterator[tuple[str, Record]]:
        """Yield `(key, record)` under a prefix in key order, as of one moment; `after` a key, at most `limit`."""
        check_page(prefix, limit, after)
        found = self._runtime.committed.scan(prefix, after)
        if not (keys.is_uniform(prefix) and keys.is_public(prefix)):
            found = ((key, record) for key, record in found if keys.is_public(key))
        return islice(found, limit)

    # -- transactions

    def transaction(self, *, timeout: float | None = None) -> Transaction:
        """Begin a transaction: `with store.transaction() as tx`. One attempt; leaving the block commits.

        Each of its waits (for a lock, for the commit) takes at most `timeout` seconds. Raises `ConflictAborted`,
        `DeadlockAborted`, `ShardRestarted`: nothing was applied, and it can be run again, as `transact` does.
        """
        return Transaction(self._runtime, self._timeout_s(timeout))

    def transact(self, fn: Callable[[Transaction], T], *, timeout: float | None = None) -> T:
        """Call `fn(tx)`, commit, and return what it returned; again after a conflict, for at most `timeout` seconds.

        `fn` may run more than once, so it should do nothing but read and write through `tx`. Between attempts is a
        pause of random length whose limit doubles. Raises what the last attempt raised.

        >>> with Store.open(":memory:") as store:
        ...     _ = store.add_trophy("ann", "gold")
        ...     store.transact(lambda tx: tx.add_trophy("bob", tx.get("lifetime:ann").trophies[0])).user
        'bob'
        """
        return transact(self._runtime, fn, self._timeout_s(timeout))

    # -- watching

    def changes(self, from_seq: int | None = None, *, timeout: float | None = None) -> Iterator[Change]:
        """Yield what is committed, in order and without gaps: from a kept commit on, or the next after this call.

        It goes on as commits come, and ends when the store is closed or nothing has come for `timeout` seconds.
        A read that follows a change sees at least that. To resume, also after a restart, begin at the `seq` behind
        the last one that was dealt with. A slow reader slows nobody; one that falls behind what is kept one by one
        (`StoreConfig.journal_bytes_max`) gets `EntriesGone`, which names the first commit that is. Follow in a daemon
        thread, or close the store at the end: a thread that waits here keeps the interpreter from ending.

        >>> with Store.open(":memory:") as store:
        ...     _ = store.add_trophy("ann", "gold")
        ...     [change.keys for change in store.changes(1, timeout=0)]
        [('lifetime:ann',)]
        """
        self._runtime.committed.require_open()
        timeout_s = None if timeout is None else check_timeout(timeout)
        return self._runtime.feed.follow(from_seq).changes(timeout_s)

    # -- operating

    def entries(self, from_seq: int | None = None) -> Iterator[Entry]:
        """Yield the commits in the journal from a sequence number on, or all that are kept one by one.

        Raises `EntriesGone` for older ones: of them only what they led to is kept (`StoreConfig.journal_bytes_max`).
        """
        self._runtime.committed.require_open()
        return self._runtime.engine.entries(from_seq)

    def check(self) -> list[Problem]:
        """Compare everything with everything, as of one moment; what cannot be read is a problem as well, the last."""
        problems: list[Problem] = []
        try:
            records, indexes, stored = self._runtime.committed.pinned()
            problems += (Problem(flaw.kind, flaw.key, flaw.detail) for flaw in integrity.flaws(records, indexes))
            problems += stored
        except (StoreDamaged, OSError) as error:
            problems.append(Problem("damage", "", str(error)))
        return problems

    def backup(self, directory: str | os.PathLike[str] | None = None) -> BackupInfo:
        """Copy this moment into a directory while writes go on; by default the configured one. Returns when it is good.

        The directory (made if need be) can hold many backups of this store and shares the files that they have in
        common. Everything is synced, read back and compared with the store. Raises `StorageFull`, `BackupInvalid` if
        the directory cannot be used, `InvalidValue` for a store without files.
        """
        return self._services.backups.take(None if directory is None else Path(directory))

    @staticmethod
    def restore(
        backup: str | os.PathLike[str] | BackupInfo,
        path: str | os.PathLike[str],
        *,
        to_seq: int | None = None,
        to_time: float | None = None,
        config: StoreConfig | None = None,
    ) -> RestoreReport:
        """Build the store in a new directory, as it was: verified, and put in place at once. It is not opened.

        `backup` is a backup, a directory with several (the latest, or the best for the moment) or a data directory,
        even one whose state is lost. `to_seq` names a commit, `to_time` (epoch s) the last one at that time. Without
        them it is the moment of the backup, or the end of the data directory's journal. Raises `BackupInvalid` if
        it is damaged, truncated or something else, or does not lead there, and `NotAStore` if anything is at `path`
        already.
        """
        return restored(backup.path if isinstance(backup, BackupInfo) else backup, path, to_seq, to_time, config)

    def cleanup(self) -> CleanupReport:
        """Remove what is due at once, and report what that was. The store does it by itself now and then.

        Details of analytics go to the archive first: files of gzipped JSON Lines in `archive/` of the data directory. A
        store in memory has none, and removes them. Raises `StorageFull` if only they could not be removed, and
        `StoreDamaged` if the disk fails.
        """
        self._runtime.require_open()
        try:
            return self._services.janitor.clean()
        except OSError as error:
            raise StoreDamaged(f"cleanup cannot go on: {error}") from error

    def audit(self, *, since: float | None = None, limit: int | None = None) -> Iterator[Audit]:
        """Yield what cleanup removed, when and why, in the order in which the removals began, from a time on (epoch s).

        A match has an entry of its own; a cleanup has one for the requests that it forgot, and one for each file that
        it added to the archive. Entries are kept for `StoreConfig.audit_expiry_s`.
        """
        return self._queries.audit(since, limit)

    def quarantine(self) -> list[Quarantined]:
        """Return the messages that stopped their shard twice and are not tried again, oldest first, with the cause.

        The last `StoreConfig.quarantine_max` are kept while the store is open.
        """
        return list(self._runtime.supervisor.quarantine)

    def statistics(self) -> Statistics:
        """Return counters and sizes. Also of a closed store, but not in a forked child."""
        self._runtime.require_own()
        return self._services.statistics()

    def _timeout_s(self, timeout: float | None) -> float:
        return self._runtime.config.request_timeout_s if timeout is None else check_timeout(timeout)

    def _do(self, command: Command, timeout: float | None) -> object:
        return self._runtime.send(command, timeout).get()

    def _found(self, key: str) -> Record:
        record = self._get(key)
        if record is None:
            raise NotFound(key)
        return record


def message_of(message: object) -> Command:
    """Return a message that is a command. Raises `InvalidValue`."""
    if not isinstance(message, Command):
        raise InvalidValue("message", message, "must be a command (AwardPoints, CloseRound, …)")
    return message
