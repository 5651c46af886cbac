"""One shard as seen from outside: a line of calls, and a bell that is rung for the first of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pictact_actors import AwardPoints
from pictact_actors.clock import monotonic
from pictact_actors.runtime.gate import Gate
from pictact_actors.runtime.link import ShardLink
from pictact_actors.runtime.messages import BELL, STEP
from pictact_actors.runtime.reply import Call
from pictact_actors.runtime.statistics import COUNTED

MANY = 1_000_000


class Box:
    """A mailbox that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def tell(self, message: object) -> None:
        self.told.append(message)

    def stop(self) -> None:
        self.told.append("stop")


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def link(box: Box) -> ShardLink:
    link = ShardLink(0, Gate(10))
    link.mailbox = box
    return link


def since(age_s: float, timeout_s: float = 5.0) -> Call:
    """A call that came some time ago."""
    return Call(AwardPoints("t3_a", "ann", 1), timeout_s, monotonic() - age_s + timeout_s)


def calls(count: int) -> list[Call]:
    return [Call(AwardPoints("t3_a", "ann", n), 1.0, 0.0) for n in range(count)]


def test_the_bell_is_rung_once_for_all_who_line_up(link: ShardLink, box: Box) -> None:
    listed = calls(5)
    link.post(listed[:2])
    link.post(listed[2:])
    assert box.told == [BELL]
    assert link.take(MANY) == listed


def test_who_comes_after_the_line_was_empty_rings_again(link: ShardLink, box: Box) -> None:
    link.post(calls(1))
    link.take(MANY)
    assert link.take(MANY) == []
    link.post(calls(1))
    assert box.told == [BELL, BELL]


def test_who_comes_while_the_shard_works_is_found_by_it(link: ShardLink, box: Box) -> None:
    first, second = calls(2)
    link.post([first])
    assert link.take(MANY) == [first]
    link.post([second])
    assert box.told == [BELL]
    assert link.take(MANY) == [second]


def test_no_more_are_taken_than_may_be_committed_together(link: ShardLink) -> None:
    listed = calls(5)
    link.post(listed)
    assert [link.take(2), link.take(2), link.take(2), link.take(2)] == [listed[:2], listed[2:4], listed[4:], []]


def test_other_messages_go_through_the_mailbox(link: ShardLink, box: Box) -> None:
    link.tell(STEP)
    link.stop()
    assert box.told == [STEP, "stop"]


def test_nobody_is_lost_between_many_senders_and_the_shard(link: ShardLink, box: Box) -> None:
    sent = [calls(50) for _ in range(8)]
    taken: list[Any] = []

    def send(listed: list[Call]) -> None:
        for call in listed:
            link.post([call])

    with ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, listed) for listed in sent]
        answered = 0
        while not all(future.done() for future in sending) or answered < len(box.told):
            if answered < len(box.told):  # the bell was rung: take all there is, as the shard does
                answered += 1
                while some := link.take(7):
                    taken += some
    assert {id(call) for call in taken} == {id(call) for listed in sent for call in listed}
    for listed in sent:
        mine = {id(call) for call in listed}
        assert [call for call in taken if id(call) in mine] == listed


# -- what it says about its line


def test_a_line_is_as_old_as_its_head(link: ShardLink) -> None:
    assert (link.queued(), link.queue_age_s()) == (0, 0.0)
    link.post([since(10.0), since(4.0, timeout_s=60.0)])
    assert link.queued() == 2
    assert link.queue_age_s() == pytest.approx(10.0, abs=1.0)


def test_what_was_taken_and_is_not_answered_counts_too(link: ShardLink) -> None:
    oldest = since(10.0)
    link.post([oldest, since(8.0), since(4.0)])
    link.take(2)
    assert link.queued() == 1
    assert link.queue_age_s() == pytest.approx(10.0, abs=1.0)
    oldest.fail(ValueError())
    assert link.queue_age_s() == pytest.approx(4.0, abs=1.0)


def test_a_line_in_which_everything_is_answered_has_no_age(link: ShardLink) -> None:
    for age_s in (10.0, 5.0):
        call = since(age_s)
        link.post([call])
        link.take(MANY)
        assert link.queue_age_s() == pytest.approx(age_s, abs=1.0)
        call.fail(ValueError())
        assert link.queue_age_s() == 0.0


def test_a_shard_without_room_says_how_many_are_in_flight_and_for_how_long(link: ShardLink) -> None:
    assert link.gate.enter(3, 0.0)
    link.post([since(10.0), since(4.0), since(2.0)])
    refused = link.overloaded()
    assert (refused.shard, refused.depth) == (0, 3)
    assert refused.age_s == pytest.approx(10.0, abs=1.0)
    assert "3 messages in flight, the oldest for 10." in str(refused)


def test_the_statistics_of_a_shard_have_everything_that_was_counted(link: ShardLink) -> None:
    link.gate.enter(2, 0.0)
    link.post([since(10.0)])
    for counts, name in enumerate(COUNTED, 1):
        link.tally.add(**{name: counts})
    seen = link.statistics()
    assert (seen.index, seen.in_flight, seen.epoch, seen.queued) == (0, 2, 0, 1)
    assert seen.queue_age_s == pytest.approx(10.0, abs=1.0)
    assert [getattr(seen, name) for name in COUNTED] == [1, 2, 3, 4, 5, 6]
