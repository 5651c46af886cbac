"""Time: injected, never backwards, and unique where order hangs on it."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise

import pytest
from games import begin, play
from hypothesis import given
from hypothesis import strategies as st
from opening import Opener

from pictact_actors import NotFound, Store, StoreConfig
from pictact_actors.clock import LATEST_S, LOOK_S, StoreClock, SystemClock, UniqueTimes

NOW = 1_700_000_000.0
HOUR_S, DAY_S = 3_600.0, 86_400.0


class Readings:
    """A clock that gives what it is told to, then repeats its last reading."""

    def __init__(self, *readings: float) -> None:
        self._readings = list(readings)

    def now(self) -> float:
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]


class Source:
    """A clock that asks a function."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now


class Machine:
    """A machine whose wall clock can be set, and which can sleep: the monotonic clock stands still then."""

    def __init__(self) -> None:
        self.wall = NOW
        self.steady = 12_345.0

    def run(self, seconds: float) -> None:
        """Let time pass as it does."""
        self.wall += seconds
        self.steady += seconds

    def clock(self, jump_max_s: float = HOUR_S, confirm_s: float = 60.0) -> SystemClock:
        return SystemClock(jump_max_s, confirm_s, wall=lambda: self.wall, steady=lambda: self.steady)


@pytest.fixture
def machine() -> Machine:
    return Machine()


class Events:
    """What was logged about clocks."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __iter__(self) -> Iterator[dict[str, object]]:
        events = (json.loads(record.getMessage()) for record in self._caplog.records if record.name == "pictact_actors")
        return (event for event in events if event["event"].startswith("clock_"))

    @property
    def names(self) -> list[object]:
        return [event["event"] for event in self]


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Events:
    caplog.set_level(logging.INFO, "pictact_actors")
    return Events(caplog)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30))
def test_the_clock_never_runs_backwards_whatever_its_source_says(readings: list[float]) -> None:
    clock = StoreClock(Readings(*readings))
    seen = [clock.now() for _ in readings]
    assert all(before <= after for before, after in pairwise([0.0, *seen]))
    assert seen[-1] == max([0.0, *(r for r in readings if r <= LATEST_S)])


def test_a_jump_back_is_held_until_the_source_catches_up() -> None:
    clock = StoreClock(Readings(NOW, NOW - 3600, NOW - 1, NOW + 1))
    assert [clock.now() for _ in range(4)] == [NOW, NOW, NOW, NOW + 1]


def test_a_jump_forward_is_believed() -> None:
    clock = StoreClock(Readings(NOW, NOW + 8 * 86_400))
    assert [clock.now(), clock.now()] == [NOW, NOW + 8 * 86_400]


def test_a_restart_does_not_turn_time_back() -> None:
    assert StoreClock(Readings(NOW - 500), floor=NOW).now() == NOW
    times = UniqueTimes(NOW + 2)
    times.now = NOW
    assert times.next() > NOW + 2


@given(st.lists(st.floats(0, 1e12) | st.integers(0, 10**12), min_size=2, max_size=50))
def test_unique_times_rise_strictly_and_never_lag_behind(readings: list[float]) -> None:
    times = UniqueTimes()
    given_out = []
    for times.now in readings:
        given_out.append(times.next())
    assert all(before < after for before, after in pairwise([0.0, *given_out]))
    assert all(time >= now for time, now in zip(given_out, readings, strict=True))
    assert times.mark == given_out[-1]


def test_within_one_reading_unique_times_stay_next_to_it() -> None:
    times = UniqueTimes()
    times.now = NOW
    given_out = [times.next() for _ in range(1000)]
    assert given_out[0] == NOW
    assert given_out[-1] - NOW < 0.001


def test_threads_that_read_the_clock_at_once_all_see_it_rise() -> None:
    readings = count(NOW)
    clock = StoreClock(Source(lambda: next(readings)))
    with ThreadPoolExecutor(4) as threads:
        seen = list(threads.map(lambda _: [clock.now() for _ in range(2000)], range(4)))
    assert all(before <= after for times in seen for before, after in pairwise(times))
    assert max(map(max, seen)) == NOW + 7999


def test_the_system_clock_tells_epoch_seconds() -> None:
    assert SystemClock().now() == pytest.approx(time.time(), abs=5)


def test_the_latest_time_leaves_room_for_an_expiry_and_another_reading() -> None:
    assert LATEST_S + 36_500 * 86_400 < 2**53
    assert math.nextafter(LATEST_S, math.inf) < LATEST_S + 1


# -- the wall clock against the time that passes


def test_the_system_clock_goes_with_the_wall_clock(machine: Machine, events: Events) -> None:
    clock = machine.clock()
    for seconds in (0.1, 5, HOUR_S, 30 * DAY_S):
        machine.run(seconds)
        assert clock.now() == pytest.approx(machine.wall)
    assert events.names == []


@pytest.mark.parametrize("seconds", [0.5, 60, HOUR_S])
def test_a_small_jump_ahead_is_believed_at_the_next_look(machine: Machine, events: Events, seconds: float) -> None:
    clock = machine.clock()
    machine.wall += seconds
    machine.run(LOOK_S)
    assert clock.now() == pytest.approx(machine.wall)
    assert events.names == []


def test_a_jump_of_days_is_not_believed_until_a_second_look_confirms_it(machine: Machine, events: Events) -> None:
    clock = machine.clock()
    machine.wall += 8 * DAY_S
    for _ in range(60):
        machine.run(1)
        assert clock.now() == pytest.approx(machine.wall - 8 * DAY_S)
    machine.run(1)
    assert clock.now() == pytest.approx(machine.wall)
    assert list(events) == [
        {"event": "clock_jumped", "ahead_s": pytest.approx(8 * DAY_S), "confirm_s": 60.0},
        {"event": "clock_confirmed", "ahead_s": pytest.approx(8 * DAY_S), "after_s": 60.0},
    ]


def test_a_clock_that_is_set_wrong_and_back_again_moves_nothing(machine: Machine, events: Events) -> None:
    clock = machine.clock()
    machine.wall += 8 * DAY_S
    machine.run(30)
    assert clock.now() == pytest.approx(NOW + 30)
    machine.wall -= 8 * DAY_S
    machine.run(3600)
    assert clock.now() == pytest.approx(machine.wall)
    assert events.names == ["clock_jumped", "clock_came_back"]


def test_another_jump_begins_another_doubt(machine: Machine, events: Events) -> None:
    clock = machine.clock()
    machine.wall += 8 * DAY_S
    machine.run(50)
    clock.now()
    machine.wall += 8 * DAY_S
    machine.run(50)
    assert clock.now() == pytest.approx(NOW + 100)
    machine.run(60)
    assert clock.now() == pytest.approx(machine.wall)
    assert events.names == ["clock_jumped", "clock_jumped", "clock_confirmed"]


def test_the_time_that_the_machine_slept_is_believed_after_confirmation(machine: Machine) -> None:
    clock = machine.clock()
    machine.wall += 9 * HOUR_S
    machine.run(1)
    assert clock.now() == pytest.approx(machine.wall - 9 * HOUR_S)
    machine.run(60)
    assert clock.now() == pytest.approx(machine.wall)


def test_a_wall_clock_that_is_set_back_is_followed_and_the_store_waits(machine: Machine, events: Events) -> None:
    clock = machine.clock()
    store_clock = StoreClock(clock)
    assert store_clock.now() == NOW
    machine.wall -= 2 * HOUR_S
    for _ in range(10):
        machine.run(600)
        assert store_clock.now() == NOW
    machine.run(HOUR_S)
    assert store_clock.now() == pytest.approx(NOW + 10 * 600 + HOUR_S - 2 * HOUR_S)
    assert list(events) == [{"event": "clock_held", "behind_s": pytest.approx(2 * HOUR_S - 600), "held_at": NOW}]


def test_each_jump_back_is_told_once(events: Events) -> None:
    clock = StoreClock(Readings(NOW, NOW - 60, NOW - 50, NOW + 1, NOW - 7, NOW - 6))
    for _ in range(6):
        clock.now()
    assert [event["behind_s"] for event in events] == [60, 8]


def test_a_hair_back_is_held_without_a_word(events: Events) -> None:
    clock = StoreClock(Readings(NOW, NOW - 0.5))
    assert [clock.now(), clock.now()] == [NOW, NOW]
    assert events.names == []


def test_a_machine_whose_clock_is_behind_the_last_commit_is_told_at_once(machine: Machine, events: Events) -> None:
    assert StoreClock(machine.clock(), floor=NOW + DAY_S).now() == NOW + DAY_S
    assert list(events) == [{"event": "clock_held", "behind_s": DAY_S, "held_at": NOW + DAY_S}]


def test_an_injected_clock_may_begin_in_the_past(events: Events) -> None:
    assert StoreClock(Readings(0.0), floor=NOW).now() == NOW
    assert events.names == []


def test_threads_that_look_at_a_jump_at_once_make_one_event_of_it(machine: Machine, events: Events) -> None:
    clock = machine.clock()
    machine.wall += 8 * DAY_S
    machine.run(LOOK_S)
    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda _: clock.now(), range(800)))
    assert max(seen) == pytest.approx(NOW + LOOK_S)
    assert events.names == ["clock_jumped"]


def test_nothing_expires_by_a_jump_that_is_not_confirmed(open_store: Opener, machine: Machine) -> None:
    store: Store = open_store(clock=machine.clock())
    begin(store)
    play(store, {"ann": 1})
    store.complete_match("t3_a")
    machine.wall += 30 * DAY_S
    machine.run(59)
    assert store.score("t3_a", "ann").points == 1
    assert not store.cleanup()
    machine.run(60)
    assert store.cleanup().matches == 1
    with pytest.raises(NotFound):
        store.score("t3_a", "ann")


def test_time_that_passed_while_the_store_was_closed_is_believed(open_store: Opener, machine: Machine) -> None:
    store: Store = open_store(clock=machine.clock())
    begin(store)
    store.complete_match("t3_a")
    store.close()
    machine.wall += 8 * DAY_S
    again: Store = open_store(clock=machine.clock())
    assert again.cleanup().matches == 1


def test_a_store_takes_the_guard_of_its_clock_from_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[float, ...]] = []

    class Noted(SystemClock):
        def __init__(self, *limits: float) -> None:
            made.append(limits)
            super().__init__(*limits)

    monkeypatch.setattr("pictact_actors.store.SystemClock", Noted)
    with Store.open(":memory:", config=StoreConfig(clock_jump_max_s=5.0, clock_confirm_s=7.0)):
        assert made == [(5.0, 7.0)]
