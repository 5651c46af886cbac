"""Many callers at once, threads and tasks of an event loop, and the history of what they did."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engines import PATIENCE_S
from serializability import Outcome
from transactions import Attempt, Recorded, Steps, Workload

from pictact_actors import AsyncStore, Rejected, StorageFull, Store, StoreError

HURRY_S = 0.005
"""The longest that a hurried transaction waits for a lock, or for its commit."""

Disturb = Callable[[Store, random.Random], object]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A history to be: who does how much of what, and what goes wrong meanwhile (as shares, from 0 to 1)."""

    seed: int
    workload: Workload
    threads: int = 6
    tasks: int = 2
    """On one event loop."""
    turns: int = 63
    transact: int = 4
    once: int = 3
    alone: int = 3
    """How often, compared to each other, callers let the store repeat, try once, and do without a transaction."""
    hurried: float = 0.0
    """Transactions that wait for a few milliseconds at most."""
    abandoned: float = 0.0
    """Transactions of threads that are left open for a while; give the store a short lease."""
    disturbed: float = 0.0
    """Steps before which `disturb` is called."""
    disturb: Disturb = lambda _store, _rng: None


class RolledBackError(Exception):
    """Raised by a caller to leave a transaction without a commit."""


class Caller:
    """One of many: does transactions of all kinds, one after the other, and remembers what came of them."""

    def __init__(self, number: int, plan: Plan, store: Store) -> None:
        self.history: list[Recorded] = []
        self._number = number
        self._plan = plan
        self._store = store
        self._rng = random.Random(f"{plan.seed}-{number}")
        self._begun = 0
        self._attempt: Attempt | None = None
        self._left: list[tuple[Any, Attempt]] = []

    def play(self) -> None:
        """Do all turns in this thread."""
        for _ in range(self._plan.turns):
            if self._rng.random() < self._plan.abandoned:
                self._abandon()
            else:
                self._do(self._drawn(self._transact, self._once, self._alone))
            while self._left and self._rng.random() < 0.5:
                self._come_back()
        while self._left:
            self._come_back()

    async def play_in_a_loop(self) -> None:
        """Do all turns in a task."""
        store = AsyncStore(self._store)
        for _ in range(self._plan.turns):
            act = self._drawn(self._transact_aio, self._once_aio, self._alone_aio)
            await self._do_aio(act(store))

    # -- in a thread

    def _do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (StoreError, RolledBackError) as error:
            self._end(self._outcome(error))
        else:
            self._end(Outcome.COMMITTED)

    def _transact(self) -> None:
        self._store.transact(self._within, timeout=self._timeout_s(PATIENCE_S))

    def _once(self) -> None:
        with self._store.transaction(timeout=self._timeout_s(None)) as transaction:
            self._within(transaction)
            self._change_its_mind()

    def _alone(self) -> None:
        self._drive(self._plan.workload.alone(self._begin(complete=True), self._rng), self._store)

    def _within(self, transaction: Any) -> Attempt:
        """Do everything that one attempt does."""
        attempt = self._begin()
        self._drive(self._plan.workload.steps(attempt, self._rng), transaction)
        attempt.complete = True
        return attempt

    def _drive(self, steps: Steps, asked: Any) -> None:
        with suppress(StopIteration):
            step = next(steps)
            while True:
                self._disturb()
                try:
                    answer = step.of(asked)
                except StoreError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)

    def _abandon(self) -> None:
        """Begin a transaction and leave it open, with its locks."""
        transaction = self._store.transaction(timeout=self._timeout_s(None)).__enter__()
        try:
            attempt = self._within(transaction)
        except StoreError as error:
            transaction.__exit__(type(error), error, None)
            self._end(self._outcome(error))
        else:
            self._left.append((transaction, attempt))
            self._attempt = None

    def _come_back(self) -> None:
        """Try to commit what was left open: most likely it is too late."""
        transaction, self._attempt = self._left.pop()
        self._do(lambda: transaction.__exit__(None, None, None))

    # -- in a task

    async def _do_aio(self, act: Awaitable[object]) -> None:
        try:
            await act
        except (StoreError, RolledBackError) as error:
            self._end(self._outcome(error))
        else:
            self._end(Outcome.COMMITTED)

    async def _transact_aio(self, store: AsyncStore) -> None:
        await store.transact(self._within_aio, timeout=self._timeout_s(PATIENCE_S))

    async def _once_aio(self, store: AsyncStore) -> None:
        async with store.transaction(timeout=self._timeout_s(None)) as transaction:
            await self._within_aio(transaction)
            self._change_its_mind()

    async def _alone_aio(self, store: AsyncStore) -> None:
        await self._drive_aio(self._plan.workload.alone(self._begin(complete=True), self._rng), store)

    async def _within_aio(self, transaction: Any) -> None:
        attempt = self._begin()
        await self._drive_aio(self._plan.workload.steps(attempt, self._rng), transaction)
        attempt.complete = True

    async def _drive_aio(self, steps: Steps, asked: Any) -> None:
        with suppress(StopIteration):
            step = next(steps)
            while True:
                self._disturb()
                try:
                    answer = await step.of_aio(asked)
                except StoreError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)

    # -- in both

    def _begin(self, *, complete: bool = False) -> Attempt:
        """Begin an attempt. There is no other one before it has failed for certain."""
        self._end(Outcome.ABORTED)
        self._begun += 1
        self._attempt = Attempt(f"{self._number}.{self._begun}", complete=complete)
        return self._attempt

    def _end(self, outcome: Outcome) -> None:
        if self._attempt is not None:
            self.history.append(self._attempt.ended(outcome))
            self._attempt = None

    def _outcome(self, error: Exception) -> Outcome:
        """What became of an attempt, from its error: what was never told to commit has not."""
        certain = isinstance(error, Rejected | RolledBackError)
        return Outcome.ABORTED if certain or self._attempt is None or not self._attempt.complete else Outcome.UNKNOWN

    def _drawn(self, *manners: Callable[..., Any]) -> Callable[..., Any]:
        plan = self._plan
        return self._rng.choices(manners, [plan.transact, plan.once, plan.alone])[0]

    def _disturb(self) -> None:
        if self._rng.random() < self._plan.disturbed:
            self._plan.disturb(self._store, self._rng)

    def _change_its_mind(self) -> None:
        if self._rng.random() < 0.2:
            raise RolledBackError

    def _timeout_s(self, patience_s: float | None) -> float | None:
        hurried = self._rng.random() < self._plan.hurried
        return self._rng.uniform(0, HURRY_S) if hurried else patience_s


def record(store: Store, plan: Plan) -> list[Recorded]:
    """Let all callers play at once; return everything they did, and how it looked in the end."""
    opening = {record.key: record for record in plan.workload.opening}
    while store.get_many(opening).keys() != opening.keys():
        with suppress(StorageFull):
            store.put_many(opening)
    callers = [Caller(number, plan, store) for number in range(plan.threads + plan.tasks)]
    with ThreadPoolExecutor(plan.threads + 1) as pool:
        playing = [pool.submit(caller.play) for caller in callers[: plan.threads]]
        playing.append(pool.submit(lambda: asyncio.run(_play_in_a_loop(callers[plan.threads :]))))
        for future in playing:
            future.result(PATIENCE_S * 3)
    return [one for caller in callers for one in caller.history] + [look(store, plan.workload)]


def look(store: Store, workload: Workload) -> Recorded:
    """Read everything at one moment."""
    attempt = Attempt("a look at everything")
    records = store.get_many(workload.keys)
    for key in workload.keys:
        attempt.read(key, records.get(key))
    return attempt.ended(Outcome.COMMITTED)


async def _play_in_a_loop(callers: list[Caller]) -> None:
    await asyncio.gather(*(caller.play_in_a_loop() for caller in callers))
