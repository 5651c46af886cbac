"""`transact`: again after a conflict, with pauses, until it is done or the time is over; anything else at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cells import SHARDS, X, Y, fill, post_in, put
from engines import PATIENCE_S, HeldEngine, drained, settled
from opening import Opener
from stage import waiting
from waiting import until

from pictact_actors import (
    AsyncStore,
    CommitFailed,
    ConflictAborted,
    DeadlockAborted,
    InvalidValue,
    NotFound,
    OutcomeUnknown,
    RequestTimeout,
    ShardRestarted,
    StorageFull,
    Store,
    StoreFailed,
)
from pictact_actors.clock import monotonic
from pictact_actors.runtime.transaction import Transaction


class Work:
    """Adds one to a cell, and fails the first times."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.attempts = 0

    def __call__(self, tx: Any) -> int:
        self.attempts += 1
        points = tx.get(X).points + 1
        put(tx, X, points)
        if self.errors:
            raise self.errors.pop(0)
        return points


def test_it_returns_what_the_function_returns(filled: Store) -> None:
    assert filled.transact(Work()) == 11
    assert filled.transact(lambda _tx: None) is None
    assert filled.get(X).points == 11


def test_it_tries_again_after_every_kind_of_conflict(filled: Store) -> None:
    work = Work(ConflictAborted("one"), DeadlockAborted("two"), ShardRestarted(0, "three"))
    assert filled.transact(work) == 11
    assert work.attempts == 4
    assert filled.get(X).points == 11


@pytest.mark.parametrize(
    "error",
    [NotFound("match:none"), InvalidValue("a", 1, "b"), RequestTimeout(1.0), ZeroDivisionError(), KeyboardInterrupt()],
)
def test_any_other_error_comes_out_at_once_and_nothing_is_written(filled: Store, error: BaseException) -> None:
    work = Work(error)
    with pytest.raises(type(error)):
        filled.transact(work)
    assert work.attempts == 1
    assert filled.get(X).points == 10
    assert filled.award_points(post_in(0), "ann", 1).points == 11


def test_it_gives_up_at_its_deadline_with_the_last_conflict(filled: Store) -> None:
    work = Work(*(ConflictAborted(f"attempt {number}") for number in range(100_000)))
    since = monotonic()
    with pytest.raises(ConflictAborted, match="attempt"):
        filled.transact(work, timeout=0.3)
    assert monotonic() - since < 2
    assert 2 <= work.attempts <= 200, "it does not pause"


def test_its_pauses_grow_and_have_a_limit(filled: Store) -> None:
    before = sum(shard.retries for shard in filled.statistics().shards)
    work = Work(*(ConflictAborted("again") for _ in range(12)))
    since = monotonic()
    filled.transact(work, timeout=PATIENCE_S)
    assert monotonic() - since < 12 * 0.5
    assert sum(shard.retries for shard in filled.statistics().shards) == before + 12


def test_a_lock_that_is_not_given_in_time_is_a_conflict(filled: Store) -> None:
    with filled.transaction() as tx:
        tx.get(X)
        since = monotonic()
        with pytest.raises(ConflictAborted):
            filled.transact(Work(), timeout=0.1)
        assert monotonic() - since < 2
        until(lambda: waiting(filled) == 0)
    assert filled.transact(Work()) == 11


def test_a_deadline_of_nothing_is_over_and_a_bad_one_is_refused(filled: Store) -> None:
    with filled.transaction() as tx:
        tx.get(X)
        with pytest.raises(ConflictAborted):
            filled.transact(Work(), timeout=0)
    for bad in (-1, float("nan"), float("inf"), "soon"):
        with pytest.raises(InvalidValue, match="timeout"):
            filled.transact(Work(), timeout=bad)
        with pytest.raises(InvalidValue, match="timeout"):
            filled.transaction(timeout=bad)


def test_it_says_that_the_function_may_run_more_than_once() -> None:
    for face in (Store, AsyncStore):
        assert "more than once" in (face.transact.__doc__ or "")


def test_many_threads_that_lock_in_any_order_all_get_done(filled: Store) -> None:
    def run(number: int) -> None:
        first, second = (X, Y) if number % 2 else (Y, X)

        def add(tx: Any) -> None:
            put(tx, first, tx.get(first).points + 1)
            put(tx, second, tx.get(second).points + 1)

        for _ in range(20):
            filled.transact(add, timeout=PATIENCE_S)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    assert (filled.get(X).points, filled.get(Y).points) == (170, 180)
    shards = filled.statistics().shards
    assert sum(shard.retries for shard in shards) >= sum(shard.deadlocks for shard in shards)


# -- commits that do not come back


@pytest.fixture
def stalled(open_store: Opener, held: HeldEngine) -> Store:
    """Two cells on an engine that can be held."""
    store: Store = open_store(engine=held, shards=SHARDS)
    fill(store, {X: 10, Y: 20})
    drained(store)
    return store


def test_a_commit_that_is_not_answered_in_time_is_unknown_and_not_repeated(stalled: Store, held: HeldEngine) -> None:
    held.hold()
    work = Work()
    with pytest.raises(OutcomeUnknown):
        stalled.transact(work, timeout=0.1)
    assert work.attempts == 1
    held.let_go()
    drained(stalled)
    assert stalled.transact(Work(), timeout=PATIENCE_S) in (11, 12)
    assert stalled.get(X).points in (11, 12)


def test_a_block_whose_commit_stalls_says_so_when_it_is_left(stalled: Store, held: HeldEngine) -> None:
    def add() -> None:
        with stalled.transaction(timeout=0.1) as tx:
            held.hold()
            put(tx, X, 11)
            put(tx, Y, 21)

    with pytest.raises(RequestTimeout):
        add()
    held.let_go()
    drained(stalled)
    assert (stalled.get(X).points, stalled.get(Y).points) in ((10, 20), (11, 21))


def test_reads_wait_for_what_they_saw_to_be_durable(stalled: Store, held: HeldEngine) -> None:
    """What a transaction reads may not be taken back by a crash once it has been answered."""
    held.hold()
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(stalled.award_points, post_in(0), "ann", 1)
        held.wait_for_commit()
        reading = pool.submit(stalled.transact, lambda tx: tx.get(X).points, timeout=PATIENCE_S)
        settled(stalled)
        assert not reading.done()
        held.let_go()
        assert writing.result(PATIENCE_S).points == 11
        assert reading.result(PATIENCE_S) == 11


@pytest.mark.parametrize("failure", [StorageFull("no room"), CommitFailed("broken")], ids=["full", "broken"])
def test_a_commit_that_fails_is_reported_as_what_it_is(
    stalled: Store, held: HeldEngine, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise failure

    work = Work()
    with monkeypatch.context() as broken:
        broken.setattr(held.inner, "commit", fail)
        with pytest.raises(type(failure)):
            stalled.transact(work)
    assert work.attempts == 1
    assert stalled.get(X).points == 10
    if isinstance(failure, StorageFull):
        assert stalled.transact(Work()) == 11
    else:
        with pytest.raises(StoreFailed):
            stalled.transact(Work())


def test_another_hosts_write_between_reading_and_committing_is_a_conflict(stalled: Store, held: HeldEngine) -> None:
    work = Work()
    held.inner.conflict_next(f"match:{post_in(0)}")
    assert stalled.transact(work, timeout=PATIENCE_S) == 11
    assert work.attempts == 2
    assert stalled.get(X).points == 11


def test_a_transaction_that_gives_up_waiting_leaves_the_queue(filled: Store) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        tx.get(X)
        entered.set()
        assert leave.wait(PATIENCE_S)

    with ThreadPoolExecutor(3) as pool:
        holding = pool.submit(filled.transact, hold, timeout=PATIENCE_S)
        assert entered.wait(PATIENCE_S)
        hasty = pool.submit(filled.transact, Work(), timeout=0.05)
        patient = pool.submit(filled.transact, Work(), timeout=PATIENCE_S)
        with pytest.raises(ConflictAborted):
            hasty.result(PATIENCE_S)
        until(lambda: waiting(filled) == 1)
        leave.set()
        holding.result(PATIENCE_S)
        assert patient.result(PATIENCE_S) == 11
