"""One incarnation of a shard's actor: what it lets out, how it ends, and what it leaves to the next one.

Everything leaves it under one lock, `_leaving`: calls it takes from the line, answers, batches, crossings. So there is
one moment after which nothing does: when it is fenced. What it had by then goes to its successor, each message once:
either that finds it here (`take_over`), or it is handed back when this actor notices (`_hand_back`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.runtime.actor import Actor
from pictact_actors.runtime.crossing import Crossing
from pictact_actors.runtime.locks import LockTable
from pictact_actors.runtime.reply import Call, answer_all
from pictact_actors.runtime.staging import Batch, Staged, rejected

if TYPE_CHECKING:
    from pictact_actors.runtime.holder import Holder
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.workplace import Workplace

_FENCE_S = 0.1
Report = Callable[["Incarnation", str], None]
"""Told that an actor needs a successor, and why."""


class Incarnation(Actor):
    """An actor that another one can take the place of.

    Only its own thread touches its fields. The supervisor looks at a few (`turn`, `busy`, `in_hand`), and takes over
    what is left in an actor that it has fenced.
    """

    def __init__(self, link: ShardLink, workplace: Workplace, report: Report) -> None:
        super().__init__()
        self.link = link
        self.workplace = workplace
        self.locks = LockTable(self._report_wait)
        self.turn = 0
        self.busy = False
        self.in_hand: Call | None = None
        self.fenced = False
        self.thread: threading.Thread | None = None
        self._report = report
        self._given: set[Call] = set()
        self._leaving = threading.Lock()
        self._committer = workplace.committer
        self._waits = workplace.waits
        self._unpublished: deque[Batch] = deque()
        self._deciding: list[Call] = []

    def on_start(self) -> None:
        """Begin in the actor's own thread."""
        super().on_start()
        self.thread = threading.current_thread()

    def on_fault(self, message: object, error: BaseException) -> None:
        """Have another actor take this one's place: it does not know any more what is true."""
        if self.fence():
            log.error(log.RULE_FAILED, shard=self.link.index, message=message, cause=repr(error), exc_info=error)
            self._report(self, repr(error))

    # -- what comes in and goes out

    def take(self) -> list[Call]:
        """Take the calls that wait on the link. To a fenced actor there are none: they wait for its successor."""
        with self._leaving:
            self._deciding = [] if self.fenced else self.link.take(self.workplace.config.commit_group_max)
            return self._deciding

    def register(self, crossing: Crossing) -> bool:
        """Note that a crossing is under way, unless this actor has a successor that begins it."""
        with self._leaving:
            if not self.fenced:
                self.workplace.crossings[crossing] = None
                return True
        self._hand_back([crossing.call])
        return False

    def refuse(self, calls: list[Call], error: Exception) -> None:
        """Answer calls with an error that depends on nothing staged."""
        self.answer_now([rejected(call, error) for call in calls], monotonic())

    def answer_now(self, decided: list[Staged], began: float) -> None:
        """Answer what writes nothing and was decided on published records only."""
        with self._leaving:
            if not self.fenced:
                self.link.gate.leave(len(decided))
                answer_all(decided)
                self._committer.meter.answered(decided, began)
                return
        self._hand_back([item.call for item in decided])

    def finish(self, batch: Batch) -> None:
        """Hand decided work to the committer."""
        with self._leaving:
            if not self.fenced:
                self._committer.put(batch)
                return
        if not isinstance(batch.holder, Crossing):  # those begin anew with the successor
            self._hand_back([item.call for item in batch.staged])

    # -- its end

    def fence(self) -> bool:
        """Let nothing leave this actor any more; say whether something could until now. Any thread's.

        False also if it stands still just where things leave it: whether they have, nobody can tell.
        """
        if not self._leaving.acquire(timeout=_FENCE_S):
            return False
        fenced, self.fenced = self.fenced, True
        self._leaving.release()
        return not fenced

    def take_over(self) -> list[Call]:
        """Return the calls of a fenced actor that nobody has answered, in the order they came, for its successor."""
        with self._leaving:
            deciding = self._deciding  # first: it goes from here to the others
            undecided = [item.call for batch in tuple(self._unpublished) for item in batch.staged]
            under_locks = [item if isinstance(item, Call) else item.asking(self.link) for item in self.locks.in_order()]
            calls = [*undecided, *(call for call in under_locks if call is not None), *deciding]
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

    def _report_wait(self, holder: Holder, groups: tuple[str, ...], behind: AbstractSet[Holder]) -> None:
        deadlocks = self._waits.begin(holder, groups, behind)
        self.link.tally.add(waits=1, deadlocks=deadlocks)
