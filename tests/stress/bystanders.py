"""People who play while something large goes on: how long each of them waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter

from waiting import until

from pictact_actors import NotFound, Store

CALLERS = 64
TABLES = 8


@dataclass
class Evening:
    """Callers that play as fast as they get answers, until they are told to stop."""

    store: Store = field(repr=False)
    waits_s: list[list[float]] = field(default_factory=lambda: [[] for _ in range(CALLERS)], repr=False)
    stopping: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list, repr=False)

    def play(self, caller: int) -> None:
        post_id, user = f"live{caller % TABLES}", f"caller{caller}"
        points = self._points(post_id, user)
        try:
            while not self.stopping.is_set():
                began = perf_counter()
                points += 1
                assert self.store.award_points(post_id, user, 1).points == points
                self.waits_s[caller].append(perf_counter() - began)
                assert self.store.standing(post_id, user).points == points
        except BaseException as failure:
            self.failures.append(failure)
            raise

    def _points(self, post_id: str, user: str) -> int:
        with suppress(NotFound):
            return int(self.store.score(post_id, user).points)
        return 0

    def answers(self) -> int:
        return min(map(len, self.waits_s))

    def p95_s(self) -> float:
        waits = sorted(wait for waits in self.waits_s for wait in waits)
        return waits[int(0.95 * len(waits))]


@contextmanager
def playing(store: Store) -> Iterator[Evening]:
    """Let 64 callers play while the block runs."""
    evening = Evening(store)
    callers = [threading.Thread(target=evening.play, args=(caller,), daemon=True) for caller in range(CALLERS)]
    for caller in callers:
        caller.start()
    until(lambda: evening.answers() or evening.failures)
    try:
        yield evening
    finally:
        evening.stopping.set()
        for caller in callers:
            caller.join()
    assert evening.failures == []
