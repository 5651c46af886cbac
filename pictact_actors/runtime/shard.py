"""The shard actor: the only one that decides what its keys become.

It moves messages; what a command does is a pure function of `model/`. A decision sees the committed records and,
above them, what this shard has staged and the committer has not published yet. So it need not wait for the disk:
what comes next is decided on what came before, and committed after it.

How it ends, and what the next one has of it, is in `incarnation.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pictact_actors import log
from pictact_actors.clock import UniqueTimes, monotonic
from pictact_actors.errors import Rejected, RequestTimeout, ShardRestarted
from pictact_actors.model.chores import Expire
from pictact_actors.model.codec import encode
from pictact_actors.model.commands import Command, PutMany
from pictact_actors.model.deciding import decide, decide_anew
from pictact_actors.model.indexes import KINDS as INDEXED
from pictact_actors.model.indexes import reindexed
from pictact_actors.model.records import OPEN_STATUSES, Match, Record
from pictact_actors.model.removal import due_time
from pictact_actors.model.rules import NO_CHANGES, Outcome, When
from pictact_actors.model.updating import FunctionExited, Update
from pictact_actors.runtime.crossing import CROSSING_COMMANDS, Crossing, Job, crossing_of
from pictact_actors.runtime.incarnation import Incarnation, Report
from pictact_actors.runtime.messages import STEP
from pictact_actors.runtime.overlay import ABSENT, Overlay
from pictact_actors.runtime.reply import Call
from pictact_actors.runtime.staging import NOTHING, Batch, Staged, rejected, staged
from pictact_actors.runtime.transaction import Commit, Lock
from pictact_actors.storage.merge import merged, under

if TYPE_CHECKING:
    from pictact_actors.runtime.holder import Holder
    from pictact_actors.runtime.link import ShardLink, ShardMessage
    from pictact_actors.runtime.workplace import Workplace

NEED_LOCKS: Final = CROSSING_COMMANDS | {Lock, Commit}
"""Commands that work under locks."""
APART: Final = NEED_LOCKS | {Update, Expire}
"""Commands that are not a matter of rules alone."""
ASK_FOR_LOCKS: Final = frozenset({PutMany, Lock, Commit})
"""Commands that do not wait for a locked group as others do: they ask for it themselves, or have it."""

SEE_WHAT_IS_DUE: Final = frozenset({Expire, PutMany, Lock, Commit})
"""Commands that are told what is due, and deal with it."""


class ShardActor(Incarnation):
    """Owner of all keys of its groups."""

    def __init__(self, link: ShardLink, workplace: Workplace, report: Report) -> None:
        super().__init__(link, workplace, report)
        self.clock = workplace.clock
        self._committed = workplace.committed
        self._committed_get = workplace.committed.get_due
        self._expiry = workplace.committed.expiry
        self._periods = workplace.config.periods
        self._epoch = link.epoch
        self._number = 0
        self._size_bytes = 0
        self._overlay = Overlay()
        self._jobs: deque[Job] = deque()
        self._time = 0.0
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

    def handle(self, message: ShardMessage) -> None:
        """Do what a message says, unless another actor has taken this one's place."""
        if not self.fenced:
            self.turn += 1
            self.busy = True
            message.apply(self)
            self.in_hand = None
            self.busy = False

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
        for _, record in merged(self._committed.scan_due(prefix), decided):
            yield record

    def keys(self, prefix: str, after: str | None) -> Iterator[str]:
        """Yield the keys of one group under a prefix, in order, behind `after`."""
        decided = under(prefix, after, self._overlay.all())
        return (key for key, _ in merged(self._committed.stored(prefix, after), decided))

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
        self._time = began = monotonic()
        when = self.when()
        self._overlay.until = self._number + 1
        decided: list[Staged] = []
        locked = {} if waited else self.locks.holders
        for call in calls:
            self.in_hand = call
            if self.fenced:  # it was replaced while it stood still
                self._hand_back([*(item.call for item in decided), *calls[calls.index(call) :]])
                return
            if call.deadline < self._time:
                decided.append(rejected(call, RequestTimeout(call.timeout_s)))
            elif locked and self._hold_up(call):
                continue
            else:
                decision = self._decision(call, when)
                if decision is not None:
                    decided.append(decision)
        if decided:
            self._hand_over(decided, began, waited=waited)
        self._deciding = []

    def is_gone(self, group: str, when: When) -> bool:
        """Whether a group belongs to a match that is over and due, and nothing decided since has taken its place."""
        match = self.get(group) if group.startswith("match:") else None
        return isinstance(match, Match) and match.status not in OPEN_STATUSES and due_time(match, when) <= when.now

    def _is_due(self, command: Command, when: When) -> bool:
        """Whether a command is for a post that is due; those that remove it and those over several groups see to it.

        The rules of the game refuse what is for a match that is over anyway; what has none of them is always asked.
        """
        if command.__class__ in SEE_WHAT_IS_DUE:
            return False
        asked = command.__class__ is Update or self._expiry.hides(command.group)
        return asked and self.is_gone(command.group, when)

    def _hold_up(self, call: Call) -> bool:
        """Let a call wait if its group is locked; what asks for locks itself waits as a holder."""
        command = call.command
        return command.__class__ not in ASK_FOR_LOCKS and self.locks.hold_up(command.group, call)

    def when(self) -> When:
        """Return the time of what is decided now."""
        self._times.now = now = self.clock.now()
        if now >= self._expiry.next_due:
            self._expiry.look()
        return When(now, self._times.next, *self._periods)

    def _decision(self, call: Call, when: When) -> Staged | None:
        """Return what a call leads to, or None if it becomes a crossing."""
        command = call.command
        try:
            if (self._expiry.gone or command.__class__ is Update) and self._is_due(command, when):
                outcome: Outcome | None = decide_anew(command, command.group.removeprefix("match:"), self, when)
            elif command.__class__ in APART:
                outcome = self._apart(call, when)
            else:
                outcome = decide(command, self, when)
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
                if key.startswith(INDEXED):
                    changes.update(reindexed(self.get(key), record))
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

    def _hand_over(self, decided: list[Staged], began: float, *, waited: bool) -> None:
        if not self._overlay and not any(item.changes for item in decided):
            self.answer_now(decided, began)
            return
        self._number += 1
        mark, size_bytes, self._size_bytes = self._times.mark, self._size_bytes, 0
        number, epoch, now = self._number, self._epoch, monotonic()
        batch = Batch(self.link, epoch, number, decided, size_bytes, mark, None, began, now, waited)
        self._unpublished.append(batch)
        self.finish(batch)

    def _forget_published(self) -> None:
        published = self.link.published
        while self._unpublished and self._unpublished[0].number <= published:
            self._unpublished.popleft()
        self._overlay.forget(published)

    def _apart(self, call: Call, when: When) -> Outcome | None:
        """Serve a command that is not a matter of rules alone; return its outcome if it is decided by that."""
        return self._updated(call, when) if isinstance(call.command, Update) else self._with_locks(call, when)

    def _updated(self, call: Call, when: When) -> Outcome:
        """Decide an update: what its function does, and how long it takes, is not ours."""
        try:
            return decide(call.command, self, when)
        except FunctionExited as exited:
            cause = str(exited)
        finally:
            self._time = monotonic()
        raise ShardRestarted(self.link.index, cause)

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
        if call.done():
            return None  # it was begun twice, when two shards that it needs were restarted, and has had its answer
        crossing = crossing_of(call, self, self.workplace)
        if crossing is None:
            return decide(call.command, self, when)
        if isinstance(crossing, Outcome):
            return crossing
        if not self.register(crossing):
            return None
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
        self._hand_over([staged(call, NOTHING, NO_CHANGES, None)], monotonic(), waited=True)

    def step(self) -> None:
        """Do a bounded piece of the first job, then let other messages have their turn."""
        if not self._jobs:
            return  # a job of the actor before this one
        job = self._jobs[0]
        self.in_hand = job.call
        if job.step():
            self._jobs.popleft()
        if self._jobs and not self.fenced:
            self.link.tell(STEP)

    def release(self, holder: Holder) -> None:
        """Unlock what a holder had here and go on with what waited for it."""
        self._forget_published()
        if self.locks.holds(holder):  # or it lost its locks with the actor before, and others have written since
            self._overlay.purge(self._overlay.all().keys() & holder.changes.keys())
        self._times.mark = max(self._times.mark, holder.mark)
        self.give_up(holder)
        self._pass_on(self.locks.release(holder))

    def give_up(self, holder: Holder) -> None:
        """End a holder's wait."""
        self._waits.end(holder)
        if self.locks.waits(holder):
            holder.gave_up(self)
            self._pass_on(self.locks.withdraw(holder))

    def _pass_on(self, groups: list[str]) -> None:
        while groups:
            self._deciding, ready, groups = self.locks.pass_on(groups)
            calls = self._deciding
            if calls:
                self.decide(calls, waited=True)  # they were here before who has the lock now
            for waiting in ready:
                self.enter(waiting)

    def reset(self, epoch: int) -> None:
        """Decide again, on fresh records and in the same order, what the committer refused and nobody answered."""
        self._forget_published()
        refused = [item.call for batch in self._unpublished for item in batch.staged if not item.call.done()]
        self._deciding = refused
        self._epoch = epoch
        self._overlay.clear()
        self._unpublished.clear()
        if refused:
            self.decide(refused, waited=True)  # before who has the lock now, as the first time
