"""Locks are leases: whoever keeps them too long loses them, and holds nobody up."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cells import POST, SHARDS, X, Y, Z, fill, leave_with, put, record_of
from engines import HeldEngine, HeldShard, drained
from opening import MEMORY, Opener
from stage import assert_free, waiting
from waiting import PATIENCE_S, until

from pictact_actors import ConflictAborted, InvalidValue, Overloaded, Store, StoreClosed, StoreConfig
from pictact_actors.clock import monotonic
from pictact_actors.model.commands import PutMany

LEASE_S = 0.2
SLACK_S = 1.0
"""What a busy machine may add to a lease."""


@pytest.fixture
def leased(open_store: Opener) -> Store:
    """Cells in a store with short leases."""
    store = open_store(MEMORY, shards=SHARDS, lease_s=LEASE_S)
    fill(store, {X: 10, Y: 20, Z: 30})
    return store


def seconds_of(act: Callable[[], Any]) -> float:
    """How long something takes."""
    since = monotonic()
    act()
    return monotonic() - since


def test_a_lease_is_at_most_five_seconds() -> None:
    assert 0 < StoreConfig().lease_s <= 5
    for bad in (0, -1, 5.1, float("nan")):
        with pytest.raises(InvalidValue):
            StoreConfig(lease_s=bad)


def test_who_keeps_locks_too_long_commits_nothing_and_those_who_waited_go_on(leased: Store) -> None:
    def keep_too_long() -> None:
        with leased.transaction() as tx:
            put(tx, X, 100)
            put(tx, Z, 100)
            took = seconds_of(lambda: leased.award_points(POST, "ann", 1))  # waits for the lock
            assert LEASE_S / 2 <= took <= LEASE_S + SLACK_S

    with pytest.raises(ConflictAborted, match="lease"):
        keep_too_long()
    assert leased.get(X).points == 11
    assert leased.get(Z).trophies == ["30"]
    assert_free(leased)


def test_who_only_read_too_long_ago_does_not_commit_either(leased: Store) -> None:
    def read_then_wait() -> None:
        with leased.transaction() as tx:
            tx.get(X)
            leased.award_points(POST, "ann", 1)

    with pytest.raises(ConflictAborted, match="lease"):
        read_then_wait()


@pytest.mark.parametrize(
    "act",
    [
        lambda tx: tx.get(X),
        lambda tx: tx.get(Y),
        lambda tx: tx.get_many([X, Y]),
        lambda tx: put(tx, X, 1),
        lambda tx: tx.delete(X),
        lambda tx: list(tx.scan("score:")),
        lambda tx: tx.award_points(POST, "ann", 1),
        lambda tx: tx.complete_match(POST),
    ],
)
def test_after_its_lease_a_transaction_refuses_everything(leased: Store, act: Callable[[Any], Any]) -> None:
    refused = []
    with contextlib.suppress(ConflictAborted), leased.transaction() as tx:
        tx.get(X)
        leased.award_points(POST, "ann", 1)
        for _ in range(2):
            with pytest.raises(ConflictAborted, match="lease"):
                act(tx)
            refused.append(act)
    assert len(refused) == 2
    assert leased.get(X).points == 11
    assert_free(leased)


def test_a_scan_does_not_go_on_after_the_lease(leased: Store) -> None:
    def scan(tx: Any) -> None:
        pairs = tx.scan("")
        next(pairs)
        leased.award_points(POST, "ann", 1)
        list(pairs)

    with pytest.raises(ConflictAborted, match="lease"):
        leave_with(ZeroDivisionError, leased, scan)


def test_all_who_waited_go_on_in_order(leased: Store) -> None:
    def add(number: int) -> None:
        leased.transact(lambda tx: put(tx, X, tx.get(X).points * 2 + number), timeout=PATIENCE_S)

    with ThreadPoolExecutor(3) as pool, contextlib.suppress(ConflictAborted), leased.transaction() as tx:
        put(tx, X, 0)
        done = []
        for number in range(3):
            done.append(pool.submit(add, number))
            until(lambda number=number: waiting(leased) == number + 1)
        for future in done:
            future.result(PATIENCE_S)
    assert leased.get(X).points == ((10 * 2 + 0) * 2 + 1) * 2 + 2


def test_a_transaction_whose_thread_died_in_the_block_lets_go_within_its_lease(leased: Store) -> None:
    left = []

    def enter_and_die() -> None:
        left.append(leased.transaction())
        put(left[0].__enter__(), X, 100)

    dying = threading.Thread(target=enter_and_die)
    dying.start()
    dying.join(PATIENCE_S)
    assert seconds_of(lambda: leased.award_points(POST, "ann", 1)) <= LEASE_S + SLACK_S
    assert leased.get(X).points == 11
    assert_free(leased)
    with pytest.raises(ConflictAborted, match="lease"):
        left[0].__exit__(None, None, None)


def test_a_transaction_that_nobody_has_any_more_lets_go_within_its_lease(leased: Store) -> None:
    put(leased.transaction().__enter__(), X, 100)
    gc.collect()
    assert seconds_of(lambda: leased.award_points(POST, "ann", 1)) <= LEASE_S + SLACK_S
    assert leased.get(X).points == 11
    assert_free(leased)


def test_who_holds_nothing_has_no_lease(leased: Store) -> None:
    with leased.transaction() as idle:
        with contextlib.suppress(ConflictAborted), leased.transaction() as tx:
            tx.get(X)
            leased.award_points(POST, "ann", 1)  # the lease of the other one is over
        put(idle, X, 1)
    assert leased.get(X).points == 1


def test_transact_tries_again_after_a_lease(leased: Store) -> None:
    attempts = []

    def slow_at_first(tx: Any) -> int:
        attempts.append(tx)
        points = tx.get(X).points
        if len(attempts) == 1:
            leased.award_points(POST, "ann", 1)
        put(tx, X, points + 10)
        return points

    assert leased.transact(slow_at_first, timeout=PATIENCE_S) == 11
    assert len(attempts) == 2
    assert leased.get(X).points == 21


def test_a_lease_ends_while_its_holder_waits_for_another_lock(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=SHARDS, lease_s=LEASE_S)
    fill(store, {X: 10, Y: 20})
    drained(store)

    def wait_in_vain(tx: Any) -> None:
        put(tx, X, 11)
        held.hold()
        crossing.append(store.ask(PutMany({Y: record_of(Y, 21)})))  # has its group until it is durable
        held.wait_for_commit()
        since = monotonic()
        with pytest.raises(ConflictAborted, match="lease"):
            tx.get(Y)
        assert LEASE_S / 2 <= monotonic() - since <= LEASE_S + SLACK_S

    crossing: list[Any] = []
    with pytest.raises(ZeroDivisionError):
        leave_with(ZeroDivisionError, store, wait_in_vain)
    held.let_go()
    crossing[0].get()
    assert (store.get(X).points, store.get(Y).points) == (10, 21)
    assert_free(store)


def test_there_is_a_limit_to_transactions_that_hold_locks(open_store: Opener) -> None:
    store = open_store(MEMORY, shards=SHARDS, transactions_max=2)
    fill(store, {X: 10, Y: 20, Z: 30})
    with store.transaction() as one:
        one.get(X)
        with store.transaction() as two:
            two.get(Y)
            with pytest.raises(Overloaded):
                store.transact(lambda tx: tx.get(Z))
        assert store.transact(lambda tx: tx.get(Z)).trophies == ["30"]
    assert_free(store)


# -- the end of a lease and a commit meet in the committer


def over(tx: Any) -> bool:
    """Whether the end of its lease has taken effect."""
    return tx._running.over


def test_a_commit_that_is_on_its_way_when_the_lease_ends_is_made(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=SHARDS, lease_s=LEASE_S)
    fill(store, {X: 10, Y: 20})
    tx = store.transaction()
    put(tx, X, 11)
    held.hold()
    with ThreadPoolExecutor(1) as pool:
        committing = pool.submit(tx.__exit__, None, None, None)
        held.wait_for_commit()
        until(tx._running.is_ending)
        held.let_go()
        committing.result(PATIENCE_S)
    assert store.get(X).points == 11
    assert_free(store)


def test_a_commit_that_gets_to_the_committer_after_the_lease_is_refused(leased: Store) -> None:
    tx = leased.transaction()
    put(tx, X, 11)
    put(tx, Y, 21)
    with ThreadPoolExecutor(1) as pool:
        with HeldShard(tx._running.home):
            committing = pool.submit(tx.__exit__, None, None, None)
            until(lambda: over(tx))
        with pytest.raises(ConflictAborted, match="lease"):
            committing.result(PATIENCE_S)
    assert (leased.get(X).points, leased.get(Y).points) == (10, 20)
    assert_free(leased)


# -- closing the store


def test_closing_the_store_ends_open_transactions_and_those_who_wait_for_them(open_store: Opener) -> None:
    store = open_store(shards=SHARDS)
    fill(store, {X: 10, Y: 20})
    with ThreadPoolExecutor(1) as pool:

        def close_inside() -> None:
            with store.transaction() as tx:
                put(tx, X, 100)
                waiter = pool.submit(store.transact, lambda later: put(later, X, 50), timeout=PATIENCE_S)
                until(lambda: waiting(store) == 1)
                assert seconds_of(store.close) < 5
                with pytest.raises(StoreClosed):
                    waiter.result(PATIENCE_S)
                with pytest.raises(StoreClosed):
                    tx.get(X)

        with pytest.raises(StoreClosed):
            close_inside()
    with pytest.raises(StoreClosed), store.transaction() as tx:
        tx.get(X)
    assert open_store().get(X).points == 10


def test_a_commit_on_its_way_is_finished_when_the_store_closes(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held)
    fill(store, {X: 10})
    held.hold()
    with ThreadPoolExecutor(2) as pool:
        committing = pool.submit(store.transact, lambda tx: put(tx, X, 11), timeout=PATIENCE_S)
        held.wait_for_commit()
        closing = pool.submit(store.close)
        until(lambda: store.runtime._closed is not None)
        held.let_go()
        committing.result(PATIENCE_S)
        closing.result(PATIENCE_S)
    assert X in held.inner._records


def test_a_store_closes_while_many_threads_are_in_transactions(open_store: Opener) -> None:
    store = open_store(shards=SHARDS)
    fill(store, {X: 0, Y: 0})
    begun = threading.Barrier(7)
    acknowledged: list[int] = []

    def run(number: int) -> None:
        begun.wait(PATIENCE_S)
        first, second = (X, Y) if number % 2 else (Y, X)
        while True:
            try:
                store.transact(lambda tx: [put(tx, key, tx.get(key).points + 1) for key in (first, second)])
            except StoreClosed:
                return
            acknowledged.append(number)

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(run, number) for number in range(6)]
        begun.wait(PATIENCE_S)
        until(lambda: len(acknowledged) > 50)
        store.close()
        for future in done:
            future.result(PATIENCE_S)
    again = open_store()
    assert again.get(X).points == again.get(Y).points == len(acknowledged)
