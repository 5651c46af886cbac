"""A stage for transactions: each in a thread of its own, its steps given one at a time.

A step is given, and then it is done or waits for a lock. Which of the two is a fact that the store knows: it accounts
for everybody who waits. Steps given to somebody who waits are done after that wait, in order.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any, Protocol

from cells import InTransaction, OneByOne, Step, values_in
from engines import inside
from waiting import PATIENCE_S, until

from pictact_actors import OutcomeUnknown, Store, StoreError
from pictact_actors.model.commands import Command
from pictact_actors.runtime.reply import Reply


class RolledBackError(Exception):
    """Leaves the block of a transaction that is not to be committed."""


@dataclass(eq=False)
class Cue:
    """A step that was given."""

    step: Step | None
    done: threading.Event = field(default_factory=threading.Event)
    seen: object = None
    waited: bool = False
    """Whether it had to wait when it was given."""

    def result(self) -> object:
        """What the step saw, once it is done."""
        assert self.done.wait(PATIENCE_S), "the step was never done"
        return self.seen


def commit(_cells: object) -> None:
    """Leave the block."""


def roll_back(_cells: object) -> None:
    """Leave the block with an exception."""
    raise RolledBackError


class Performer:
    """A transaction in a thread of its own."""

    def __init__(self, stage: Stage, timeout: float | None) -> None:
        self._stage = stage
        self._timeout = timeout
        self._given: queue.SimpleQueue[Cue] = queue.SimpleQueue()
        self.cues: list[Cue] = []
        self.committed = False
        self.error: StoreError | None = None
        self.came = threading.Event()
        self.ended = threading.Event()
        self.began_at = 0
        self.ended_at = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.came.wait(PATIENCE_S), "the transaction never began"

    def does(self, *steps: Step) -> Cue:
        """Give steps; return the last one when it is done or waits."""
        for step in steps:
            self._give(step)
            self._stage.settle()
            cue = self.cues[-1]
            cue.waited = not cue.done.is_set()
        return self.cues[-1]

    def commits(self) -> Cue:
        """Leave the block, after all steps that were given."""
        return self.does(commit)

    def rolls_back(self) -> Cue:
        """Leave the block with an exception, after all steps that were given."""
        return self.does(roll_back)

    def busy(self) -> bool:
        """Whether it has a step that is not done."""
        return any(not cue.done.is_set() for cue in self.cues)

    @property
    def steps(self) -> list[Step]:
        """What it did, without the end."""
        return [cue.step for cue in self.cues if cue.step not in (commit, roll_back)]

    @property
    def seen(self) -> list[object]:
        """What its steps saw."""
        return [cue.result() for cue in self.cues if cue.step not in (commit, roll_back)]

    def _give(self, step: Step) -> None:
        self.began_at = self.began_at or self._stage.tick()
        cue = Cue(step)
        self.cues.append(cue)
        if self.ended.is_set():
            cue.done.set()
        else:
            self._given.put(cue)

    def _run(self) -> None:
        try:
            with self._stage.store.transaction(timeout=self._timeout) as tx:
                self.came.set()
                last = self._perform(InTransaction(tx))
            self.committed = last is commit
        except RolledBackError:
            pass
        except StoreError as error:
            self.error = error
        finally:
            self._end()

    def _perform(self, cells: InTransaction) -> Step:
        """Do what is given until the end; the end itself is done when the block was left."""
        while True:
            cue = self._given.get(timeout=PATIENCE_S * 2)
            cue.seen = cue.step(cells)
            if cue.step is commit:
                return commit
            cue.done.set()

    def _end(self) -> None:
        self.ended_at = sys.maxsize if isinstance(self.error, OutcomeUnknown) else self._stage.tick()
        self.ended.set()
        for cue in list(self.cues):
            cue.done.set()


class Stage:
    """Where transactions on a store are staged."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.before = values_in(store)
        self.performers: list[Performer] = []
        self._crossings: list[Reply[Any]] = []
        self._ticks = 0
        self._ticking = threading.Lock()

    def transactions(self, count: int, timeout: float | None = None) -> list[Performer]:
        """Let transactions come on one after the other, the youngest last; none has touched anything yet."""
        came = [Performer(self, timeout) for _ in range(count)]
        self.performers += came
        return came

    def crosses(self, message: Command) -> Reply[Any]:
        """Send a command over several groups; return when it is done or waits."""
        self._crossings.append(self.store.ask(message))
        self.settle()
        return self._crossings[-1]

    def tick(self) -> int:
        """Return a number later than all before."""
        with self._ticking:
            self._ticks += 1
            return self._ticks

    def settle(self) -> None:
        """Wait until every step that was given is done or waits for a lock."""
        until(self._is_settled)

    def end(self) -> None:
        """Wait until everybody is through."""
        for performer in self.performers:
            assert performer.ended.wait(PATIENCE_S), "a transaction never ended"

    def clear(self) -> None:
        """Let everybody leave."""
        for performer in self.performers:
            if not performer.ended.is_set():
                performer._give(roll_back)
        self.end()

    def values(self, *keys: str) -> tuple[int | None, ...]:
        """The cells under some keys, as they are committed."""
        held = values_in(self.store)
        return tuple(held.get(key) for key in keys)

    def assert_serial(self) -> None:
        """Find an order of what was committed that explains what everybody saw and what is left, in real time."""
        self.end()
        committed = [performer for performer in self.performers if performer.committed]
        unknown = [performer for performer in self.performers if isinstance(performer.error, OutcomeUnknown)]
        assert committed or unknown, f"nobody got through: {[performer.error for performer in self.performers]}"
        assert_explained(self.before, committed, values_in(self.store), unknown)

    def _is_settled(self) -> bool:
        busy = self._busy()
        for link in self.store.runtime.links:
            inside(link, lambda _shard: None)  # whoever was let go is not waiting any more
        return waiting(self.store) == len(busy) and busy == self._busy()

    def _busy(self) -> list[object]:
        """Who has something to do that is not done."""
        performers = [performer for performer in self.performers if performer.busy()]
        return [*performers, *(reply for reply in self._crossings if not reply.done())]


SetStage = Callable[[Mapping[str, int]], Stage]
"""Fills cells and sets a stage over them."""


def waiting(store: Store) -> int:
    """How many transactions and crossings wait for a lock."""
    return len(store.runtime.waits)


def assert_free(store: Store) -> None:
    """Nobody holds or wants anything, in a moment."""
    until(lambda: not any(len(inside(link, lambda shard: shard.locks)) for link in store.runtime.links))
    until(lambda: waiting(store) == len(store.runtime.transactions) == 0)


class Performed(Protocol):
    """What somebody did and saw, and when."""

    began_at: int
    ended_at: int

    @property
    def steps(self) -> Sequence[Step]: ...

    @property
    def seen(self) -> Sequence[object]: ...


def assert_explained(
    before: Mapping[str, int], told: Sequence[Performed], left: Mapping[str, int], unknown: Sequence[Performed] = ()
) -> None:
    """Find an order, one after the other, in which everybody sees what they saw and that leaves what is left.

    Those whose outcome is unknown took part or did not.
    """
    for taking_part in range(len(unknown) + 1):
        for some in combinations(unknown, taking_part):
            if _is_explained(before, [*told, *some], left):
                return
    seen = [list(performed.seen) for performed in told]
    raise AssertionError(f"no order explains what was seen ({seen}) and is left ({left})")


def _is_explained(before: Mapping[str, int], told: Sequence[Performed], left: Mapping[str, int]) -> bool:
    seen = [list(performed.seen) for performed in told]
    for order in permutations(range(len(told))):
        cells = OneByOne(before)
        found = {at: [step(cells) for step in told[at].steps] for at in order}
        explains = [found[at] for at in range(len(told))] == seen and cells.values == left
        if explains and _keeps_time([told[at] for at in order]):
            return True
    return False


def _keeps_time(order: Sequence[Performed]) -> bool:
    """Whether nobody comes before somebody who was through when they began."""
    return all(later.ended_at > one.began_at for at, one in enumerate(order) for later in order[at + 1 :])
