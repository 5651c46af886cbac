"""The same store for an asyncio host: the same answers, and everybody gets one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import PATIENCE_S
from games import begin, creation, points_of
from loops import create, off_loop, run, run_on
from opening import Opener
from waiting import until

from pictact_actors import (
    AlreadyExists,
    AsyncStore,
    AwardPoints,
    CompleteMatch,
    InvalidKey,
    InvalidValue,
    MatchClosed,
    NotFound,
    Score,
    Store,
    StoreClosed,
    StoreError,
    StoreLocked,
)
from pictact_actors.testing import ManualClock

PLACES = [":memory:", "directory"]

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("create_match", ("t3_a",), {"subreddit": "p", "rounds_total": 2, "theme": "t", "created_by": "m"}),
    ("create_match", ("t3_a",), {"subreddit": "p", "rounds_total": 2, "theme": "t", "created_by": "m"}),
    ("update_match", ("t3_a",), {"theme": "rivers"}),
    ("update_match", ("t3_a",), {"colour": "red"}),
    ("create_round", ("t3_a", 1), {"prompt_text": "?", "start_ts": 0, "end_ts": 9, "reference_images": ["a"]}),
    ("update_round", ("t3_a", 1), {"end_ts": 10}),
    ("close_round", ("t3_a", 1), {"winner_user": "ann", "points": 5, "request_id": "r1"}),
    ("close_round", ("t3_a", 1), {"winner_user": "ann", "points": 5, "request_id": "r1"}),
    ("award_points", ("t3_a", "bob", 2), {"wins": 1, "timeout": 5}),
    ("award_points", ("t3_a", "a:b", 2), {}),
    ("award_points", ("t3_a", "bob", "two"), {}),
    ("award_points", ("nope", "bob", 2), {}),
    ("record_analytics", ("t3_a",), {"invalid_rate": 0.5}),
    ("add_trophy", ("ann", "cup"), {}),
    ("put_many", ({"score:t3_a:cat": Score("t3_a", "cat", 1)},), {}),
    ("put_many", ({"score:t3_a:cat": Score("t3_b", "cat", 1)},), {}),
    ("put_many", ({},), {}),
    ("update", ("score:t3_a:cat", lambda score: replace(score, points=score.points + 2)), {"request_id": "r2"}),
    ("update", ("score:t3_a:cat", lambda score: replace(score, points=score.points + 2)), {"request_id": "r2"}),
    ("update", ("score:t3_a:dan", lambda score: score), {"timeout": 5}),
    ("update", ("score:t3_a:dan", lambda score: score.points), {}),
    ("update", ("score:t3_a", lambda score: score), {}),
    ("update", ("score:t3_a:cat", "a function"), {}),
    ("match", ("t3_a",), {}),
    ("match", ("a:b",), {}),
    ("round", ("t3_a", 1), {}),
    ("rounds", ("t3_a",), {}),
    ("score", ("t3_a", "ann"), {}),
    ("score", ("t3_a", "zoe"), {}),
    ("analytics", ("t3_a",), {}),
    ("analytics_summary", (), {"subreddit": "p"}),
    ("leaderboard", ("t3_a",), {"limit": 2}),
    ("leaderboard", ("t3_a", -1), {}),
    ("leaderboard", ("t3_a", "two"), {}),
    ("leaderboard", ("t3_a", 1_000, 1), {}),
    ("leaderboard", ("t3_z",), {}),
    ("standing", ("t3_a", "zoe"), {}),
    ("standing", ("t3_a", "bob"), {}),
    ("around", ("t3_a", "bob"), {"span": 1}),
    ("get", ("score:t3_a:ann",), {}),
    ("get", ("request:match:t3_a:r1",), {}),
    ("get_many", (["score:t3_a:ann", "match:nope"],), {}),
    ("complete_match", ("t3_a",), {"trophies": {"ann": ["medal"]}}),
    ("complete_match", ("t3_a",), {}),
    ("cancel_match", ("t3_a",), {}),
    ("lifetime", ("ann",), {}),
    ("player", ("ann",), {}),
    ("lifetime_leaderboard", ("total_points",), {}),
    ("lifetime_standing", ("bob",), {}),
    ("lifetime_leaderboard", (), {"after": "bob"}),
    ("lifetime_around", ("bob", "total_points", 1), {}),
    ("check", (), {}),
    ("statistics", (), {}),
]


def shown(outcome: Any) -> Any:
    if isinstance(outcome, StoreError | AttributeError):
        return type(outcome), outcome.args
    if hasattr(outcome, "commits"):
        return outcome.commits
    return outcome


def outcome_of(store: Store, name: str, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    try:
        return shown(getattr(store, name)(*args, **fields))
    except (StoreError, AttributeError) as error:
        return shown(error)


async def async_outcome_of(store: AsyncStore, name: str, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    try:
        return shown(await getattr(store, name)(*args, **fields))
    except (StoreError, AttributeError) as error:
        return shown(error)


@pytest.mark.parametrize("place", PLACES)
def test_every_call_has_the_same_outcome_as_on_the_blocking_store(tmp_path: Path, place: str) -> None:
    with Store.open(place if place == ":memory:" else tmp_path / "a", clock=ManualClock(1_000.0)) as store:
        expected = [outcome_of(store, *call) for call in CALLS]
        pairs = list(store.scan(""))

    async def main() -> None:
        path = place if place == ":memory:" else tmp_path / "b"
        async with AsyncStore.open(path, clock=ManualClock(1_000.0)) as store:
            assert [await async_outcome_of(store, *call) for call in CALLS] == expected
            assert [pair async for pair in store.scan("")] == pairs
            assert [key async for key, _ in store.scan("score:", limit=2, after="score:t3_a:ann")] == [
                "score:t3_a:bob",
                "score:t3_a:cat",
            ]

    asyncio.run(main())


def test_both_faces_have_the_same_methods() -> None:
    only_one = {"entries"}  # a tool's, it reads files
    ours = {name for name in dir(Store) if not name.startswith("_")} - {"runtime"}
    theirs = {name for name in dir(AsyncStore) if not name.startswith("_")} - {"runtime"}
    assert ours - only_one == theirs - only_one


# -- messages


def test_messages_bring_their_answers_and_errors_through_futures() -> None:
    async def play(store: AsyncStore) -> None:
        assert (await store.ask(creation())).post_id == "t3_a"
        store.tell(AwardPoints("t3_a", "ann", 1))
        messages = [AwardPoints("t3_a", user, 1) for user in ("ann", "a:b", "ann")]
        outcomes = await asyncio.gather(*store.submit([*messages, creation()]), return_exceptions=True)
        assert [shown(seen)[0] if isinstance(seen, Exception) else seen.points for seen in outcomes] == [
            2,
            InvalidKey,
            3,
            AlreadyExists,
        ]
        with pytest.raises(InvalidKey):
            store.tell(AwardPoints("t3_a", "a:b", 1))
        with pytest.raises(InvalidValue):
            await store.ask("award ann a point")  # type: ignore[arg-type]  # a mistake of the caller's

    run(play)


def test_a_board_in_memory_is_answered_in_the_loop_unless_that_would_wait() -> None:
    async def play(store: AsyncStore, asked: list[object]) -> None:
        await create(store)
        await store.award_points("t3_a", "ann", 2)
        assert [line.user for line in await store.leaderboard("t3_a")] == ["ann"]
        assert len(asked) == 1  # loaded
        assert (await store.standing("t3_a", "ann")).points == 2
        assert len(await store.around("t3_a", "ann", 3)) == len(await store.leaderboard("t3_a")) == 1
        assert len(asked) == 1
        await store.leaderboard("t3_a", 10_000)
        assert len(asked) == 2  # may take long
        moment, loop = store._store.runtime.committed._moment, asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as somebody:
            await loop.run_in_executor(somebody, moment.acquire)
            waiting = asyncio.ensure_future(store.standing("t3_a", "ann"))
            await asyncio.sleep(0)
            assert len(asked) == 3
            assert not waiting.done()
            await loop.run_in_executor(somebody, moment.release)
        assert (await waiting).points == 2

    async def main() -> None:
        async with AsyncStore.open(":memory:") as store, asyncio.timeout(PATIENCE_S):
            asked: list[object] = []
            ask = store._off_loop

            def counted(*args: Any) -> Any:
                asked.append(args)
                return ask(*args)

            store._off_loop = counted  # type: ignore[method-assign,assignment]  # counted, and done
            await play(store, asked)

    asyncio.run(main())


def test_order_is_kept_within_a_group() -> None:
    async def play(store: AsyncStore) -> None:
        await create(store)
        messages: list[Any] = [AwardPoints("t3_a", "ann", 1) for _ in range(200)]
        answers = await asyncio.gather(*store.submit(messages))
        assert [score.points for score in answers] == list(range(1, 201))
        before, completed, after = store.submit(
            [AwardPoints("t3_a", "bob", 1), CompleteMatch("t3_a"), AwardPoints("t3_a", "bob", 1)]
        )
        assert (await before).points == 1
        assert len(await completed) == 2
        with pytest.raises(MatchClosed):
            await after

    run(play)


# -- opening and closing


def test_a_store_is_awaited_or_entered(tmp_path: Path) -> None:
    async def main() -> None:
        store = await AsyncStore.open(tmp_path / "data")
        await create(store)
        await store.close()
        async with AsyncStore.open(tmp_path / "data") as store:
            assert (await store.match("t3_a")).post_id == "t3_a"
        async with await AsyncStore.open(tmp_path / "data") as store:
            with pytest.raises(StoreLocked):
                await AsyncStore.open(tmp_path / "data")

    asyncio.run(main())


def test_after_closing_everything_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncStore.open(tmp_path / "data") as store:
            await create(store)
        for attempt in (
            lambda: store.award_points("t3_a", "ann", 1),
            lambda: store.match("t3_a"),
            lambda: store.get("match:t3_a"),
            lambda: store.get_many(["match:t3_a"]),
            lambda: store.leaderboard("t3_a"),
            lambda: store.player("ann"),
            store.check,
        ):
            with pytest.raises(StoreClosed):
                await attempt()  # type: ignore[operator]  # each is a coroutine function
        with pytest.raises(StoreClosed):
            store.tell(AwardPoints("t3_a", "ann", 1))
        with pytest.raises(StoreClosed):
            _ = [pair async for pair in store.scan("")]
        await store.close()

    asyncio.run(main())


def test_whoever_is_cancelled_while_opening_leaves_nothing_locked(tmp_path: Path) -> None:
    async def main() -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_opened(tmp_path / "data"), 0.0001)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    store = await AsyncStore.open(tmp_path / "data")
                except StoreLocked:
                    continue
                break
            await create(store)
            await store.close()

    asyncio.run(main())


async def _opened(path: Path) -> AsyncStore:
    return await AsyncStore.open(path)


def test_closing_while_tasks_write_answers_everybody_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[str] = []

    async def main() -> None:
        store = await AsyncStore.open(tmp_path / "data")
        await create(store)

        async def write(host: int) -> None:
            for n in range(10_000):
                try:
                    await store.award_points("t3_a", f"h{host}-{n}", 1)
                except StoreClosed:
                    return
                acknowledged.append(f"h{host}-{n}")

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for host in range(50):
                group.create_task(write(host))
            await off_loop(lambda: until(lambda: len(acknowledged) >= 500))
            await store.close()

    asyncio.run(main())
    with Store.open(tmp_path / "data") as store:
        assert set(acknowledged) == set(points_of(store))
        assert store.check() == []


def test_two_loops_in_two_threads_share_a_store(open_store: Opener) -> None:
    store = open_store(":memory:")
    begin(store)

    async def both() -> None:
        async def play(aio: AsyncStore) -> None:
            await asyncio.gather(*(aio.award_points("t3_a", "ann", 1) for _ in range(100)))

        await asyncio.gather(*(off_loop(lambda: run_on(store, play)) for _ in range(2)))

    asyncio.run(both())
    assert points_of(store) == {"ann": 200}


def test_a_missing_record_is_not_found() -> None:
    async def play(store: AsyncStore) -> None:
        for query in (store.match("t3_a"), store.lifetime("ann"), store.leaderboard("t3_a"), store.rounds("t3_a")):
            with pytest.raises(NotFound):
                await query

    run(play)
