"""The moment in which one actor takes another one's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pictact_actors import AwardPoints, CompleteMatch, Quarantined, ShardRestarted
from pictact_actors.clock import monotonic
from pictact_actors.runtime.fence import Fence
from pictact_actors.runtime.gate import Gate
from pictact_actors.runtime.link import ShardLink
from pictact_actors.runtime.messages import BELL
from pictact_actors.runtime.reply import Call
from pictact_actors.runtime.transaction import Lock

MANY = 100


class Box:
    """A mailbox that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def tell(self, message: object) -> None:
        self.told.append(message)

    def stop(self) -> None:
        self.told.append("stop")


@dataclass(eq=False)
class Crossing:
    """What a fence sees of a crossing."""

    call: Call
    home: ShardLink
    visited: set[ShardLink]
    over: bool = False

    def release(self) -> None:
        self.over = True


@dataclass
class Workplace:
    crossings: dict[Crossing, None] = field(default_factory=dict)


@dataclass
class Old:
    """What a fence sees of the actor before."""

    link: ShardLink
    workplace: Workplace = field(default_factory=Workplace)
    left: list[Call] = field(default_factory=list)

    def take_over(self) -> list[Call]:
        return [call for call in self.left if not call.done()]


class Shift:
    """A shard whose actor is to be replaced, and another shard."""

    def __init__(self) -> None:
        self.link, self.other = self._link(0), self._link(1)
        self.old = Old(self.link)
        self.link.actor = self.old  # type: ignore[assignment]  # as much of an actor as is needed
        self.before, self.after = self.link.mailbox, Box()
        self.seen: list[tuple[int, int, bool]] = []
        self.fails = 0

    def _link(self, index: int) -> ShardLink:
        link = ShardLink(index, Gate(MANY))
        link.mailbox = Box()  # type: ignore[assignment]  # the same
        link.epoch, link.published = 5, 7
        return link

    def launch(self, link: ShardLink) -> None:
        link.actor = "new"  # type: ignore[assignment]  # the same
        if self.fails:
            self.fails -= 1
            raise RuntimeError("can't start new thread")
        link.post([call("posted meanwhile")])
        self.seen.append((link.epoch, link.published, bool(self.after.told)))
        link.mailbox = self.after  # type: ignore[assignment]  # the same

    def fence(self, refusals: Mapping[Call, Exception] | None = None) -> Fence:
        return Fence(self.old, self.launch, "a test", refusals or {})  # type: ignore[arg-type]  # the same

    def line(self, link: ShardLink | None = None) -> list[str]:
        """Who is in the line, by the player of the award."""
        return [getattr(one.command, "user", one.command.NAME) for one in (link or self.link).take(MANY)]


@pytest.fixture
def shift() -> Shift:
    return Shift()


def call(user: str) -> Call:
    return Call(AwardPoints("t3_a", user, 1), 5.0, monotonic() + 5.0)


def admitted(link: ShardLink, *calls: Call) -> list[Call]:
    assert link.gate.enter(len(calls), 0.0)
    return list(calls)


def test_the_new_one_begins_with_a_new_epoch_and_the_calls_of_the_old_one_before_all_others(shift: Shift) -> None:
    shift.old.left = admitted(shift.link, call("ann"), call("bob"))
    shift.link.post([call("in line")])
    shift.fence().take_effect()
    assert (shift.link.epoch, shift.link.published) == (6, 0)
    assert shift.seen == [(6, 0, False)]
    assert shift.line() == ["ann", "bob", "in line", "posted meanwhile"]


def test_nobody_rings_the_new_one_before_all_are_in_line(shift: Shift) -> None:
    shift.fence().take_effect()
    assert shift.after.told == [BELL]
    assert shift.before.told == ["stop"]  # type: ignore[attr-defined]  # it is a box


def test_what_was_answered_is_not_done_again(shift: Shift) -> None:
    answered, waiting = admitted(shift.link, call("answered"), call("waiting"))
    answered.fail(ShardRestarted(0, "before"))
    shift.old.left = [answered, waiting]
    shift.fence().take_effect()
    assert shift.line() == ["waiting", "posted meanwhile"]
    assert shift.link.gate.in_flight == 2


def test_a_message_not_to_be_tried_again_is_answered_and_leaves(shift: Shift) -> None:
    bad, good = shift.old.left = admitted(shift.link, call("bad"), call("good"))
    shift.fence({bad: Quarantined(bad.command, "a test")}).take_effect()
    with pytest.raises(Quarantined):
        bad.get(0)
    assert not good.done()
    assert shift.line() == ["good", "posted meanwhile"]
    assert shift.link.gate.in_flight == 1


def test_who_asks_for_locks_is_told_that_they_are_lost(shift: Shift) -> None:
    asking = Call(Lock(None, ("match:t3_a",)), 5.0, monotonic() + 5.0)  # type: ignore[arg-type]  # the same
    shift.old.left = admitted(shift.link, asking)
    shift.fence().take_effect()
    with pytest.raises(ShardRestarted, match="a test"):
        asking.get(0)
    assert shift.link.gate.in_flight == 0


def crossing(shift: Shift, home: ShardLink, *visited: ShardLink) -> Crossing:
    completing = Call(CompleteMatch("t3_b"), 5.0, monotonic() + 5.0)
    crossing = Crossing(*admitted(home, completing), home, {home, *visited})
    shift.old.workplace.crossings[crossing] = None
    return crossing


def test_a_crossing_that_has_been_there_is_over_and_its_command_begins_anew_from_home(shift: Shift) -> None:
    passing, own = crossing(shift, shift.other, shift.link), crossing(shift, shift.link, shift.other)
    shift.fence().take_effect()
    assert (passing.over, own.over) == (True, True)
    assert shift.line(shift.other) == ["complete_match"]
    assert shift.line() == ["complete_match", "posted meanwhile"]


def test_a_crossing_that_has_not_been_there_goes_on(shift: Shift) -> None:
    elsewhere = crossing(shift, shift.other)
    shift.old.left = [elsewhere.call]
    shift.fence().take_effect()
    assert not elsewhere.over
    assert shift.line() == ["posted meanwhile"]
    assert shift.line(shift.other) == []


def test_a_crossing_that_the_old_one_had_in_hand_begins_anew_once_and_in_its_place(shift: Shift) -> None:
    own = crossing(shift, shift.link)
    shift.old.left = [*admitted(shift.link, call("before")), own.call, *admitted(shift.link, call("behind"))]
    shift.fence().take_effect()
    assert shift.line() == ["before", "complete_match", "behind", "posted meanwhile"]


def test_a_crossing_that_was_answered_does_not_begin_anew(shift: Shift) -> None:
    done = crossing(shift, shift.other, shift.link)
    done.call.fail(ShardRestarted(0, "before"))
    shift.fence().take_effect()
    assert shift.line(shift.other) == []
    assert done.over


def test_a_crossing_not_to_be_tried_again_is_answered_where_it_came_from(shift: Shift) -> None:
    bad = crossing(shift, shift.other, shift.link)
    shift.fence({bad.call: Quarantined(bad.call.command, "a test")}).take_effect()
    with pytest.raises(Quarantined):
        bad.call.get(0)
    assert (bad.over, shift.other.gate.in_flight, shift.link.gate.in_flight) == (True, 0, 0)
    assert shift.line(shift.other) == []


def test_what_keeps_the_new_one_from_beginning_changes_nothing_and_it_can_be_tried_again(shift: Shift) -> None:
    shift.old.left = admitted(shift.link, call("ann"))
    shift.fails = 2
    fence = shift.fence()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="thread"):
            fence.take_effect()
        assert (fence.failed, fence.done, shift.link.actor) == (True, False, shift.old)
    fence.take_effect()
    assert fence.done
    assert shift.line() == ["ann", "posted meanwhile"]
