"""Everything running behind one open store: shards, committer, committed records, and the way in."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import lru_cache

from pictact_actors import log
from pictact_actors.clock import Clock, StoreClock, monotonic
from pictact_actors.config import PERIOD_S_MAX, StoreConfig
from pictact_actors.errors import InvalidValue, Rejected, StoreClosed, StoreFailed
from pictact_actors.model.commands import Command
from pictact_actors.model.keys import shard_of
from pictact_actors.runtime.committed import Committed
from pictact_actors.runtime.committer import Committer
from pictact_actors.runtime.crossing import CROSSING_COMMANDS
from pictact_actors.runtime.expiry import Expiry
from pictact_actors.runtime.feed import Feed
from pictact_actors.runtime.gate import Gate
from pictact_actors.runtime.link import ShardLink
from pictact_actors.runtime.meter import ReadMeter
from pictact_actors.runtime.reply import Call
from pictact_actors.runtime.space import Space
from pictact_actors.runtime.statistics import Statistics
from pictact_actors.runtime.supervisor import Supervisor
from pictact_actors.runtime.transaction import Errand
from pictact_actors.runtime.transactions import Transactions
from pictact_actors.runtime.workplace import Workplace
from pictact_actors.storage.engine import Engine
from pictact_actors.threads import HERE, would_wait_for_itself

_LINKS_CACHED = 65_536
_GATE_SHARE = 4
"""A list of messages enters a shard's gate in parts of at most a quarter of its room."""
_LOOK_S = 0.05
_QUIET_LOOKS = 20
"""When nothing has moved for so long, nothing will: who is still counted was interrupted at a gate (Ctrl-C)."""


def check_timeout(timeout_s: float) -> float:
    """Return a timeout that every wait and timer can hold. Raises `InvalidValue`."""
    if isinstance(timeout_s, int | float) and 0 <= timeout_s <= PERIOD_S_MAX:
        return timeout_s
    raise InvalidValue("timeout", timeout_s, "must be seconds, from 0 to 100 years")


class Runtime:
    """The running parts of a store, in the order that a write passes them."""

    def __init__(self, engine: Engine, config: StoreConfig, clock: Clock) -> None:
        self.engine = engine
        self.config = config
        self.clock = StoreClock(clock, floor=engine.ts)
        expiry = Expiry(engine, self.clock, config)
        self.reads = ReadMeter(config.read_alarm_s)
        self.committed = Committed(engine, config.cache_bytes_max, config.board_players_max, expiry, self.reads)
        self.space = Space(engine, config)
        self.feed = Feed(engine)
        self.committer = Committer(engine, self.committed, self.clock, config, self.space, self.feed)
        self.links = [ShardLink(index, Gate(config.in_flight_max)) for index in range(config.shards)]
        self.link_of = lru_cache(maxsize=_LINKS_CACHED)(self._find_link)
        self._closed: StoreClosed | None = None
        self._foreign: StoreClosed | None = None
        self._opened_at = monotonic()
        self._closing = threading.RLock()  # a host's signal handler may close what is just being closed
        self.ended = False
        """Whether there is nothing left to close."""
        self.workplace = Workplace(self.links, self.link_of, self.committed, self.committer, self.clock, config)
        self.waits = self.workplace.waits
        self.transactions = Transactions(self.workplace)
        self.supervisor = Supervisor(self.workplace, self.transactions)
        self.committer.start()
        self.supervisor.start()
        self.space.notify = self.committer.put
        self.space.start()

    def timeout_of(self, command: Command, timeout_s: float | None) -> float:
        """Return how long a caller waits for a command, in seconds: what it says, or the limit for its kind.

        Raises `InvalidValue` for what cannot be waited.
        """
        if timeout_s is not None:
            return check_timeout(timeout_s)
        crosses = command.__class__ in CROSSING_COMMANDS
        return self.config.crossing_timeout_s if crosses else self.config.request_timeout_s

    def send(self, command: Command, timeout_s: float | None) -> Call:
        """Check a command and send it to its shard. Every error arrives through the call."""
        timeout_s = self.timeout_of(command, timeout_s)
        call = Call(command, timeout_s, monotonic() + timeout_s)
        try:
            call.command = command = command.checked()
            link = self.link_of(command.group)
            self.admit(link, 1, call.deadline)
        except (Rejected, StoreFailed) as error:
            call.fail(error)
        else:
            link.post([call])
        return call

    def run(self, errand: Errand, timeout_s: float) -> Call:
        """Send a transaction's message to a shard. Raises `Overloaded`, `StoreClosed`, `StoreFailed`."""
        call = Call(errand.command, timeout_s, monotonic() + timeout_s)
        self.admit(errand.link, 1, call.deadline)
        errand.link.post([call])
        return call

    def tell(self, command: Command) -> None:
        """Check a command and send it without an answer. Raises what is wrong with it, or `Overloaded`, at once."""
        command = command.checked()
        timeout_s = self.timeout_of(command, None)
        link = self.link_of(command.group)
        self.admit(link, 1, 0.0)
        link.post([Call(command, timeout_s, monotonic() + timeout_s)])

    def submit(self, commands: Iterable[Command], timeout_s: float | None) -> list[Call]:
        """Send many commands with one hand-over a shard; each error arrives through its own call."""
        now = monotonic()
        wait_s = self.config.request_timeout_s if timeout_s is None else check_timeout(timeout_s)
        deadline = now + wait_s
        calls: list[Call] = []
        by_link: dict[ShardLink, list[Call]] = {}
        for command in commands:
            if timeout_s is None and command.__class__ in CROSSING_COMMANDS:
                call = Call(command, self.config.crossing_timeout_s, now + self.config.crossing_timeout_s)
            else:
                call = Call(command, wait_s, deadline)
            calls.append(call)
            try:
                call.command = checked = command.checked()
                by_link.setdefault(self.link_of(checked.group), []).append(call)
            except Rejected as error:
                call.fail(error)
        for link, listed in by_link.items():
            self.hand_over(link, listed, deadline)
        return calls

    def hand_over(self, link: ShardLink, calls: list[Call], deadline: float) -> None:
        """Send checked calls to one shard, in parts that fit through its gate."""
        part = max(1, self.config.in_flight_max // _GATE_SHARE)
        for start in range(0, len(calls), part):
            admitted = calls[start : start + part]
            try:
                self.admit(link, len(admitted), deadline)
            except (Rejected, StoreFailed) as error:
                for call in calls[start:]:
                    call.fail(error)
                return
            link.post(admitted)

    def admit(self, link: ShardLink, count: int, deadline: float) -> None:
        """Let writes in, waiting for room until `deadline`. Raises `Overloaded`, `StoreClosed`, `StoreFailed`."""
        self.require_open()
        if not link.gate.enter(count, deadline):
            raise link.overloaded()
        if self._closed is not None:  # closed while it waited: nobody will come to fetch it
            link.gate.leave(count)
            raise self._closed.with_traceback(None)

    def admit_some(self, link: ShardLink, count: int) -> int:
        """Let in as many writes as there is room for, without waiting. Raises `StoreClosed`, `StoreFailed`."""
        self.require_open()
        admitted = link.gate.take(count)
        if self._closed is not None:
            link.gate.leave(admitted)
            raise self._closed.with_traceback(None)
        return admitted

    def require_open(self) -> None:
        """Raise `StoreClosed` or `StoreFailed` if writes are refused, `InvalidValue` in an actor's own thread."""
        if HERE.in_actor:
            raise would_wait_for_itself()
        if self._closed is not None:
            raise self._closed.with_traceback(None)
        if self.committer.failure is not None:
            raise StoreFailed(self.committer.failure)

    def require_own(self) -> None:
        """Raise `StoreClosed` in a forked child, where locks may be held by threads that are not there."""
        if self._foreign is not None:
            raise self._foreign.with_traceback(None)

    def close(self) -> bool:
        """Refuse new work, finish what is in flight, close the engine; True if this call did, all of it.

        Takes at most about `drain_timeout_s`. Any thread may call it, any number of times; all wait for the end.
        Raises `InvalidValue` in an actor's own thread, which would wait for itself.
        """
        if HERE.in_actor:
            raise would_wait_for_itself()
        with self._closing:
            if self.ended:
                return False
            self._closed = self._closed or StoreClosed()
            whole = self._shut_down(monotonic() + self.config.drain_timeout_s)
            self.ended = True  # not before: a close that is interrupted (Ctrl-C) is finished by the next one
            return whole

    def abandon(self, reason: StoreClosed) -> None:
        """Refuse everything in a forked child, touching nothing that threads of the parent own."""
        self._closed = self._foreign = reason
        self._closing = threading.RLock()
        self.ended = True
        self.committed.abandon(reason)
        self.feed.abandon(reason)

    def statistics(self) -> Statistics:
        """Return counters and sizes."""
        held, usage = self.committed.statistics(), self.engine.usage()
        writes, queries = self.committer.meter, self.reads.queries
        writes.add_up()
        return Statistics(
            seq=self.engine.seq,
            commits=self.committer.commits,
            groups=self.committer.groups,
            cached_records=held.records,
            cache_bytes=held.size_bytes,
            cache_reads=held.reads,
            cache_misses=held.misses,
            cache_hit_rate=held.hit_rate,
            boards=held.boards,
            size_bytes=usage.size_bytes,
            journal_bytes=usage.journal_bytes,
            base_bytes=usage.base_bytes,
            base_seq=usage.base_seq,
            state_bytes=usage.state_bytes,
            archive_bytes=usage.archive_bytes,
            recoveries=tuple(self.engine.recoveries),
            damaged_bytes=usage.damaged_bytes,
            backup_bytes=usage.backup_bytes,
            storage_full=self.space.full,
            failure=self.committer.failure,
            transactions=len(self.transactions),
            waiting=len(self.waits),
            shards=tuple(link.statistics() for link in self.links),
            uptime_s=monotonic() - self._opened_at,
            write_p50_s=writes.commands.percentile(0.5),
            write_p99_s=writes.commands.percentile(0.99),
            read_p50_s=queries.percentile(0.5),
            read_p99_s=queries.percentile(0.99),
            sync_p50_s=writes.phases["sync"].percentile(0.5),
            sync_p99_s=writes.phases["sync"].percentile(0.99),
            commands=writes.commands.statistics(),
            queries=queries.statistics(),
            phases=writes.phases.statistics(),
            blocked=self.waits.statistics(),
        )

    def _shut_down(self, deadline: float) -> bool:
        self.transactions.end_all(StoreClosed())
        drained = self._drain(deadline)
        stopped = self.committer.stop(max(0.1, deadline - monotonic()))
        self.supervisor.stop()
        self.space.stop()
        for link in self.links:
            link.stop()
        if not drained:
            self._turn_away(all_of_them=stopped)
        self.committed.close(StoreClosed())
        self.feed.close()
        if not (drained and stopped):
            log.error(log.DRAIN_INCOMPLETE, in_flight=[link.gate.in_flight for link in self.links])
        if stopped:
            self.engine.close()
        return drained and stopped

    def _drain(self, deadline: float) -> bool:
        """Wait until nothing is in flight; False if that stays so although nothing moves, or until `deadline`."""
        quiet = 0
        while not all(link.gate.wait_empty(min(deadline, monotonic() + _LOOK_S)) for link in self.links):
            quiet = 0 if self._moves() else quiet + 1
            if quiet > _QUIET_LOOKS or monotonic() >= deadline:
                return False
        return True

    def _moves(self) -> bool:
        """Whether anybody has something to do."""
        committer = self.committer
        at_work = any(link.queued() or link.actor.busy for link in self.links)
        return bool(at_work or committer.committing or committer.queued() or self.workplace.crossings)

    def _turn_away(self, *, all_of_them: bool) -> None:
        """Answer those whose turn will not come; what a committer may have that still commits is left to its end."""
        for link in self.links:
            link.actor.fence()
            left = link.take(self.config.in_flight_max)
            if all_of_them:
                left += link.actor.take_over()
            for call in left:
                call.fail(StoreClosed())
        for crossing in tuple(self.workplace.crossings) if all_of_them else ():
            crossing.call.fail(StoreClosed())

    def _find_link(self, group: str) -> ShardLink:
        return self.links[shard_of(group, len(self.links))]
