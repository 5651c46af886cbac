"""The change feed in an event loop: the same commits, and the loop is never held up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engines import PATIENCE_S
from games import POST, begin, play
from loops import create, off_loop, run, run_on
from opening import MEMORY, Opener
from waiting import until

from pictact_actors import AsyncStore, Change, EntriesGone, InvalidValue, Store, StoreClosed

each_place = pytest.mark.parametrize("place", ["memory", "directory"])


async def some(changes: AsyncIterator[Change], count: int) -> list[int]:
    """The numbers of the next changes."""
    return [(await anext(changes)).seq for _ in range(count)]


async def everything(changes: AsyncIterator[Change]) -> list[int]:
    return [change.seq async for change in changes]


async def award(store: AsyncStore, count: int) -> None:
    await asyncio.gather(*(store.award_points(POST, f"user{number}", 1) for number in range(count)))


@each_place
def test_a_task_follows_what_others_write(tmp_path: Path, place: str) -> None:
    async def play_on(store: AsyncStore) -> None:
        changes = store.changes()
        seen = asyncio.create_task(some(changes, 1_001))
        await create(store)
        await award(store, 1_000)
        assert await seen == list(range(1, 1_002))

    run(play_on, MEMORY if place == "memory" else tmp_path / "data")


def test_it_begins_behind_the_call_and_not_behind_the_first_look() -> None:
    async def play_on(store: AsyncStore) -> None:
        await create(store)
        changes = store.changes()
        await award(store, 2)
        assert await some(changes, 2) == [2, 3]
        assert await some(store.changes(1), 3) == [1, 2, 3]

    run(play_on)


def test_many_tasks_follow_while_threads_write(open_store: Opener) -> None:
    store = open_store()
    begin(store)

    async def follow(aio: AsyncStore) -> None:
        tasks = [asyncio.create_task(some(aio.changes(1), 801)) for _ in range(5)]
        writers = [off_loop(lambda: play(store, {f"user{number}": 1 for number in range(100)})) for _ in range(8)]
        await asyncio.gather(*writers)
        assert [await task for task in tasks] == [list(range(1, 802))] * 5

    run_on(store, follow)


def test_the_loop_goes_on_while_a_task_catches_up(open_store: Opener) -> None:
    store = open_store()
    begin(store)
    play(store, {f"user{number}": 1 for number in range(10_000)})

    async def follow(aio: AsyncStore) -> None:
        loop = asyncio.get_running_loop()
        gaps: list[float] = []

        async def beat() -> None:
            while True:
                at = loop.time()
                await asyncio.sleep(0)
                gaps.append(loop.time() - at)

        heart = asyncio.create_task(beat())
        assert len(await everything(aio.changes(1, timeout=0))) == 10_001
        heart.cancel()
        assert max(gaps) < 1.0, "a loop that is held up by the whole reading would wait longer"
        assert len(gaps) > 40

    run_on(store, follow)


def test_it_ends_when_nothing_has_happened_for_so_long() -> None:
    async def play_on(store: AsyncStore) -> None:
        await create(store)
        assert await everything(store.changes(1, timeout=0.01)) == [1]
        assert await everything(store.changes(timeout=0)) == []
        assert not store._store.runtime.feed.waiting

    run(play_on)


@each_place
def test_closing_ends_a_task_that_waits_and_it_has_seen_everything(tmp_path: Path, place: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S):
            async with AsyncStore.open(MEMORY if place == "memory" else tmp_path / "data") as store:
                seen = asyncio.create_task(everything(store.changes(1)))
                await create(store)
                await award(store, 500)
            assert await seen == list(range(1, 502))

    asyncio.run(main())


def test_a_cancelled_task_stops_waiting_and_leaves_nothing_behind(store: Store) -> None:
    async def follow(aio: AsyncStore) -> None:
        task = asyncio.create_task(everything(aio.changes()))
        await off_loop(lambda: until(lambda: store.runtime.feed.waiting))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not store.runtime.feed.waiting

    run_on(store, follow)
    begin(store)


def test_a_loop_that_ended_while_a_task_waited_harms_nobody(store: Store) -> None:
    async def follow(aio: AsyncStore) -> None:
        changes = aio.changes()
        waiting.append(asyncio.ensure_future(anext(changes)))  # type: ignore[arg-type]  # a coroutine in fact
        await off_loop(lambda: until(lambda: store.runtime.feed.waiting))

    waiting: list[asyncio.Future[Change]] = []
    run_on(store, follow)
    assert begin(store)


def test_what_is_wrong_is_said_at_once(open_store: Opener) -> None:
    store = open_store(MEMORY, journal_segment_bytes=4_096, journal_bytes_max=4_096)
    begin(store)
    until(lambda: play(store, {"ann": 1}) or store.runtime.space.give_back() or store.statistics().base_seq)

    async def follow(aio: AsyncStore) -> None:
        with pytest.raises(EntriesGone):
            aio.changes(1)
        with pytest.raises(InvalidValue):
            aio.changes(-1)
        with pytest.raises(InvalidValue):
            aio.changes(timeout=-1)
        store.close()
        with pytest.raises(StoreClosed):
            aio.changes()

    run_on(store, follow)
