"""The shard actor: the only one that decides what its keys become.

It moves messages; what a command does is a pure function of `model/`. A decision sees the committed records and,
above them, what this shard has staged and the committer has not published yet. So it need not wait for the disk:
what comes next is decided on what came before, and committed after it.

Only the actor's own thread touches its fields.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pictact_actors import log
from pictact_actors.clock import StoreClock, UniqueTimes, monotonic
from pictact_actors.errors import Rejected, RequestTimeout, ShardRestarted
from pictact_actors.model.codec import encode
from pictact_actors.model.deciding import decide
from pictact_actors.model.records import Record
from pictact_actors.model.rules import Outcome, When
from pictact_actors.runtime.actor import Actor
from pictact_actors.runtime.crossing import CROSSING_COMMANDS, Crossing, Job, crossing_of
from pictact_actors.runtime.locks import LockTable
from pictact_actors.runtime.messages import BELL, STEP
from pictact_actors.runtime.reply import Call, wake_ports
from pictact_actors.runtime.staging import Batch, Staged, rejected
from pictact_actors.storage.merge import merged, under

if TYPE_CHECKING:
    from pictact_actors.runtime.committed import Committed
    from pictact_actors.runtime.committer import Committer
    from pictact_actors.runtime.crossing import Layout
    from pictact_actors.runtime.link import ShardLink, ShardMessage


class ShardActor(Actor):
    """Owner of all keys of its groups."""

    def __init__(
        self, link: ShardLink, committed: Committed, committer: Committer, clock: StoreClock, layout: Layout
    ) -> None:
        super().__init__()
        self.link = link
        self.clock = clock
        self.layout = layout
        self.locks = LockTable()
        self._committed = committed
        self._committer = committer
        self._epoch = link.epoch
        self._number = 0
        self._staged: dict[str, tuple[Record | None, int]] = {}
        self._unpublished: deque[Batch] = deque()
        self._jobs: deque[Job] = deque()
        self._deciding: list[Call] = []
        self._times = UniqueTimes(committer.mark)

    @property
    def epoch(self) -> int:
        """The epoch that its decisions belong to."""
        return self._epoch

    @property
    def mark(self) -> float:
        """The latest unique time it has given out."""
        return self._times.mark

    def handle(self, message: ShardMessage) -> None:
        """Do what a message says."""
        message.apply(self)

    def on_fault(self, message: ShardMessage, error: BaseException) -> None:
        """Answer the calls that a mistake of ours left undecided."""
        log.error(log.RULE_FAILED, shard=self.link.index, message=message, cause=repr(error), exc_info=error)
        self.refuse([call for call in self._deciding if not call.done()], ShardRestarted(self.link.index, repr(error)))
        self._deciding = []
        self.link.tell(BELL)  # what lines up meanwhile relies on being taken

    # -- the records as this shard sees them (a `View` for the rules)

    def get(self, key: str) -> Record | None:
        """Return the record under a key: what was decided last, else what is committed."""
        staged = self._staged.get(key)
        return self._committed.get(key) if staged is None else staged[0]

    def scan(self, prefix: str) -> Iterator[Record]:
        """Yield the records of one group under a prefix, in key order."""
        staged = {key: entry[0] for key, entry in self._staged.items()}
        for _, record in merged(self._committed.scan(prefix), under(prefix, None, staged)):
            yield record

    # -- deciding

    def decide(self, calls: list[Call], *, waited: bool = False) -> None:
        """Decide calls in order, except those whose group is locked: they wait for it, unless they did already."""
        self._deciding = calls
        self._forget_published()
        time = monotonic()
        when = self.when()
        staged: list[Staged] = []
        locks = None if waited else self.locks
        for call in calls:
            if call.deadline < time:
                staged.append(rejected(call, RequestTimeout(call.timeout_s)))
            elif locks and locks.hold_up(call.command.group, call):
                continue
            else:
                decision = self._decision(call, when)
                if decision is not None:
                    staged.append(decision)
        if staged:
            self._hand_over(staged)
        self._deciding = []

    def when(self) -> When:
        """Return the time of what is decided now."""
        self._times.now = now = self.clock.now()
        return When(now, self._times.next)

    def refuse(self, calls: list[Call], error: Exception) -> None:
        """Answer calls with an error that depends on nothing staged."""
        for call in calls:
            call.fail(error)
        self.link.gate.leave(len(calls))
        wake_ports(calls)

    def _decision(self, call: Call, when: When) -> Staged | None:
        """Return what a call leads to, or None if it becomes a crossing."""
        command = call.command
        try:
            outcome = self._crossed(call) if command.__class__ in CROSSING_COMMANDS else decide(command, self, when)
            if outcome is None:
                return None
            changes = {key: None if record is None else encode(record) for key, record in outcome.changes.items()}
        except Rejected as error:
            return rejected(call, error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours harms only its own call
            log.error(log.RULE_FAILED, shard=self.link.index, command=command.NAME, exc_info=error)
            return rejected(call, ShardRestarted(self.link.index, repr(error)))
        number = self._number + 1
        for key, record in outcome.changes.items():
            self._staged[key] = (record, number)
        return Staged(call, command.NAME, command.request_id, changes, outcome.changes, outcome.answer, None)

    def _hand_over(self, staged: list[Staged]) -> None:
        if not self._staged and not any(item.changes for item in staged):
            self._answer_now(staged)
            return
        self._number += 1
        size = sum(len(value) for item in staged for value in item.changes.values() if value is not None)
        batch = Batch(self.link, self._epoch, self._number, staged, size, self._times.mark)
        self._unpublished.append(batch)
        self._committer.put(batch)

    def _answer_now(self, staged: list[Staged]) -> None:
        """Answer what writes nothing and was decided on published records only."""
        for item in staged:
            if item.error is None:
                item.call.answer(item.answer)
            else:
                item.call.fail(item.error)
        self.link.gate.leave(len(staged))
        wake_ports(item.call for item in staged)

    def _forget_published(self) -> None:
        published = self.link.published
        while self._unpublished and self._unpublished[0].number <= published:
            batch = self._unpublished.popleft()
            for item in batch.staged:
                for key in item.changes:
                    entry = self._staged.get(key)
                    if entry is not None and entry[1] == batch.number:
                        del self._staged[key]

    # -- crossings: work over several groups, step by step

    def _crossed(self, call: Call) -> Outcome | None:
        """Begin the crossing that a command needs; return its outcome if it needs none."""
        crossing = crossing_of(call, self, self.layout)
        if crossing is None:
            return decide(call.command, self, self.when())
        if isinstance(crossing, Outcome):
            return crossing
        if crossing.stops[0].link is self.link:
            self.arrive(crossing)  # now, so that what was sent after it stays behind it
        else:
            crossing.begin()
        return None

    def arrive(self, crossing: Crossing) -> None:
        """Lock what a crossing needs here; begin its work when it has all of it."""
        if self.locks.acquire(crossing, crossing.groups_here()):
            self.enter(crossing)

    def enter(self, crossing: Crossing) -> None:
        """Begin a crossing's work in this shard."""
        self._forget_published()
        crossing.enter(self.link, self._epoch)
        if crossing.call.deadline < monotonic():
            crossing.give_up(self, RequestTimeout(crossing.call.timeout_s))
            return
        self._jobs.append(Job(crossing, self))
        if len(self._jobs) == 1:
            self.link.tell(STEP)

    def step(self) -> None:
        """Do a bounded piece of the first job, then let other messages have their turn."""
        job = self._jobs[0]
        if job.step():
            self._jobs.popleft()
        if self._jobs:
            self.link.tell(STEP)

    def finish(self, batch: Batch) -> None:
        """Hand a crossing that is decided to the committer."""
        self._committer.put(batch)

    def release(self, crossing: Crossing) -> None:
        """Unlock what a crossing held here and go on with what waited for it."""
        self._forget_published()
        groups = self.locks.release(crossing)
        while groups:
            calls, ready, groups = self.locks.pass_on(groups)
            if calls:
                self.decide(calls, waited=True)  # they were here before who has the lock now
            for waiting in ready:
                self.enter(waiting)

    def reset(self, epoch: int) -> None:
        """Decide again, on fresh records and in the same order, what the committer refused and nobody answered."""
        self._forget_published()
        refused = [item.call for batch in self._unpublished for item in batch.staged if not item.call.done()]
        self._epoch = epoch
        self._staged.clear()
        self._unpublished.clear()
        if refused:
            self.decide(refused, waited=True)  # before who has the lock now, as the first time
