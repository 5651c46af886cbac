"""The bounded door of a shard."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from engines import PATIENCE_S

from pictact_actors.clock import monotonic
from pictact_actors.runtime.gate import Gate


@pytest.fixture
def full() -> Gate:
    """A gate with both its places taken."""
    gate = Gate(2)
    gate.enter(2, 0.0)
    return gate


def soon(seconds: float = PATIENCE_S) -> float:
    return monotonic() + seconds


def test_a_gate_admits_as_many_as_it_may() -> None:
    gate = Gate(3)
    assert gate.enter(1, 0.0)
    assert gate.enter(2, 0.0)
    assert gate.in_flight == 3


def test_a_full_gate_lets_nobody_in_until_the_deadline(full: Gate) -> None:
    since = monotonic()
    assert not full.enter(1, soon(0.02))
    assert 0.02 <= monotonic() - since < PATIENCE_S
    assert full.in_flight == 2


def test_a_passed_deadline_does_not_wait(full: Gate) -> None:
    assert not full.enter(1, 0.0)
    assert full.in_flight == 2


def test_who_leaves_lets_the_next_one_in(full: Gate) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(full.enter, 2, soon())
        full.leave(1)
        full.leave(1)
        assert waiting.result(PATIENCE_S)
    assert full.in_flight == 2


def test_taking_gives_what_room_there_is_and_never_waits(full: Gate) -> None:
    assert full.take(5) == 0
    full.leave(1)
    assert full.take(5) == 1
    assert full.in_flight == 2


def test_room_is_told_once_when_somebody_leaves(full: Gate) -> None:
    told: list[int] = []
    full.when_room(lambda: told.append(1))
    assert told == []
    full.leave(1)
    full.leave(1)
    assert told == [1]


def test_room_that_came_before_one_asked_is_told_at_once() -> None:
    told: list[int] = []
    Gate(1).when_room(lambda: told.append(1))
    assert told == [1]


def test_who_is_told_of_room_may_enter_at_once(full: Gate) -> None:
    full.when_room(lambda: full.enter(1, 0.0))
    full.leave(1)
    assert full.in_flight == 2


def test_an_empty_gate_is_waited_for(full: Gate) -> None:
    assert not full.wait_empty(soon(0.01))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(full.wait_empty, soon())
        full.leave(2)
        assert waiting.result(PATIENCE_S)
    assert full.wait_empty(0.0)


def test_never_more_are_in_flight_than_may_be() -> None:
    gate, most = Gate(5), []
    start = Event()

    def visit(count: int) -> None:
        start.wait()
        for _ in range(200):
            assert gate.enter(count, soon())
            most.append(gate.in_flight)
            gate.leave(count)

    with ThreadPoolExecutor(8) as pool:
        visits = [pool.submit(visit, 1 + n % 3) for n in range(8)]
        start.set()
        for visited in visits:
            visited.result(PATIENCE_S)
    assert max(most) <= 5
    assert gate.in_flight == 0
