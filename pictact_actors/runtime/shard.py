"""The shard actor: the only one that decides what its keys become.

It moves messages; what a command does is a pure function of `model/`. A decision sees the committed records and,
above them, what this shard has staged and the committer has not published yet. So it need not wait for the disk:
what comes next is decided on what came before, and committed after it.

Only the actor's own thread touches its fields. The supervisor looks at a few (`turn`, `busy`, `in_hand`), and takes
over what is left in an actor that it has fenced.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from pictact_actors import log
from pictact_actors.clock import UniqueTimes, monotonic
from pictact_actors.errors import Rejected, RequestTimeout, ShardRestarted
from pictact_actors.model.codec import encode
from pictact_actors.model.commands import PutMany
from pictact_actors.model.deciding import decide
from pictact_actors.model.records import Record
from pictact_actors.model.rules import NO_CHANGES, Outcome, When
from pictact_actors.runtime.actor import Actor
from pictact_actors.runtime.crossing import CROSSING_COMMANDS, Crossing, Job, crossing_of
from pictact_actors.runtime.locks import LockTable
from pictact_actors.runtime.messages import STEP
from pictact_actors.runtime.overlay import ABSENT, Overlay
from pictact_actors.runtime.reply import Call, answer_all
from pictact_actors.runtime.staging import NOTHING, Batch, Staged, rejected, staged
from pictact_actors.runtime.transaction import Commit, Lock
from pictact_actors.storage.merge import merged, under

if TYPE_CHECKING:
    from pictact_actors.runtime.holder import Holder
    from pictact_actors.runtime.link import ShardLink, ShardMessage
    from pictact_actors.runtime.workplace import Workplace

Report = Callable[["ShardActor", str], None]
"""Told that an actor needs a successor, and why."""
NEED_LOCKS: Final = CROSSING_COMMANDS | {Lock, Commit}
"""Commands that work under locks."""
ASK_FOR_LOCKS: Final = frozenset({PutMany, Lock, Commit})
"""Commands that do not wait for a locked group as others do: they ask for it themselves, or have it."""


class ShardActor(Actor):
    """Owner of all keys of its groups."""

    def __init__(self, link: ShardLink, workplace: Workplace, report: Report) -> None:
        super().__init__()
        self.link = link
        self.workplace = workplace
        self.clock = workplace.clock
        self.locks = LockTable(self._report_wait)
        self.turn = 0
        self.busy = False
        self.in_hand: Call | None = None
        self.fenced = False
        self.thread: threading.Thread | None = None
        self._report = report
        self._given: set[Call] = set()
        self._leaving = threading.Lock()
        self._committed = workplace.committed
        self._committed_get = workplace.committed.get
        self._committer = workplace.committer
        self._waits = workplace.waits
        self._epoch = link.epoch
        self._number = 0
        self._size_bytes = 0
        self._overlay = Overlay()
        self._unpublished: deque[Batch] = deque()
        self._jobs: deque[Job] = deque()
        self._deciding: list[Call] = []
        self._times = UniqueTimes(self._committer.mark)
        link.actor = self

    @property
    def epoch(self) -> int:
        """The epoch that its decisions belong to."""
        return self._epoch

    @property
    def mark(self) -> float:
        """The latest unique time it has given out."""
        return self._times.mark

    def on_start(self) -> None:
        """Begin in the actor's own thread."""
        super().on_start()
        self.thread = threading.current_thread()

    def handle(self, message: ShardMessage) -> None:
        """Do what a message says, unless another actor has taken this one's place."""
        if not self.fenced:
            self.turn += 1
            self.busy = True
            message.apply(self)
            self.in_hand = None
            self.busy = False

    def on_fault(self, message: ShardMessage, error: BaseException) -> None:
        """Have another actor take this one's place: it does not know any more what is true."""
        if self.fence():
            log.error(log.RULE_FAILED, shard=self.link.index, message=message, cause=repr(error), exc_info=error)
            self._report(self, repr(error))

    # -- its end

    def fence(self) -> bool:
        """Let nothing leave this actor any more; say whether something could until now. Any thread's."""
        with self._leaving:
            fenced, self.fenced = self.fenced, True
        return not fenced

    def take_over(self) -> list[Call]:
        """Return the calls of a fenced actor that nobody has answered, in the order they came, for its successor."""
        with self._leaving:
            deciding = self._deciding  # first: it goes from here to the others
            undecided = [item.call for batch in tuple(self._unpublished) for item in batch.staged]
            calls = [*undecided, *self.locks.waiting_calls(), *deciding]
            return self._given_away(calls)

    def _hand_back(self, calls: list[Call]) -> None:
        """Give calls to the successor that it did not find: they were on their way when it looked."""
        with self._leaving:
            missed = self._given_away(calls)
        if missed:
            self.link.post_again(missed)

    def _given_away(self, calls: list[Call]) -> list[Call]:
        """Return those that nobody has answered and that are not given away already, each once."""
        open_calls = [call for call in dict.fromkeys(calls) if call not in self._given and not call.done()]
        self._given.update(open_calls)
        return open_calls

    # -- the records as this shard sees them (a `View` for the rules)

    def get(self, key: str) -> Record | None:
        """Return the record under a key: what was decided last, else what is committed."""
        overlay = self._overlay  # looked into from here: this is called twice for every award
        found = overlay.newer.get(key, ABSENT)
        if found is ABSENT:
            found = overlay.older.get(key, ABSENT)
            if found is ABSENT:
                return self._committed_get(key)
        return found  # type: ignore[return-value]  # not ABSENT

    def scan(self, prefix: str) -> Iterator[Record]:
        """Yield the records of one group under a prefix, in key order."""
        decided = under(prefix, None, self._overlay.all())
        for _, record in merged(self._committed.scan(prefix), decided):
            yield record

    # -- deciding

    def decide(self, calls: list[Call], *, waited: bool = False) -> None:
        """Decide calls in order, except those whose group is locked: they wait for it, unless they did already."""
        self._deciding = calls
        if self.fenced:
            self._hand_back(calls)
            return
        if self.link.failure is not None:
            self.refuse(calls, self.link.failure)
            return
        self._forget_published()
        time = monotonic()
        when = self.when()
        self._overlay.until = self._number + 1
        decided: list[Staged] = []
        locked = {} if waited else self.locks.holders
        for call in calls:
            self.in_hand = call
            if call.deadline < time:
                decided.append(rejected(call, RequestTimeout(call.timeout_s)))
            elif locked and self._hold_up(call):
                continue
            else:
                decision = self._decision(call, when)
                if decision is not None:
                    decided.append(decision)
        if decided:
            self._hand_over(decided)
        self._deciding = []

    def _hold_up(self, call: Call) -> bool:
        """Let a call wait if its group is locked; what asks for locks itself waits as a holder."""
        command = call.command
        return command.__class__ not in ASK_FOR_LOCKS and self.locks.hold_up(command.group, call)

    def when(self) -> When:
        """Return the time of what is decided now."""
        self._times.now = now = self.clock.now()
        return When(now, self._times.next)

    def refuse(self, calls: list[Call], error: Exception) -> None:
        """Answer calls with an error that depends on nothing staged."""
        self._answer_now([rejected(call, error) for call in calls])

    def _decision(self, call: Call, when: When) -> Staged | None:
        """Return what a call leads to, or None if it becomes a crossing."""
        command = call.command
        try:
            outcome = self._with_locks(call, when) if command.__class__ in NEED_LOCKS else decide(command, self, when)
            if outcome is None:
                return None
            records = outcome.changes
            changes: dict[str, bytes | None] = {}
            for key, record in records.items():
                if record is None:
                    changes[key] = None
                else:
                    changes[key] = value = encode(record)
                    self._size_bytes += len(value)
        except Rejected as error:
            return rejected(call, error)
        except BaseException as error:
            if command.__class__ in NEED_LOCKS:  # it may have left the locks half done
                raise
            # A mistake in a rule, an exit too, harms only its own call: nothing of it is staged.
            log.error(log.RULE_FAILED, shard=self.link.index, command=command.NAME, exc_info=error)
            return rejected(call, ShardRestarted(self.link.index, repr(error)))
        self._overlay.newer.update(records)
        return staged(call, changes, records, outcome.answer)

    def _hand_over(self, decided: list[Staged]) -> None:
        if not self._overlay and not any(item.changes for item in decided):
            self._answer_now(decided)
            return
        self._number += 1
        batch = Batch(self.link, self._epoch, self._number, decided, self._size_bytes, self._times.mark)
        self._size_bytes = 0
        self._unpublished.append(batch)
        self.finish(batch)

    def _answer_now(self, decided: list[Staged]) -> None:
        """Answer what writes nothing and was decided on published records only."""
        with self._leaving:
            if not self.fenced:
                self.link.gate.leave(len(decided))
                answer_all(decided)
                return
        self._hand_back([item.call for item in decided])

    def _forget_published(self) -> None:
        published = self.link.published
        while self._unpublished and self._unpublished[0].number <= published:
            self._unpublished.popleft()
        self._overlay.forget(published)

    # -- work over several groups: transactions lock here, crossings come by and work step by step

    def _with_locks(self, call: Call, when: When) -> Outcome | None:
        """Serve a command that works under locks; return its outcome if it is decided by that."""
        command = call.command
        if isinstance(command, Lock):
            command.transaction.asks(call, self.link)
            if not self.locks.acquire(command.transaction, command.groups):
                return None
            command.transaction.granted(self)
            return Outcome(None, NO_CHANGES)
        if isinstance(command, Commit):
            self.finish(command.transaction.batch(call, self))
            return None
        return self._crossed(call, when)

    def _crossed(self, call: Call, when: When) -> Outcome | None:
        """Begin the crossing that a command needs; return its outcome if it needs none."""
        crossing = crossing_of(call, self, self.workplace)
        if crossing is None:
            return decide(call.command, self, when)
        if isinstance(crossing, Outcome):
            return crossing
        if crossing.stops[0].link is self.link:
            self.arrive(crossing)  # now, so that what was sent after it stays behind it
        else:
            crossing.begin()
        return None

    def arrive(self, crossing: Crossing) -> None:
        """Lock what a crossing needs here; begin its work when it has all of it."""
        if crossing.over:
            return
        if self.link.failure is not None:
            crossing.give_up(self, self.link.failure)
        elif self.locks.acquire(crossing, crossing.groups_here()):
            self.enter(crossing)

    def enter(self, holder: Holder) -> None:
        """Go on with a holder that has all its locks here now."""
        self._forget_published()
        self._waits.end(holder)
        holder.rely_on(self.link, self._epoch)
        holder.enter(self)

    def begin(self, job: Job) -> None:
        """Work on a job, after those that are there."""
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self.link.tell(STEP)

    def grant(self, call: Call) -> None:
        """Tell a transaction that it has what it waited for, once what was decided before is published."""
        self._hand_over([staged(call, NOTHING, NO_CHANGES, None)])

    def step(self) -> None:
        """Do a bounded piece of the first job, then let other messages have their turn."""
        job = self._jobs[0]
        self.in_hand = job.call
        if job.step():
            self._jobs.popleft()
        if self._jobs:
            self.link.tell(STEP)

    def finish(self, batch: Batch) -> None:
        """Hand decided work to the committer."""
        with self._leaving:
            if not self.fenced:
                self._committer.put(batch)
                return
        self._hand_back([item.call for item in batch.staged])

    def release(self, holder: Holder) -> None:
        """Unlock what a holder had here and go on with what waited for it."""
        self._forget_published()
        self._overlay.purge(self._overlay.all().keys() & holder.changes.keys())
        self._times.mark = max(self._times.mark, holder.mark)
        self._waits.end(holder)
        if self.locks.waits(holder):
            holder.gave_up(self)
        groups = self.locks.release(holder)
        while groups:
            calls, ready, groups = self.locks.pass_on(groups)
            if calls:
                self.decide(calls, waited=True)  # they were here before who has the lock now
            for waiting in ready:
                self.enter(waiting)

    def _report_wait(self, holder: Holder, groups: tuple[str, ...], behind: AbstractSet[Holder]) -> None:
        deadlocks = self._waits.begin(holder, groups, behind)
        self.link.tally.add(waits=1, deadlocks=deadlocks)

    def reset(self, epoch: int) -> None:
        """Decide again, on fresh records and in the same order, what the committer refused and nobody answered."""
        self._forget_published()
        refused = [item.call for batch in self._unpublished for item in batch.staged if not item.call.done()]
        self._epoch = epoch
        self._overlay.clear()
        self._unpublished.clear()
        if refused:
            self.decide(refused, waited=True)  # before who has the lock now, as the first time
