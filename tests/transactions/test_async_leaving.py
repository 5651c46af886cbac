"""Tasks that leave a transaction early give everything back, and the event loop never waits."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from typing import Any

import pytest
from cells import POST, SHARDS, X, Y, fill, post_in, put, record_of
from engines import PATIENCE_S, HeldEngine, HeldShard
from games import begin
from loops import off_loop, run_on
from opening import MEMORY, Opener
from stage import assert_free
from tasks import add, add_both, assert_no_gap, until_waiting

from pictact_actors import (
    AsyncStore,
    ConflictAborted,
    Store,
    StoreClosed,
)
from pictact_actors.clock import monotonic

# -- leaving early


@pytest.mark.parametrize("where", ["inside", "waiting", "scanning"])
def test_a_task_that_is_cancelled_in_the_block_lets_go_at_once(filled: Store, where: str) -> None:
    async def leave(store: AsyncStore, entered: asyncio.Event) -> None:
        async with store.transaction() as tx:
            await put(tx, Y, 21)
            if where == "scanning":
                async for _ in tx.scan(f"score:{post_in(1)}:"):
                    entered.set()
                    await asyncio.Event().wait()
            entered.set()
            if where == "waiting":
                await tx.get(X)
            await asyncio.Event().wait()

    async def play(store: AsyncStore) -> None:
        entered = asyncio.Event()
        async with store.transaction() as holder:
            await holder.get(X)
            task = asyncio.create_task(leave(store, entered))
            await entered.wait()
            if where == "waiting":
                await until_waiting(filled, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await store.transact(lambda tx: add(tx, Y), timeout=1)) == 21
            await add(holder, X)
        assert (await store.get(X)).points == 11

    run_on(filled, play)
    assert_free(filled)


def test_a_timeout_around_the_block_lets_go_too(filled: Store) -> None:
    async def wait_in_vain(store: AsyncStore) -> None:
        async with store.transaction() as tx:
            await put(tx, Y, 21)
            await tx.get(X)

    async def play(store: AsyncStore) -> None:
        async with store.transaction() as holder:
            await holder.get(X)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wait_in_vain(store), 0.02)
            assert (await store.transact(lambda tx: add(tx, Y), timeout=1)) == 21

    run_on(filled, play)
    assert_free(filled)


def test_whoever_is_cancelled_at_any_moment_holds_and_wants_nothing(filled: Store) -> None:
    rng = random.Random()
    done: list[int] = []

    async def work(store: AsyncStore) -> None:
        done.append(await store.transact(lambda tx: add_both(tx, *rng.sample([X, Y], 2)), timeout=PATIENCE_S))

    async def play(store: AsyncStore) -> None:
        for _ in range(40):
            tasks = [asyncio.create_task(work(store)) for _ in range(8)]
            for _ in range(rng.randrange(12)):
                await asyncio.sleep(0)
            await off_loop(lambda: filled.award_points(post_in(3), "ann", 1))
            for task in rng.sample(tasks, 5):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    begin(filled, post_in(3))
    run_on(filled, play)
    assert_free(filled)
    points = filled.get(X).points - 10
    assert points == filled.get(Y).points - 20
    assert points >= len(done) >= 40 * 3  # who was cancelled while it committed may have committed


def test_whoever_is_cancelled_as_it_begins_to_lock_is_not_counted_for_ever(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = filled.runtime.transactions
    keep, beginning, cancelled = transactions.keep, threading.Event(), threading.Event()

    def keep_later(*args: Any) -> None:
        beginning.set()
        assert cancelled.wait(PATIENCE_S)
        keep(*args)

    async def play(store: AsyncStore) -> None:
        task = asyncio.create_task(store.transact(lambda tx: add(tx, X)))
        await off_loop(beginning.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()
        monkeypatch.undo()
        await store.transact(lambda tx: add(tx, X))

    monkeypatch.setattr(transactions, "keep", keep_later)
    run_on(filled, play)
    assert_free(filled)


def test_whoever_is_cancelled_before_its_commit_is_sent_lets_go_at_once(filled: Store) -> None:
    busy, free = threading.Barrier(5), threading.Event()

    def occupy() -> None:
        busy.wait(PATIENCE_S)
        assert free.wait(PATIENCE_S)

    async def play(store: AsyncStore) -> None:
        tx = store.transaction()
        await put(tx, X, 11)
        occupied = [asyncio.ensure_future(store._off_loop(occupy)) for _ in range(4)]  # every reading thread
        await off_loop(lambda: busy.wait(PATIENCE_S))
        leaving = asyncio.ensure_future(tx.__aexit__(None, None, None))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        free.set()
        await asyncio.gather(*occupied)
        assert (await store.award_points(POST, "ann", 1, timeout=1)).points == 11

    run_on(filled, play)
    assert_free(filled)


def test_a_lease_ends_in_a_task_too(open_store: Opener) -> None:
    store = open_store(MEMORY, shards=SHARDS, lease_s=0.2)
    fill(store, {X: 10})

    async def keep_too_long(aio: AsyncStore) -> None:
        async with aio.transaction() as tx:
            await put(tx, X, 100)
            since = monotonic()
            await aio.award_points(POST, "ann", 1)
            assert monotonic() - since <= 1.2
            with pytest.raises(ConflictAborted, match="lease"):
                await tx.get(X)

    async def play(aio: AsyncStore) -> None:
        with pytest.raises(ConflictAborted, match="lease"):
            await keep_too_long(aio)
        assert (await aio.get(X)).points == 11

    run_on(store, play)
    assert_free(store)


def test_a_task_that_nobody_awaits_any_more_lets_go_within_its_lease(open_store: Opener) -> None:
    store = open_store(MEMORY, shards=SHARDS, lease_s=0.2)
    fill(store, {X: 10})

    async def forget(aio: AsyncStore) -> None:
        tx = aio.transaction()
        await tx.__aenter__()
        await put(tx, X, 100)

    run_on(store, forget)
    assert store.award_points(POST, "ann", 1).points == 11
    assert_free(store)


def test_closing_the_store_ends_the_transactions_of_its_tasks(filled: Store) -> None:
    async def play(store: AsyncStore) -> None:
        entered = asyncio.Event()

        async def hold() -> None:
            async with store.transaction() as tx:
                await add(tx, X)
                entered.set()
                await asyncio.Event().wait()

        holding = asyncio.create_task(hold())
        await entered.wait()
        wanting = asyncio.create_task(store.transact(lambda tx: add(tx, X), timeout=PATIENCE_S))
        await until_waiting(filled, 1)
        await store.close()
        with pytest.raises(StoreClosed):
            await wanting
        holding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await holding
        with pytest.raises(StoreClosed):
            await store.transact(lambda tx: add(tx, X))

    run_on(filled, play)


# -- the loop goes on


def test_the_loop_goes_on_while_transactions_wait_for_a_shard_that_stands_still(filled: Store) -> None:
    async def play(aio: AsyncStore) -> None:
        work = asyncio.gather(*(aio.transact(lambda tx: add(tx, X), timeout=PATIENCE_S) for _ in range(20)))
        with HeldShard(filled.runtime.link_of(f"match:{POST}")):
            await asyncio.sleep(0)
            await off_loop(lambda: filled.award_points(post_in(1), "bob", 1))
        await work

    assert_no_gap(filled, play)


def test_the_loop_goes_on_while_transactions_wait_for_a_lock_and_for_the_disk(
    open_store: Opener, held: HeldEngine
) -> None:
    store = open_store(engine=held, shards=SHARDS)
    fill(store, {X: 10, Y: 20})

    async def play(aio: AsyncStore) -> None:
        async with aio.transaction() as tx:
            await add(tx, X)
            work = asyncio.gather(*(aio.transact(lambda other: add(other, X), timeout=PATIENCE_S) for _ in range(20)))
            await until_waiting(store, 20)
            held.hold()
        held.let_go()
        await work

    async def play_slowly(aio: AsyncStore) -> None:
        playing = asyncio.ensure_future(play(aio))
        await off_loop(held.wait_for_commit)
        held.let_go()
        await playing

    assert_no_gap(store, play_slowly)


def test_the_loop_goes_on_while_a_transaction_works_on_a_large_match(filled: Store) -> None:
    players = 3_000
    begin(filled, "big")
    filled.put_many({f"score:big:u{number}": record_of(f"score:big:u{number}", number) for number in range(players)})

    async def play(aio: AsyncStore) -> None:
        async with aio.transaction(timeout=PATIENCE_S) as tx:
            assert len([key async for key, _ in tx.scan("score:big:")]) == players
            assert len(await tx.complete_match("big")) == players
            raise ZeroDivisionError

    async def taken_back(aio: AsyncStore) -> None:
        with pytest.raises(ZeroDivisionError):
            await play(aio)

    assert_no_gap(filled, taken_back)
