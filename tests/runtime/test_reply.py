"""A message's one answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pictact_actors import AwardPoints, NotFound, RequestTimeout
from pictact_actors.clock import monotonic
from pictact_actors.runtime.reply import Call, answer_all
from pictact_actors.runtime.staging import Staged


class Listener:
    """A port that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def answered(self, call: Call) -> None:
        self.told.append(call)

    def wake(self) -> None:
        self.told.append("wake")


def call(timeout_s: float = 10.0, port: Listener | None = None) -> Call:
    return Call(AwardPoints("t3_a", "ann", 1), timeout_s, monotonic() + timeout_s, port)


def answer(answered: Call, value: object) -> None:
    answer_all([Staged(answered, "", None, {}, None, value, None)])


def test_a_reply_is_done_when_it_is_answered() -> None:
    reply = call()
    assert not reply.done()
    answer(reply, "yes")
    assert reply.done()
    assert reply.get() == "yes"
    assert reply.outcome() == ("yes", None)


def test_a_reply_raises_what_its_command_raised_as_often_as_it_is_asked() -> None:
    reply = call()
    reply.fail(NotFound("match:t3_a"))
    for _ in range(2):
        with pytest.raises(NotFound, match="match:t3_a"):
            reply.get()
    assert reply.outcome()[0] is None


def test_none_is_an_answer() -> None:
    reply = call()
    answer(reply, None)
    assert reply.get() is None


def test_only_the_first_answer_counts() -> None:
    port = Listener()
    first, second = call(port=port), call(port=port)
    answer(first, 1)
    answer(first, 2)
    first.fail(NotFound("x"))
    second.fail(NotFound("y"))
    answer(second, 3)
    assert first.get() == 1
    with pytest.raises(NotFound):
        second.get()
    assert port.told == [first, "wake", second, "wake"]


def test_waiting_ends_at_the_messages_own_deadline() -> None:
    with pytest.raises(RequestTimeout) as caught:
        call(timeout_s=0.01).get()
    assert caught.value.timeout_s == 0.01


def test_waiting_ends_at_the_waiters_deadline_and_the_answer_can_still_come() -> None:
    reply = call()
    with pytest.raises(RequestTimeout) as caught:
        reply.get(timeout=0.001)
    assert caught.value.timeout_s == 0.001
    answer(reply, "late")
    assert reply.get(timeout=0) == "late"


def test_an_answer_is_there_also_after_the_deadline() -> None:
    reply = call(timeout_s=-1)
    answer(reply, "kept")
    assert reply.get() == "kept"


def test_all_who_wait_get_the_answer() -> None:
    reply = call()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(reply.get) for _ in range(8)]
        answer(reply, "for all")
        assert [future.result() for future in waiting] == ["for all"] * 8
    assert reply.get() == "for all"


def test_each_event_loop_is_woken_once() -> None:
    ports = Listener(), Listener()
    calls = [call(port=ports[0]), call(port=ports[1]), call(), call(port=ports[0])]
    answer_all(Staged(answered, "", None, {}, None, None, None) for answered in calls)
    assert [port.told for port in ports] == [[calls[0], calls[3], "wake"], [calls[1], "wake"]]
