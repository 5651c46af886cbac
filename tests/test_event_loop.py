"""The event loop of an asyncio host never waits: its tasks do, and each as long as it said."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import PATIENCE_S, HeldEngine, HeldShard, drained
from games import begin, points_of
from loops import create, longest_gap, off_loop, run, run_on
from opening import Opener

from pictact_actors import AsyncStore, AwardPoints, Overloaded, RequestTimeout

GAP_S = 0.05
"""Longest time that an event loop may stand still."""


def test_a_cancelled_wait_does_not_cancel_the_write(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held)
    begin(store)

    async def play(aio: AsyncStore) -> None:
        held.hold()
        task = asyncio.create_task(aio.award_points("t3_a", "ann", 5))
        await off_loop(held.wait_for_commit)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.let_go()
        assert (await aio.award_points("t3_a", "ann", 1)).points == 6

    run_on(store, play)


def test_a_wait_that_times_out_outside_does_not_cancel_the_write(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held)
    begin(store)

    async def play(aio: AsyncStore) -> None:
        held.hold()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(aio.award_points("t3_a", "ann", 5), 0.02)
        held.let_go()

    run_on(store, play)
    drained(store)
    assert points_of(store) == {"ann": 5}


def test_a_timeout_is_told_and_what_was_still_queued_never_happens(open_store: Opener) -> None:
    store = open_store(":memory:")
    begin(store)

    async def play(aio: AsyncStore) -> None:
        with HeldShard(store.runtime.link_of("match:t3_a")), pytest.raises(RequestTimeout):
            await aio.award_points("t3_a", "ann", 5, timeout=0.02)
        assert (await aio.award_points("t3_a", "ann", 1)).points == 1

    run_on(store, play)


def test_a_full_gate_makes_tasks_wait_and_then_overloaded(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=1, in_flight_max=8, commit_group_max=8)
    begin(store)
    drained(store)

    async def play(aio: AsyncStore) -> None:
        held.hold()
        inside = [asyncio.create_task(aio.award_points("t3_a", f"u{n}", 1)) for n in range(8)]
        await off_loop(held.wait_for_commit)
        patient = [asyncio.create_task(aio.award_points("t3_a", f"p{n}", 1)) for n in range(20)]
        with pytest.raises(Overloaded) as caught:
            await aio.award_points("t3_a", "hasty", 1, timeout=0.02)
        assert caught.value.depth == 8
        with pytest.raises(Overloaded):
            aio.tell(AwardPoints("t3_a", "hasty", 1))
        held.let_go()
        assert [score.points for score in await asyncio.gather(*inside, *patient)] == [1] * 28

    run_on(store, play)
    assert "hasty" not in points_of(store)


@pytest.fixture
def still_heap() -> Iterator[None]:
    """Keep the garbage collector away from what the test runner holds: its pauses are not the store's."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def assert_no_gap(work: Callable[[], Awaitable[Any]]) -> None:
    """Whoever blocks the loop does so every time; a busy machine does not."""
    gaps = []
    while len(gaps) < 3:
        gaps.append(await longest_gap(work()))
        if gaps[-1] <= GAP_S:
            return
    raise AssertionError(f"the loop stood still for {gaps} s")


@pytest.mark.usefixtures("still_heap")
def test_the_loop_goes_on_while_tasks_write_and_a_long_scan_runs(tmp_path: Path) -> None:
    async def scan(store: AsyncStore) -> None:
        assert len([record async for _, record in store.scan("score:")]) >= 20_000
        assert len(await store.leaderboard("t3_a", 3)) == 3

    async def play(store: AsyncStore) -> None:
        await create(store)
        for start in range(0, 20_000, 2_000):
            await asyncio.gather(
                *store.submit([AwardPoints("t3_a", f"u{n:05}", n) for n in range(start, start + 2_000)])
            )
        await assert_no_gap(lambda: asyncio.gather(scan(store), *(_write(store, host) for host in range(500))))

    run(play, tmp_path / "data")


async def _write(store: AsyncStore, host: int) -> None:
    for n in range(4):
        await store.award_points("t3_a", f"h{host}", n)


@pytest.mark.usefixtures("still_heap")
def test_the_loop_goes_on_while_a_commit_hangs_and_the_gate_is_full(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=1, in_flight_max=8, commit_group_max=8)
    begin(store)

    async def play(aio: AsyncStore) -> None:
        async def work() -> None:
            held.hold()
            writers = [asyncio.create_task(aio.award_points("t3_a", f"u{n}", 1)) for n in range(50)]
            await off_loop(held.wait_for_commit)
            assert (await aio.match("t3_a")).post_id == "t3_a"
            for _ in range(100):
                await asyncio.sleep(0)
            held.let_go()
            await asyncio.gather(*writers)

        await assert_no_gap(work)

    run_on(store, play)


def test_the_loop_is_woken_at_most_once_a_commit_group(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held)
    begin(store)
    wakes: list[int] = []

    async def play(aio: AsyncStore) -> None:
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def counted(*args: Any, **kwargs: Any) -> asyncio.Handle:
            wakes.append(1)
            return wake(*args, **kwargs)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]  # to count them
        for _ in range(10):
            await asyncio.gather(*(aio.award_points("t3_a", f"u{n}", 1) for n in range(300)))

    groups = len(held.commits)
    run_on(store, play)
    assert len(wakes) <= len(held.commits) - groups
    assert len(held.commits) - groups <= 20


def test_a_read_that_meets_a_group_being_published_waits_off_the_loop(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held)
    begin(store)
    publish, go_on, publishing = held.inner.publish, threading.Event(), threading.Event()

    def slow_publish() -> None:
        publishing.set()
        assert go_on.wait(PATIENCE_S)
        publish()

    held.inner.publish = slow_publish

    async def play(aio: AsyncStore) -> None:
        writing = asyncio.create_task(aio.update_match("t3_a", theme="rivers"))
        await off_loop(lambda: publishing.wait(PATIENCE_S))
        reading = [asyncio.create_task(read) for read in (aio.match("t3_a"), aio.get("match:t3_a"))]
        for _ in range(100):
            await asyncio.sleep(0)
        assert not any(task.done() for task in (writing, *reading))
        go_on.set()
        assert [record.theme for record in await asyncio.gather(*reading)] == ["rivers", "rivers"]  # type: ignore[union-attr]  # matches
        await writing

    run_on(store, play)
