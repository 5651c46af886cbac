"""The way between an event loop and the shards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from engines import PATIENCE_S, HeldEngine, HeldShard, drained, settled
from games import begin, points_of
from opening import Opener
from waiting import until

from pictact_actors import AwardPoints, CommitFailed, Overloaded, RequestTimeout, Store, StoreClosed, StoreFailed
from pictact_actors.clock import monotonic
from pictact_actors.runtime.port import LoopPort

Port = tuple[Store, LoopPort]
Run = Callable[..., Any]


@pytest.fixture
def one(open_store: Opener, held: HeldEngine) -> Store:
    """A store of one shard with room for four writes, on a held engine, with a match."""
    store: Store = open_store(engine=held, shards=1, in_flight_max=4, commit_group_max=4)
    begin(store)
    drained(store)
    return store


@pytest.fixture
def many(open_store: Opener, held: HeldEngine) -> Store:
    """A store with room for everybody, on a held engine, with a match."""
    store: Store = open_store(engine=held)
    begin(store)
    return store


def on_a_loop(store: Store, play: Callable[[LoopPort], Coroutine[Any, Any, None]]) -> None:
    """Run a test in an event loop of its own."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await play(LoopPort(store.runtime, asyncio.get_running_loop()))

    asyncio.run(main())


def send(port: LoopPort, count: int = 1, timeout_s: float = 10.0) -> list[asyncio.Future[Any]]:
    return [port.send(AwardPoints("t3_a", f"u{n}", 1), timeout_s) for n in range(count)]


def off_loop(act: Callable[[], Any]) -> Awaitable[Any]:
    return asyncio.get_running_loop().run_in_executor(None, act)


async def points(futures: list[asyncio.Future[Any]]) -> list[Any]:
    """What each future brings: points, or the error's class."""
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    return [type(seen) if isinstance(seen, Exception) else seen.points for seen in outcomes]


def test_the_messages_of_one_turn_travel_together(many: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        assert await points(send(port, 50)) == [1] * 50

    on_a_loop(many, play)
    assert held.commits[1:] == [["award_points"] * 50]


def test_a_loop_is_woken_once_a_commit_group_however_many_wait(many: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        loop, wakes = asyncio.get_running_loop(), []
        wake = loop.call_soon_threadsafe

        def counted(callback: Callable[..., object], *args: object, **kwargs: Any) -> asyncio.Handle:
            wakes.append(callback)
            return wake(callback, *args, **kwargs)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]  # to count them
        groups = len(held.commits)
        for _ in range(5):
            assert await points(send(port, 100)) == [_ + 1] * 100
        assert len(wakes) <= len(held.commits) - groups
        assert len(held.commits) - groups == 5

    on_a_loop(many, play)


def test_answers_are_those_of_the_blocking_door(many: Store) -> None:
    async def play(port: LoopPort) -> None:
        with pytest.raises(Exception, match="must be an int") as refused:
            port.send(AwardPoints("t3_a", "ann", "x"), 1.0)  # type: ignore[arg-type]  # a mistake of the caller's
        assert refused.typename == "InvalidValue"
        with pytest.raises(Exception, match="match:nope") as missing:
            await port.send(AwardPoints("nope", "ann", 1), 1.0)
        assert missing.typename == "NotFound"

    on_a_loop(many, play)


def test_a_full_gate_makes_messages_wait_for_room(one: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        futures = send(port, 20)
        await off_loop(held.wait_for_commit)
        assert one.runtime.links[0].gate.in_flight == 4
        held.let_go()
        assert await points(futures) == [1] * 20

    on_a_loop(one, play)
    drained(one)


def test_what_finds_no_room_until_its_deadline_was_certainly_not_applied(one: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        inside, outside = send(port, 4), send(port, 3, timeout_s=0.02)
        outcomes = await asyncio.gather(*outside, return_exceptions=True)
        assert [type(error) for error in outcomes] == [Overloaded] * 3
        for error in outcomes:
            assert isinstance(error, Overloaded)
            assert error.depth == 4
            assert 0.02 <= error.age_s < PATIENCE_S  # those inside came as early
        held.let_go()
        assert await points(inside) == [1] * 4

    on_a_loop(one, play)
    assert points_of(one) == {"u0": 1, "u1": 1, "u2": 1, "u3": 1}
    drained(one)


def test_room_that_appears_just_after_a_full_gate_was_met_is_not_missed(one: Store) -> None:
    async def play(port: LoopPort) -> None:
        gate = one.runtime.links[0].gate
        gate.enter(4, 0.0)
        take = gate.take

        def take_then_empty(count: int) -> int:
            admitted = take(count)
            if not admitted:
                gate.leave(4)  # everybody is answered before the port can ask to be told
            return admitted

        gate.take = take_then_empty  # type: ignore[method-assign]  # the moment in question
        assert await points(send(port, 2)) == [1, 1]

    on_a_loop(one, play)


def test_each_message_has_its_own_deadline(many: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        since = monotonic()
        patient = send(port, timeout_s=PATIENCE_S)
        hasty = send(port, timeout_s=0.02)
        assert await points(hasty) == [RequestTimeout]
        assert monotonic() - since < PATIENCE_S / 2
        middling = send(port, timeout_s=0.03)
        assert await points(middling) == [RequestTimeout]
        held.let_go()
        assert await points(patient) == [1]

    on_a_loop(many, play)


def test_a_message_that_was_admitted_and_timed_out_may_have_been_applied(many: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        assert await points(send(port, 2, timeout_s=0.02)) == [RequestTimeout] * 2

    on_a_loop(many, play)
    held.let_go()
    drained(many)
    assert points_of(many) == {"u0": 1, "u1": 1}


def test_a_message_whose_deadline_passed_in_the_queue_never_happens(many: Store) -> None:
    async def play(port: LoopPort) -> None:
        with HeldShard(many.runtime.link_of("match:t3_a")):
            assert await points(send(port, 2, timeout_s=0.02)) == [RequestTimeout] * 2
        assert await points(send(port)) == [1]

    on_a_loop(many, play)
    assert points_of(many) == {"u0": 1}


def test_a_cancelled_wait_does_not_cancel_the_write(many: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        futures = send(port, 3)
        await off_loop(held.wait_for_commit)
        futures[1].cancel()
        held.let_go()
        assert await points([futures[0], futures[2]]) == [1, 1]

    on_a_loop(many, play)
    assert points_of(many) == {"u0": 1, "u1": 1, "u2": 1}


def test_a_wait_that_was_cancelled_before_there_was_room_is_not_sent(one: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        futures = send(port, 6)
        await off_loop(held.wait_for_commit)
        futures[4].cancel()
        held.let_go()
        assert await points([*futures[:4], futures[5]]) == [1] * 5

    on_a_loop(one, play)
    assert "u4" not in points_of(one)


def test_a_loop_that_is_closed_while_answers_are_under_way_hurts_nobody(many: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        send(port, 5)
        await off_loop(held.wait_for_commit)

    on_a_loop(many, play)
    held.let_go()
    assert many.award_points("t3_a", "u0", 1).points == 2
    assert len(points_of(many)) == 5
    drained(many)


def test_a_loop_that_is_closed_while_messages_wait_for_room_hurts_nobody(one: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        send(port, 9)
        await off_loop(held.wait_for_commit)

    on_a_loop(one, play)
    held.let_go()
    assert one.award_points("t3_a", "u0", 1).points == 2
    drained(one)
    assert len(points_of(one)) == 4


def test_messages_that_wait_for_room_are_refused_when_the_store_closes(one: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        futures = send(port, 9)
        await off_loop(held.wait_for_commit)
        closing = off_loop(one.close)
        await off_loop(lambda: until(lambda: one.runtime._closed))
        held.let_go()
        assert await points(futures) == [1] * 4 + [StoreClosed] * 5
        await closing
        with pytest.raises(StoreClosed):
            send(port)

    on_a_loop(one, play)


def test_messages_that_wait_for_room_are_refused_when_the_store_fails(one: Store, held: HeldEngine) -> None:
    async def play(port: LoopPort) -> None:
        held.hold()
        futures = send(port, 9)
        await off_loop(held.wait_for_commit)
        settled(one)
        held.inner.fail_next(CommitFailed("gone"))
        held.let_go()
        outcomes = await points(futures)
        assert set(outcomes[:4]) <= {CommitFailed, StoreFailed}
        assert outcomes[4:] == [StoreFailed] * 5

    on_a_loop(one, play)


def test_deadlines_of_what_is_answered_are_forgotten(many: Store) -> None:
    async def play(port: LoopPort) -> None:
        for _ in range(10):
            await points(send(port, 50))
        assert len(port._deadlines) == 0

    on_a_loop(many, play)
