"""The tools for hosts that test their games: the same rules, a clock that moves when it is told to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from games import begin, play
from opening import Opener

from pictact_actors import InvalidValue, Store
from pictact_actors.testing import ManualClock


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(1_000.0)
    assert clock.now() == clock.now() == 1_000.0
    clock.advance(60)
    assert clock.now() == 1_060.0
    clock.advance(0)
    clock.set(5.0)
    assert clock.now() == 5.0


def test_a_manual_clock_does_not_advance_backwards() -> None:
    clock = ManualClock(1_000.0)
    with pytest.raises(InvalidValue, match="must not be negative"):
        clock.advance(-1)
    assert clock.now() == 1_000.0


def test_advances_of_many_threads_add_up() -> None:
    clock = ManualClock(0.0)
    with ThreadPoolExecutor(8) as pool:
        for moved in [pool.submit(lambda: [clock.advance(1) for _ in range(500)]) for _ in range(8)]:
            moved.result()
    assert clock.now() == 4_000.0


def test_records_bear_the_clocks_times(open_store: Opener) -> None:
    clock = ManualClock(1_000.0)
    store: Store = open_store(":memory:", clock=clock)
    begin(store)
    clock.advance(60)
    changed = store.update_match("t3_a", theme="rivers")
    assert (changed.created_at, changed.updated_at) == (1_000.0, 1_060.0)
    assert [entry.ts for entry in store.entries()] == [1_000.0, 1_060.0]


def test_a_store_holds_its_time_when_the_clock_jumps_back(open_store: Opener) -> None:
    clock = ManualClock(1_000.0)
    store: Store = open_store(clock=clock)
    begin(store)
    clock.set(10.0)
    assert store.update_match("t3_a", theme="rivers").updated_at == 1_000.0
    store.close()
    again: Store = open_store(clock=ManualClock(10.0))
    assert again.update_match("t3_a", theme="lakes").updated_at == 1_000.0
    clock.set(2_000.0)


def test_a_store_in_memory_is_gone_when_it_is_closed() -> None:
    with Store.open(":memory:") as first:
        begin(first)
        play(first, {"ann": 1})
    with Store.open(":memory:") as second:
        assert list(second.scan("")) == []


def test_stores_in_memory_know_nothing_of_each_other() -> None:
    with Store.open(":memory:") as first, Store.open(":memory:") as second:
        begin(first)
        assert list(second.scan("")) == []
        begin(second)
        assert first.check() == second.check() == []
