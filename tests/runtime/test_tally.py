"""Counts that nobody loses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from engines import PATIENCE_S

from pictact_actors.runtime.tally import Tally


def test_what_was_never_counted_is_none() -> None:
    assert Tally()["restarts"] == 0


def test_each_name_is_counted_for_itself() -> None:
    tally = Tally()
    tally.add(restarts=1, waits=2)
    tally.add(waits=3, deadlocks=0)
    assert (tally["restarts"], tally["waits"], tally["deadlocks"]) == (1, 5, 0)


def test_many_may_count_at_once() -> None:
    tally, start = Tally(), threading.Barrier(8)

    def count() -> None:
        start.wait(PATIENCE_S)
        for _ in range(2_000):
            tally.add(waits=1, retries=2)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(count) for _ in range(8)]:
            done.result(PATIENCE_S)
    assert (tally["waits"], tally["retries"]) == (16_000, 32_000)
