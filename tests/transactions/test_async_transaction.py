"""Transactions of an asyncio host: the same as on threads, and the event loop never waits."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from calls import CALLS, one_by_one, plain, records_of
from cells import POST, X, Y, Z, fill, put
from engines import PATIENCE_S, HeldEngine
from games import begin
from loops import off_loop, run_on
from opening import MEMORY, Opener
from stage import assert_free
from tasks import add, add_both

from pictact_actors import (
    AsyncStore,
    ConflictAborted,
    DeadlockAborted,
    InvalidValue,
    NotFound,
    RequestTimeout,
    Store,
    StoreError,
)
from pictact_actors.clock import monotonic
from pictact_actors.testing import ManualClock

# -- the same face


def test_it_reads_and_writes_as_on_threads(filled: Store) -> None:
    async def play(store: AsyncStore) -> None:
        new = f"score:{POST}:zoe"
        async with store.transaction() as tx:
            assert await add(tx, X) == 11
            await put(tx, new, 1)
            await tx.delete(Y)
            assert {key: record.points for key, record in (await tx.get_many([X, Y, new])).items()} == {X: 11, new: 1}
            assert [key async for key, _ in tx.scan("score:")] == [X, new]
            assert [key async for key, _ in tx.scan("score:", limit=1, after=X)] == [new]
            with pytest.raises(NotFound):
                await tx.get(Y)
            assert (await store.get(X)).points == 10
        assert (await store.get_many([X, Y, new])).keys() == {X, new}
        with pytest.raises(InvalidValue, match="ended"):
            await tx.get(X)

    run_on(filled, play)


async def async_outcome_of(face: Any, call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Any:
    name, args, fields = call
    try:
        return plain(await getattr(face, name)(*args, **fields))
    except StoreError as error:
        return type(error), error.args


def test_commands_have_the_same_outcomes_as_on_threads(open_store: Opener) -> None:
    alone, other = (open_store(MEMORY, clock=ManualClock(1_000.0)) for _ in range(2))
    expected = one_by_one(alone)

    async def play(store: AsyncStore) -> None:
        async with store.transaction() as tx:
            assert [await async_outcome_of(tx, call) for call in CALLS] == expected

    run_on(other, play)
    assert records_of(other) == records_of(alone)


def test_an_exception_takes_everything_back(filled: Store) -> None:
    async def fail(store: AsyncStore) -> None:
        async with store.transaction() as tx:
            await add(tx, X)
            raise ZeroDivisionError

    async def play(store: AsyncStore) -> None:
        with pytest.raises(ZeroDivisionError):
            await fail(store)
        assert (await store.get(X)).points == 10

    run_on(filled, play)
    assert_free(filled)


def test_an_empty_transaction_and_one_that_only_reads_write_nothing(filled: Store) -> None:
    seq = filled.statistics().seq

    async def play(store: AsyncStore) -> None:
        async with store.transaction():
            pass
        assert await store.transact(lambda tx: tx.get(X)) == filled.get(X)

    run_on(filled, play)
    assert filled.statistics().seq == seq
    assert_free(filled)


def test_a_large_scan_inside_is_whole(filled: Store) -> None:
    begin(filled, "big")

    async def play(store: AsyncStore) -> None:
        async with store.transaction(timeout=PATIENCE_S) as tx:
            for number in range(600):
                await tx.award_points("big", f"u{number}", number)
            assert len([key async for key, _ in tx.scan("score:big:")]) == 600

    run_on(filled, play)


# -- transact


def test_transact_returns_what_the_function_returns_and_tries_again_after_a_conflict(filled: Store) -> None:
    errors = [ConflictAborted("one"), DeadlockAborted("two")]

    async def work(tx: Any) -> int:
        points = await add(tx, X)
        if errors:
            raise errors.pop()
        return points

    async def play(store: AsyncStore) -> None:
        assert await store.transact(work) == 11

    run_on(filled, play)
    assert not errors
    assert filled.get(X).points == 11


@pytest.mark.parametrize("error", [NotFound("match:none"), ZeroDivisionError()])
def test_any_other_error_comes_out_at_once(filled: Store, error: Exception) -> None:
    attempts = []

    async def work(tx: Any) -> None:
        attempts.append(await add(tx, X))
        raise error

    async def play(store: AsyncStore) -> None:
        with pytest.raises(type(error)):
            await store.transact(work)

    run_on(filled, play)
    assert attempts == [11]
    assert filled.get(X).points == 10


def test_transact_gives_up_at_its_deadline(filled: Store) -> None:
    async def play(store: AsyncStore) -> None:
        async with store.transaction() as tx:
            await tx.get(X)
            since = monotonic()
            with pytest.raises(ConflictAborted):
                await store.transact(lambda other: add(other, X), timeout=0.1)
            assert monotonic() - since < 2
        for bad in (-1, float("nan"), "soon"):
            with pytest.raises(InvalidValue, match="timeout"):
                await store.transact(lambda other: add(other, X), timeout=bad)

    run_on(filled, play)
    assert_free(filled)


def test_a_commit_that_stalls_is_unknown_and_not_repeated(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held)
    fill(store, {X: 10})
    attempts = []

    async def work(tx: Any) -> None:
        attempts.append(await add(tx, X))

    async def play(aio: AsyncStore) -> None:
        held.hold()
        with pytest.raises(RequestTimeout):
            await aio.transact(work, timeout=0.1)
        held.let_go()
        await aio.transact(work)

    run_on(store, play)
    assert attempts[0] == 11
    assert len(attempts) == 2
    assert store.get(X).points == attempts[1]


def test_two_hundred_transactions_on_one_key_are_all_done(filled: Store) -> None:
    async def play(store: AsyncStore) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(store.transact(lambda tx: add(tx, X), timeout=PATIENCE_S)) for _ in range(200)]
        assert sorted(task.result() for task in tasks) == list(range(11, 211))

    run_on(filled, play)
    assert filled.get(X).points == 210
    assert_free(filled)


def test_transactions_in_any_order_of_keys_are_all_done(filled: Store) -> None:
    async def play(store: AsyncStore) -> None:
        orders = [random.sample([X, Y], 2) for _ in range(60)]
        await asyncio.gather(
            *(store.transact(lambda tx, keys=keys: add_both(tx, *keys), timeout=PATIENCE_S) for keys in orders)
        )

    run_on(filled, play)
    assert (filled.get(X).points, filled.get(Y).points) == (70, 80)
    assert_free(filled)


def test_tasks_threads_and_commands_add_up(filled: Store) -> None:
    async def play(store: AsyncStore) -> None:
        for _ in range(10):
            await asyncio.gather(
                store.transact(lambda tx: add(tx, X), timeout=PATIENCE_S),
                store.award_points(POST, "ann", 1),
                off_loop(lambda: filled.transact(lambda tx: put(tx, X, tx.get(X).points + 1), timeout=PATIENCE_S)),
            )

    run_on(filled, play)
    assert filled.get(X).points == 40


def test_tasks_that_wait_for_each_other_in_a_circle_cost_one(filled: Store) -> None:
    outcomes: list[str] = []

    async def take(store: AsyncStore, first: str, second: str, meeting: asyncio.Barrier) -> None:
        try:
            async with store.transaction() as tx:
                await put(tx, first, 1)
                await meeting.wait()
                await put(tx, second, 1)
        except DeadlockAborted as error:
            outcomes.append(error.cycle)
        else:
            outcomes.append("done")

    async def play(store: AsyncStore) -> None:
        meeting = asyncio.Barrier(3)
        await asyncio.gather(*(take(store, *pair, meeting) for pair in ((X, Y), (Y, Z), (Z, X))))

    run_on(filled, play)
    assert outcomes.count("done") == 2
    assert_free(filled)
