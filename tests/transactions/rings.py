"""Rings of transactions: each holds one cell and wants the next one's, so that all of them wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field
from typing import Any

from cells import InTransaction, add
from waiting import PATIENCE_S

from pictact_actors import DeadlockAborted, Store
from pictact_actors.clock import monotonic


@dataclass
class Member:
    """One transaction of a ring, run by `transact`."""

    holds: str
    wants: str
    meeting: threading.Barrier
    holding: threading.Event = field(default_factory=threading.Event)
    attempts: int = 0
    asked_at: float = 0.0
    aborted_at: float = 0.0
    errors: list[DeadlockAborted] = field(default_factory=list)

    def __call__(self, tx: Any) -> None:
        """Add one to what it holds and to what it wants; the first time everybody holds before anybody wants."""
        self.attempts += 1
        cells = InTransaction(tx)
        add(self.holds, 1)(cells)
        if self.attempts == 1:
            self.holding.set()
            self.meeting.wait(PATIENCE_S)
            self.asked_at = monotonic()
        try:
            add(self.wants, 1)(cells)
        except DeadlockAborted as error:
            self.aborted_at = monotonic()
            self.errors.append(error)
            raise


class Ring:
    """Members by age, the youngest last; how they lie in the ring is another matter."""

    def __init__(self, cells: Sequence[str], ages: Sequence[int]) -> None:
        meeting = threading.Barrier(len(cells))
        around = [*cells[1:], cells[0]]
        members = [Member(holds, wants, meeting) for holds, wants in zip(cells, around, strict=True)]
        self.members = [members[at] for at in ages]

    def run(self, store: Store, pool: Executor) -> None:
        """Let all members do their work; each begins when the one before it holds its cell."""
        done = []
        for member in self.members:
            done.append(pool.submit(store.transact, member, timeout=PATIENCE_S))
            assert member.holding.wait(PATIENCE_S)
        finished, unfinished = wait(done, PATIENCE_S)
        assert not unfinished, "a transaction of the ring hangs"
        for future in finished:
            future.result()

    @property
    def victims(self) -> list[Member]:
        """Who was aborted, once for each time."""
        return [member for member in self.members for _ in member.errors]

    @property
    def took_s(self) -> float:
        """From the wait that closed the ring to the error, in seconds."""
        return self.victims[0].aborted_at - max(member.asked_at for member in self.members)
