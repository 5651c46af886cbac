"""Time: injected, never backwards, and unique where order hangs on it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.clock import LATEST_S, StoreClock, SystemClock, UniqueTimes

NOW = 1_700_000_000.0


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
