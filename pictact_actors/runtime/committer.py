"""The committer: the one place where a write becomes real. Sync, then publish, then acknowledge, group by group.

It collects what is already queued and makes it durable with one sync; while it syncs, the next group gathers. There
is no timer, so a lone caller waits for nobody. Every race is settled by the order of its queue.

Its own thread writes `failure`, `began` (when the last commit was, monotonic) and the links' `epoch` and `published`;
any thread may `put` and read them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.errors import CommitFailed, StorageFull, StoreFailed
from pictact_actors.runtime.messages import Reset
from pictact_actors.runtime.meter import Meter
from pictact_actors.runtime.reply import answer_all
from pictact_actors.runtime.staging import Batch, rejected
from pictact_actors.storage.engine import Conflict, Engine
from pictact_actors.threads import let_others_finish

if TYPE_CHECKING:
    from pictact_actors.clock import StoreClock
    from pictact_actors.config import StoreConfig
    from pictact_actors.runtime.committed import Committed
    from pictact_actors.runtime.feed import Feed
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.space import Space

_GROUP_BYTES_MAX = 8 * 1024 * 1024
"""A group takes no further batch beyond this, so that small writes do not wait for many large ones."""
_IDLE_S = 60.0

Failure = Callable[[], Exception]


class Notice(Protocol):
    """Something that has to happen between the commits queued before it and those after it."""

    def take_effect(self) -> None:
        """Do it, in the committer's thread."""
        ...


class _Stop:
    """Ends the committer after everything queued before it."""

    def take_effect(self) -> None:
        """Do nothing else."""


_STOP: Final = _Stop()


class Committer:
    """Makes commit groups durable, shows them, and answers their callers."""

    def __init__(
        self, engine: Engine, committed: Committed, clock: StoreClock, config: StoreConfig, space: Space, feed: Feed
    ) -> None:
        self._engine = engine
        self._feed = feed
        self._space = space
        self._committed = committed
        self._clock = clock
        self._group_max = config.commit_group_max
        self._queue: queue.SimpleQueue[Batch | Notice] = queue.SimpleQueue()
        self._left_over: Batch | None = None
        self._notice: Notice | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="pictact-committer", daemon=True)
        self._full = False
        self.committing = False
        self.began = 0.0
        self.meter = Meter(config.write_alarm_s)
        self.failure: str | None = None
        self.mark = engine.mark
        self.groups = 0
        self.commits = 0

    def start(self) -> None:
        """Start committing."""
        self._thread.start()

    def put(self, item: Batch | Notice) -> None:
        """Queue a decided batch, or something that takes its place in the order of commits. Any thread's."""
        self._queue.put(item)

    def stop(self, timeout_s: float) -> bool:
        """Commit what is queued, then end; False if that takes longer than `timeout_s`."""
        self._queue.put(_STOP)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def queued(self) -> int:
        """Batches that wait for the next group."""
        return self._queue.qsize()

    def _run(self) -> None:
        let_others_finish()
        while not self._stopping:
            batches = self._collect()
            if batches:
                self._process(batches)
            if self._notice is not None:
                self._heed(self._notice)

    def _collect(self) -> list[Batch]:
        """Wait for a batch, and take what is queued behind it up to the limits of a group."""
        batches: list[Batch] = []
        self._notice = None
        commits = size_bytes = 0
        try:
            item = self._left_over or self._queue.get(timeout=_IDLE_S)
            self._left_over = None
            while isinstance(item, Batch):
                commits += len(item.staged)
                size_bytes += item.size_bytes
                if batches and (commits > self._group_max or size_bytes > _GROUP_BYTES_MAX):
                    self._left_over = item
                    return batches
                batches.append(item)
                item = self._queue.get_nowait()
            self._notice = item
        except queue.Empty:
            pass
        return batches

    def _heed(self, notice: Notice) -> None:
        self._stopping = notice is _STOP
        try:
            notice.take_effect()
        except Exception as error:  # noqa: BLE001 - harms nobody but who it is about
            log.error(log.NOTICE_FAILED, notice=repr(notice), cause=repr(error), exc_info=error)

    def _process(self, batches: list[Batch]) -> None:
        """Commit a group; whatever happens, everybody in it is answered or decided again."""
        current = [batch for batch in batches if batch.is_current()]
        for batch in batches:
            if not batch.is_current():
                self._decide_again(batch)
        try:
            if self.failure is not None:
                self._refuse(current, lambda: StoreFailed(self.failure or ""))
            else:
                self._space.look()
                if self._space.full is not None:
                    current = self._turn_away(current, self._space.full)
                self._commit(current)
        except StorageFull as full:
            self._find_no_room(current, full.cause)
        except Conflict as conflict:
            self._resolve(current, conflict.groups)
        except BaseException as error:  # noqa: BLE001 - a failed commit is terminal, whatever failed
            self._fail(current, error)
        finally:
            self.committing = False

    def _commit(self, batches: Sequence[Batch]) -> None:
        self.began = began = synced = monotonic()
        writes = [item for batch in batches for item in batch.staged if item.changes]
        if writes:
            self.mark = max(self.mark, *(batch.mark for batch in batches))
            self.committing = True
            self._engine.commit(writes, self._clock.now(), self.mark)
            self.committing = False
            synced = monotonic()
            self._full = False
            self._committed.publish(writes)
            self.groups += 1
            self.commits += len(writes)
        for batch in batches:
            if batch.holder is None:
                batch.link.published = batch.number
        self._acknowledge(batches)
        if self._feed.waiting:
            self._feed.announce()
        self.meter.committed(batches, len(writes), began, synced)

    def _acknowledge(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._leave(batch)
        answer_all(chain.from_iterable(batch.staged for batch in batches))

    def _refuse(self, batches: Sequence[Batch], failure: Failure) -> None:
        """Answer everybody in a group with an error of their own."""
        for batch in batches:
            self._leave(batch)
        answer_all([rejected(item.call, failure()) for batch in batches for item in batch.staged])

    def _find_no_room(self, batches: Sequence[Batch], cause: str) -> None:
        """Refuse a group that found no room; what may use the ballast, which was held until now, is decided again."""
        was_full = self._space.full is not None
        self._space.ran_out(cause)
        if self._space.full is None or was_full:
            if not self._full:  # once, not for each group while it lasts
                log.warning(log.STORAGE_FULL, cause=cause)
            self._full = True
            self._refuse(batches, lambda: StorageFull(cause))
            self._reset(batches)
            return
        spared = self._turn_away(batches, cause)
        self._reset(spared)
        for batch in spared:
            self._decide_again(batch)

    def _turn_away(self, batches: Sequence[Batch], cause: str) -> list[Batch]:
        """Refuse what needs room; return the batches that need none. What was decided on others is decided again."""
        spared: list[Batch] = []
        for batch in batches:
            refused = [item for item in batch.staged if self._space.refuses(item)] if batch.is_current() else []
            if not refused:
                spared.append(batch)
                continue
            if batch.holder is not None:
                self._refuse([batch], lambda: StorageFull(cause))
            else:
                batch.link.gate.leave(len(refused))
                answer_all([rejected(item.call, StorageFull(cause)) for item in refused])
            self._reset([batch])
        outdated = [batch for batch in spared if not batch.is_current()]  # asked once: deciding again makes it current
        spared = [batch for batch in spared if batch.is_current()]
        for batch in outdated:
            self._decide_again(batch)
        return spared

    def _leave(self, batch: Batch) -> None:
        if batch.holder is not None:
            batch.holder.release()
            batch.holder.home.gate.leave(len(batch.staged))
        else:
            batch.link.gate.leave(len(batch.staged))

    def _decide_again(self, batch: Batch) -> None:
        """Drop what was decided on refused records: shards decide theirs again at `Reset`, holders know what to do."""
        if batch.holder is not None:
            error = batch.holder.refused()
            if error is not None:
                self._refuse([batch], lambda: error)

    def _reset(self, batches: Sequence[Batch]) -> None:
        """Let the shards of a refused group forget what they staged on it."""
        links: set[ShardLink] = set()
        for batch in batches:
            links.update(batch.holder.epochs if batch.holder is not None else (batch.link,))
        for link in links:
            link.epoch += 1
            link.tell(Reset(link.epoch))

    def _resolve(self, batches: Sequence[Batch], groups: frozenset[str]) -> None:
        """Another host wrote some groups first: decide everything of this commit group again, on fresh records."""
        self._committed.forget(groups)
        self._reset(batches)
        for batch in batches:
            self._decide_again(batch)

    def _fail(self, batches: Sequence[Batch], error: BaseException) -> None:
        self.failure = str(error)
        log.error(log.STORE_FAILED, cause=self.failure, exc_info=error)
        cause = error.cause if isinstance(error, CommitFailed) else repr(error)
        self._refuse(batches, lambda: CommitFailed(cause))
