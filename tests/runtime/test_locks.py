"""Locks on groups: first come, first served, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.model.commands import AwardPoints, Command, CompleteMatch
from pictact_actors.runtime.locks import WHOLE, LockTable
from pictact_actors.runtime.reply import Call

A, B, C = "match:a", "match:b", "match:c"
SOME_GROUPS = st.lists(st.sampled_from([A, B, C]), min_size=1, unique=True)


@dataclass(eq=False)
class Crosser:
    """What a lock table sees of a crossing."""

    groups: list[str] = field(default_factory=list)
    epochs: dict[Any, int] = field(default_factory=dict)


def call(group: str, command: type[Command] = AwardPoints) -> Call:
    post = group.removeprefix("match:")
    return Call(CompleteMatch(post) if command is CompleteMatch else AwardPoints(post, "ann", 1), 5.0, 0.0)


@pytest.fixture
def table() -> LockTable:
    return LockTable(lambda _holder, _groups, _behind: None)


def acquire(table: LockTable, *groups: str) -> Crosser:
    """A crossing that asks for groups, and knows them."""
    crosser = Crosser(list(groups))
    table.acquire(crosser, groups)  # type: ignore[arg-type]  # as much of a crossing as is needed
    return crosser


def release(table: LockTable, crosser: Crosser) -> tuple[list[Call], list[Any], list[str]]:
    return table.pass_on(table.release(crosser))  # type: ignore[arg-type]  # the same


def test_a_free_group_holds_nobody_up(table: LockTable) -> None:
    assert not table.hold_up(A, call(A))
    assert len(table) == 0


def test_a_locked_group_holds_its_calls_up_and_no_others(table: LockTable) -> None:
    acquire(table, A)
    assert table.hold_up(A, call(A))
    assert not table.hold_up(B, call(B))
    assert len(table) == 1


def test_a_released_group_frees_its_calls_in_order(table: LockTable) -> None:
    crosser, waiting = acquire(table, A), [call(A), call(A), call(A)]
    for item in waiting:
        table.hold_up(A, item)
    assert table.waiting_calls() == waiting
    assert release(table, crosser) == (waiting, [], [])
    assert len(table) == 0
    assert table.waiting_calls() == []


def test_a_crossing_gets_all_it_needs_or_waits_for_the_rest(table: LockTable) -> None:
    first = acquire(table, A)
    second = Crosser()
    assert not table.acquire(second, [A, B])  # type: ignore[arg-type]  # the same
    third = Crosser()
    assert not table.acquire(third, [B])  # type: ignore[arg-type]  # the same
    assert release(table, first) == ([], [second], [])
    assert release(table, second) == ([], [third], [])


def test_a_crossing_that_comes_again_has_what_it_holds(table: LockTable) -> None:
    crosser = acquire(table, A, B)
    assert table.acquire(crosser, [A, B])  # type: ignore[arg-type]  # the same
    assert len(table) == 2


def test_a_crossing_waits_until_the_last_of_several_lets_go(table: LockTable) -> None:
    first, second = acquire(table, A), acquire(table, B)
    third = acquire(table, A, B)
    assert release(table, first)[1] == []
    assert release(table, second)[1] == [third]


def test_calls_before_a_waiting_crossing_are_freed_and_those_behind_it_wait(table: LockTable) -> None:
    first = acquire(table, A)
    before, behind = call(A), call(A)
    table.hold_up(A, before)
    second = acquire(table, A)
    table.hold_up(A, behind)
    assert release(table, first) == ([before], [second], [])
    assert table.waiting_calls() == [behind]
    assert release(table, second) == ([behind], [], [])


def test_a_call_that_may_lock_its_group_is_the_last_to_be_freed(table: LockTable) -> None:
    first, completing, behind = acquire(table, A), call(A, CompleteMatch), call(A)
    table.hold_up(A, completing)
    table.hold_up(A, behind)
    assert release(table, first) == ([completing], [], [A])
    completion = acquire(table, A)
    assert table.pass_on([A]) == ([], [], [])
    assert release(table, completion) == ([behind], [], [])


def test_a_call_that_did_not_lock_its_group_after_all_lets_the_next_one_pass(table: LockTable) -> None:
    first, completing, behind = acquire(table, A), call(A, CompleteMatch), call(A)
    table.hold_up(A, completing)
    table.hold_up(A, behind)
    assert release(table, first) == ([completing], [], [A])
    assert table.pass_on([A]) == ([behind], [], [])


def test_releasing_what_holds_nothing_changes_nothing(table: LockTable) -> None:
    acquire(table, A)
    assert table.release(Crosser()) == []  # type: ignore[arg-type]  # the same
    assert len(table) == 1


ARRIVALS = st.lists(st.one_of(SOME_GROUPS, st.sampled_from([A, B, C])), max_size=40)


class Order:
    """Who came to each group, and who was served there."""

    def __init__(self) -> None:
        self.came: dict[str, list[object]] = {A: [], B: [], C: []}
        self.served: dict[str, list[object]] = {A: [], B: [], C: []}
        self.inside: list[Crosser] = []
        self._table = LockTable(lambda _holder, _groups, _behind: None)

    def arrive(self, arrival: Any) -> None:
        """Let a call come to a group, or a crossing to several."""
        if isinstance(arrival, str):
            item = call(arrival)
            self.came[arrival].append(item)
            if not self._table.hold_up(arrival, item):
                self._serve([item], [])
            return
        crosser = Crosser(arrival)
        for group in arrival:
            self.came[group].append(crosser)
        if self._table.acquire(crosser, arrival):  # type: ignore[arg-type]  # as much of a crossing as is needed
            self._serve([], [crosser])

    def leave(self, random: Any) -> None:
        """Let one of the crossings that are inside go."""
        calls, ready, _ = release(self._table, self.inside.pop(random.randrange(len(self.inside))))
        self._serve(calls, ready)

    def _serve(self, calls: Iterable[Call], crossers: Iterable[Any]) -> None:
        for item in calls:
            self.served[item.command.group].append(item)
        for crosser in crossers:
            self.inside.append(crosser)
            for group in crosser.groups:
                self.served[group].append(crosser)


@given(ARRIVALS, st.randoms())
def test_everybody_is_served_and_in_order_of_arrival_within_a_group(arrivals: list[Any], random: Any) -> None:
    order = Order()
    for arrival in arrivals:
        order.arrive(arrival)
        if order.inside and random.random() < 0.5:
            order.leave(random)
    while order.inside:
        order.leave(random)
    assert order.served == order.came
    assert len(order._table) == 0


# -- the whole shard


def ask(table: LockTable, crosser: Crosser, *groups: str) -> bool:
    return table.acquire(crosser, groups)  # type: ignore[arg-type]  # as much of a crossing as is needed


def test_the_whole_shard_is_free_when_nobody_has_anything(table: LockTable) -> None:
    assert ask(table, Crosser(), WHOLE)
    assert table.hold_up(A, call(A))
    assert table.hold_up(C, call(C))


def test_who_has_the_whole_shard_has_every_group_of_it(table: LockTable) -> None:
    crosser = acquire(table, WHOLE)
    assert ask(table, crosser, A, B)
    assert ask(table, crosser, WHOLE)
    assert list(table.holders) == [WHOLE]


def test_who_needs_the_whole_shard_waits_for_everybody_in_it_and_everybody_else_lines_up(table: LockTable) -> None:
    first, whole, third = acquire(table, A), Crosser(), Crosser()
    assert not ask(table, whole, WHOLE)
    late = call(B)
    assert table.hold_up(B, late)
    assert not ask(table, third, C)
    assert release(table, first) == ([], [whole], [])
    assert release(table, whole) == ([late], [third], [])


def test_who_has_some_groups_and_nobody_else_any_gets_the_whole_shard(table: LockTable) -> None:
    crosser, behind = acquire(table, A, B), call(A)
    table.hold_up(A, behind)
    assert ask(table, crosser, WHOLE)
    assert release(table, crosser) == ([behind], [], [])


def test_what_waited_for_a_group_before_somebody_needed_the_whole_shard_goes_first(table: LockTable) -> None:
    first, before, whole = acquire(table, A), call(A), Crosser()
    table.hold_up(A, before)
    second = acquire(table, A)
    ask(table, whole, WHOLE)
    assert release(table, first) == ([before], [second], [])
    assert release(table, second) == ([], [whole], [])


def test_somebody_who_asks_for_what_it_has_does_not_line_up_for_it(table: LockTable) -> None:
    crosser, whole = acquire(table, A, B), Crosser()
    assert not ask(table, whole, WHOLE)
    assert ask(table, crosser, A)
    assert ask(table, crosser, B, A)


def test_a_call_that_locks_its_group_goes_before_who_needs_the_whole_shard_and_came_later(table: LockTable) -> None:
    first, completing, behind, whole = acquire(table, A), call(A, CompleteMatch), call(A), Crosser()
    table.hold_up(A, completing)
    table.hold_up(A, behind)
    ask(table, whole, WHOLE)
    assert release(table, first) == ([completing], [], [A])
    completion = Crosser()
    assert ask(table, completion, A)
    assert table.pass_on([A]) == ([], [], [])
    assert release(table, completion) == ([behind], [whole], [])


# -- who gives up waiting


def test_who_gives_up_waiting_keeps_what_it_has_and_holds_nobody_else_up(table: LockTable) -> None:
    first, giving_up = acquire(table, A), acquire(table, B)
    assert not ask(table, giving_up, A, C)
    behind = Crosser()
    assert not ask(table, behind, A)
    assert table.waits(giving_up)  # type: ignore[arg-type]  # the same
    assert table.pass_on(table.withdraw(giving_up)) == ([], [], [])  # type: ignore[arg-type]  # the same
    assert not table.waits(giving_up)  # type: ignore[arg-type]  # the same
    assert table.hold_up(B, call(B))
    assert table.hold_up(C, call(C))
    assert release(table, first) == ([], [behind], [])


def test_the_line_goes_on_when_its_first_gives_up(table: LockTable) -> None:
    acquire(table, A)
    whole, behind, late = Crosser(), call(B), Crosser()
    ask(table, whole, WHOLE)
    table.hold_up(B, behind)
    ask(table, late, C)
    assert table.pass_on(table.withdraw(whole)) == ([behind], [late], [])  # type: ignore[arg-type]  # the same


def test_giving_up_what_one_does_not_wait_for_changes_nothing(table: LockTable) -> None:
    crosser = acquire(table, A)
    assert table.withdraw(crosser) == []  # type: ignore[arg-type]  # the same
    assert list(table.holders) == [A]


# -- for whoever comes after


def test_everybody_is_found_in_order_group_by_group(table: LockTable) -> None:
    first, before, second, whole = acquire(table, A, B), call(A), Crosser(), Crosser()
    table.hold_up(A, before)
    ask(table, second, A)
    ask(table, whole, WHOLE)
    behind = call(A)
    table.hold_up(A, behind)
    alone = call(C)
    table.hold_up(C, alone)
    assert table.in_order() == [first, before, second, whole, behind, alone]
    assert table.waiting_calls() == [before, behind, alone]


def test_who_has_a_group_for_which_nobody_waits_is_found_too(table: LockTable) -> None:
    crosser = acquire(table, A)
    assert table.in_order() == [crosser]
    assert table.holds(crosser)  # type: ignore[arg-type]  # the same
    assert not table.holds(Crosser())  # type: ignore[arg-type]  # the same


# -- what is reported of waits


def test_a_wait_is_reported_with_all_who_are_in_the_way(table: LockTable) -> None:
    told: list[tuple[Any, tuple[str, ...], set[Any]]] = []
    table = LockTable(lambda holder, groups, behind: told.append((holder, groups, set(behind))))
    first, second = acquire(table, A), acquire(table, B)
    third = acquire(table, A, B)
    fourth = acquire(table, B)
    whole = acquire(table, WHOLE)
    late = acquire(table, C)
    assert told == [
        (third, (A, B), {first, second}),
        (fourth, (B,), {second, third}),
        (whole, (WHOLE,), {first, second, third, fourth}),
        (late, (C,), {whole}),
    ]


def test_whoever_is_overtaken_by_a_call_that_became_a_holder_is_reported_again() -> None:
    told: list[tuple[Any, set[Any]]] = []
    table = LockTable(lambda holder, _groups, behind: told.append((holder, set(behind))))
    first = acquire(table, A)
    table.hold_up(A, call(A, CompleteMatch))
    second = acquire(table, A)
    whole = acquire(table, WHOLE)
    assert release(table, first)[2] == [A]
    told.clear()
    completion = acquire(table, A)
    assert dict(told) == {second: {completion}, whole: {completion}}
