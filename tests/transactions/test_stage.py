"""The stage itself: it tells waiting from done, and finds what no order explains."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from cells import Step, X, Y, add, read, select, write
from stage import SetStage, assert_explained


@dataclass
class Told:
    """What somebody says they did and saw."""

    steps: list[Step]
    seen: list[object]
    began_at: int = 1
    ended_at: int = field(default=9)


BEFORE = {X: 10, Y: 20}


def test_what_one_order_explains_is_fine() -> None:
    one = Told([read(X), write(X, 11)], [10, None])
    two = Told([read(X), write(Y, 21)], [11, None])
    assert_explained(BEFORE, [one, two], {X: 11, Y: 21})
    assert_explained(BEFORE, [two, one], {X: 11, Y: 21})


ANOMALIES = {
    "a lost update": ([Told([add(X, 1)], [11]), Told([add(X, 1)], [11])], {X: 11, Y: 20}),
    "mixed writes": (
        [Told([write(X, 1), write(Y, 1)], [None, None]), Told([write(X, 2), write(Y, 2)], [None, None])],
        {X: 1, Y: 2},
    ),
    "read skew": (
        [Told([read(X), read(Y)], [10, 18]), Told([write(X, 12), write(Y, 18)], [None, None])],
        {X: 12, Y: 18},
    ),
    "write skew": (
        [
            Told([read(X), read(Y), write(X, 11)], [10, 20, None]),
            Told([read(X), read(Y), write(Y, 21)], [10, 20, None]),
        ],
        {X: 11, Y: 21},
    ),
    "a phantom": (
        [Told([select("score:")] * 2, [[(X, 10), (Y, 20)], [(X, 10)]]), Told([lambda cells: cells.delete(Y)], [None])],
        {X: 10},
    ),
    "a read of what was taken back": ([Told([read(X)], [101])], BEFORE),
    "a write out of nowhere": ([Told([read(X)], [10])], {X: 11, Y: 20}),
    "a stale read": (
        [Told([write(X, 11)], [None], began_at=1, ended_at=2), Told([read(X)], [10], began_at=3, ended_at=4)],
        {X: 11, Y: 20},
    ),
}


@pytest.mark.parametrize(("told", "left"), ANOMALIES.values(), ids=ANOMALIES)
def test_what_no_order_explains_is_found(told: list[Told], left: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match="no order"):
        assert_explained(BEFORE, told, left)


def test_a_step_is_done_or_waits_and_steps_behind_it_are_done_after_it(set_stage: SetStage) -> None:
    stage = set_stage(BEFORE)
    one, two = stage.transactions(2)
    assert not one.does(write(X, 11)).waited
    waits = two.does(read(X))
    behind = two.does(read(Y))
    assert waits.waited
    assert behind.waited
    one.commits()
    assert (waits.result(), behind.result()) == (11, 20)
    two.commits()
    stage.assert_serial()
