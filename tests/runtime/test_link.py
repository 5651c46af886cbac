"""One shard as seen from outside: a line of calls, and a bell that is rung for the first of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pictact_actors import AwardPoints
from pictact_actors.runtime.gate import Gate
from pictact_actors.runtime.link import ShardLink
from pictact_actors.runtime.messages import BELL, STEP
from pictact_actors.runtime.reply import Call

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
    link = ShardLink(0, Gate(0, 10))
    link.mailbox = box
    return link


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
