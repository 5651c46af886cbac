"""Who waits for whom: every circle is broken when it closes, by one who may give way, and nobody else is disturbed."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from engines import PATIENCE_S
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors import DeadlockAborted
from pictact_actors.runtime.waits import WaitGraph


class Holder:
    """What the graph sees of a holder."""

    def __init__(self, number: int, *, gives_way: bool = True, groups: Iterable[str] = ()) -> None:
        self.number = number
        self.gives_way = gives_way
        self.over = False
        self.title = f"holder {number}"
        self.aborted: list[DeadlockAborted] = []
        self._groups = list(groups)

    def groups_held(self) -> list[str]:
        return self._groups

    def abort(self, error: DeadlockAborted) -> None:
        self.aborted.append(error)


@pytest.fixture
def waits() -> WaitGraph:
    return WaitGraph()


def begin(waits: WaitGraph, waiter: Holder, *behind: Holder, groups: tuple[str, ...] = ("match:x",)) -> int:
    found: Any = set(behind)
    return waits.begin(waiter, groups, found)  # type: ignore[arg-type]  # as much of a holder as is needed


def holders(count: int, **how: Any) -> list[Holder]:
    return [Holder(number, **how) for number in range(1, count + 1)]


def test_waits_without_a_circle_disturb_nobody(waits: WaitGraph) -> None:
    one, two, three = holders(3)
    assert begin(waits, three, one, two) == begin(waits, two, one) == 0
    assert len(waits) == 2
    assert not any(holder.aborted for holder in (one, two, three))


def test_a_wait_is_known_until_it_ends(waits: WaitGraph) -> None:
    one, two = holders(2)
    begin(waits, two, one, groups=("match:a", "match:b"))
    (wait,) = waits.current()
    assert (wait.waiter, wait.groups, wait.behind) == (two, ("match:a", "match:b"), {one})
    for _ in range(2):
        waits.end(two)  # type: ignore[arg-type]  # the same
    assert waits.current() == []


@pytest.mark.parametrize("size", range(2, 7))
@pytest.mark.parametrize("last", [0, 1, -1])
def test_a_circle_is_broken_when_it_closes_by_its_youngest(waits: WaitGraph, size: int, last: int) -> None:
    ring = holders(size)
    order = [number for number in range(size) if number != last % size]
    for number in order:
        assert begin(waits, ring[number], ring[(number + 1) % size]) == 0
    assert begin(waits, ring[last], ring[(last + 1) % size]) == 1
    assert [len(holder.aborted) for holder in ring] == [0] * (size - 1) + [1]
    assert len(waits) == size - 1


def test_who_gives_way_learns_of_the_whole_circle(waits: WaitGraph) -> None:
    one, two = Holder(1, groups=["match:a"]), Holder(2, groups=["lifetime:ann", "match:b"])
    begin(waits, one, two, groups=("match:b",))
    begin(waits, two, one, groups=("match:a", "match:c"))
    cycle = two.aborted[0].cycle
    assert "holder 1 holds match:a and wants match:b since 0." in cycle
    assert "holder 2 holds lifetime:ann, match:b and wants match:a, match:c since 0." in cycle
    assert cycle.endswith("holder 2 is the youngest and gives way")
    assert str(two.aborted[0]).endswith(cycle)


def test_of_many_groups_some_are_named(waits: WaitGraph) -> None:
    one, two = Holder(1, groups=[f"match:{n}" for n in range(9)]), Holder(2)
    begin(waits, one, two)
    begin(waits, two, one, groups=tuple(f"match:{n}" for n in range(7)))
    cycle = two.aborted[0].cycle
    assert "holds match:0, match:1, match:2, match:3, match:4 and 4 more" in cycle
    assert "holder 2 holds nothing and wants match:0, match:1, match:2, match:3, match:4 and 2 more" in cycle


def test_the_youngest_that_may_give_way_does(waits: WaitGraph) -> None:
    one, two, crossing = Holder(1), Holder(2), Holder(3, gives_way=False)
    begin(waits, one, two)
    begin(waits, two, crossing)
    assert begin(waits, crossing, one) == 1
    assert (len(one.aborted), len(two.aborted), len(crossing.aborted)) == (0, 1, 0)


def test_a_circle_in_which_nobody_may_give_way_disturbs_nobody(waits: WaitGraph) -> None:
    one, two = holders(2, gives_way=False)
    begin(waits, one, two)
    assert begin(waits, two, one) == 0
    assert len(waits) == 2


def test_a_wait_that_closes_several_circles_breaks_each(waits: WaitGraph) -> None:
    oldest, two, three = holders(3)
    begin(waits, two, oldest)
    begin(waits, three, oldest)
    assert begin(waits, oldest, two, three) == 2
    assert [len(holder.aborted) for holder in (oldest, two, three)] == [0, 1, 1]


def test_who_breaks_all_circles_at_once_is_the_only_one_that_gives_way(waits: WaitGraph) -> None:
    one, two, youngest = holders(3)
    begin(waits, one, youngest)
    begin(waits, two, youngest)
    assert begin(waits, youngest, one, two) == 1
    assert [len(holder.aborted) for holder in (one, two, youngest)] == [0, 0, 1]


def test_what_is_reported_later_adds_to_what_was_known(waits: WaitGraph) -> None:
    one, two, three = holders(3)
    begin(waits, one, two)
    (before,) = waits.current()
    begin(waits, one, three, groups=("match:y",))
    (wait,) = waits.current()
    assert (wait.behind, wait.since, wait.groups) == ({two, three}, before.since, ("match:y",))
    begin(waits, three, one)
    assert len(three.aborted) == 1


def test_who_waits_for_itself_through_others_only_is_found(waits: WaitGraph) -> None:
    """A circle that the new wait leads into, but does not belong to, was broken when it closed."""
    one, two, three = holders(3, gives_way=False)
    begin(waits, one, two)
    begin(waits, two, one)
    assert begin(waits, three, one) == 0


def test_who_is_over_does_not_wait_any_more(waits: WaitGraph) -> None:
    """Its end came between its asking and the report."""
    one, two = holders(2)
    two.over = True
    begin(waits, two, one)
    assert len(waits) == 0


def test_who_is_over_is_not_in_the_way_of_a_circle(waits: WaitGraph) -> None:
    one, two, three = holders(3)
    begin(waits, one, two)
    begin(waits, two, three)
    waits.end(two)  # type: ignore[arg-type]  # the same
    assert begin(waits, three, one) == 0


EDGES = st.lists(st.tuples(st.integers(0, 5), st.sets(st.integers(0, 5), min_size=1)), max_size=30)


@given(EDGES, st.sets(st.integers(0, 5)))
def test_whatever_is_reported_no_circle_is_left_that_somebody_could_break(
    edges: list[tuple[int, set[int]]], firm: set[int]
) -> None:
    waits = WaitGraph()
    everybody = [Holder(number, gives_way=number not in firm) for number in range(6)]
    for waiter, behind in edges:
        found = begin(waits, everybody[waiter], *(everybody[number] for number in behind - {waiter}))
        gave_way = [holder for holder in everybody if holder.aborted]
        assert sum(len(holder.aborted) for holder in gave_way) == found
        for holder in gave_way:
            assert holder.gives_way
            holder.aborted.clear()
    assert not left_circles({wait.waiter: wait.behind for wait in waits.current() if wait.waiter.gives_way})


def left_circles(behind: dict[Any, Any]) -> set[Any]:
    """Who is left when everybody is taken out, again and again, that waits for nobody who is there."""
    while done := {who for who, blockers in behind.items() if not blockers & behind.keys()}:
        behind = {who: blockers for who, blockers in behind.items() if who not in done}
    return set(behind)


def test_of_many_who_report_at_once_one_of_each_circle_gives_way(waits: WaitGraph) -> None:
    for _ in range(50):
        ring = holders(4)
        barrier = threading.Barrier(4)

        def report(number: int, ring: list[Holder] = ring, barrier: threading.Barrier = barrier) -> int:
            barrier.wait(PATIENCE_S)
            return begin(waits, ring[number], ring[(number + 1) % 4])

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(report, range(4))) == 1
        assert [len(holder.aborted) for holder in ring] == [0, 0, 0, 1]
        for holder in ring:
            waits.end(holder)  # type: ignore[arg-type]  # the same
    assert len(waits) == 0
