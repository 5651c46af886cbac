"""A transaction as its user sees it: its own writes inside, nothing of them outside, and then all or none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cells import SHARDS, X, Y, Z, fill, leave_with, post_in, put, user_in
from games import begin, begin_round, points_of
from opening import MEMORY, Opener
from waiting import PATIENCE_S

from pictact_actors import (
    ConflictAborted,
    InvalidKey,
    InvalidValue,
    Match,
    NotFound,
    RequestTimeout,
    Score,
    Store,
    StoreError,
)
from pictact_actors.model.keys import is_public

NEW = f"score:{post_in(0)}:zoe"


class LeftError(Exception):
    """An exception of the caller's."""


# -- what it sees


def test_it_reads_what_it_wrote(filled: Store) -> None:
    with filled.transaction() as tx:
        put(tx, X, 11)
        put(tx, NEW, 1)
        assert tx.get(X).points == 11
        assert tx.get(NEW).points == 1
        assert {key: record.points for key, record in tx.get_many([X, Y, NEW, "match:none"]).items()} == {
            X: 11,
            Y: 20,
            NEW: 1,
        }
        put(tx, X, 12)
        assert [(key, record.points) for key, record in tx.scan(f"score:{post_in(0)}:")] == [(X, 12), (NEW, 1)]


def test_it_does_not_see_what_it_deleted(filled: Store) -> None:
    with filled.transaction() as tx:
        tx.delete(X)
        tx.delete("match:none")
        with pytest.raises(NotFound):
            tx.get(X)
        assert set(tx.get_many([X, Y])) == {Y}
        assert [key for key, _ in tx.scan("score:")] == [Y]
        put(tx, X, 5)
        assert tx.get(X).points == 5
        tx.delete(Y)
    assert [key for key, _ in filled.scan("score:")] == [X]


def test_a_scan_shows_records_in_key_order_and_the_whole_store_if_asked(filled: Store) -> None:
    with filled.transaction() as tx:
        put(tx, NEW, 1)
        tx.delete(Y)
        tx.award_points(post_in(1), "ann", 3, request_id="r1")
        keys = [key for key, _ in tx.scan("")]
    assert keys == sorted(keys)
    assert keys == [key for key, _ in filled.scan("")]
    assert {X, NEW, Z} < set(keys)
    assert not {key for key in keys if key.startswith("request:")}


def test_records_have_their_times_inside_as_they_have_outside(filled: Store) -> None:
    before = filled.get(X)
    with filled.transaction() as tx:
        put(tx, X, 11)
        put(tx, NEW, 1)
        inside_seen = tx.get_many([X, NEW])
    assert filled.get_many([X, NEW]) == inside_seen
    assert inside_seen[X].created_at == before.created_at
    assert inside_seen[X].updated_at >= before.updated_at
    assert inside_seen[NEW].created_at > 0
    assert inside_seen[NEW].reached_at > inside_seen[X].reached_at > before.reached_at


# -- what others see


def test_nothing_is_seen_outside_before_the_commit_and_everything_after_it(filled: Store) -> None:
    with filled.transaction() as tx:
        put(tx, X, 11)
        tx.delete(Y)
        tx.award_points(post_in(1), "cat", 7)
        assert filled.get(X).points == 10
        assert filled.get(Y).points == 20
        assert [line.user for line in filled.leaderboard(post_in(1))] == ["bob"]
    assert filled.get(X).points == 11
    assert [line.user for line in filled.leaderboard(post_in(1))] == ["cat"]


def test_everything_is_one_commit(filled: Store) -> None:
    seq = filled.statistics().seq
    with filled.transaction() as tx:
        for key in (X, Y, Z):
            put(tx, key, 1)
        tx.create_match("fresh", subreddit="pics", rounds_total=1, theme="sea", created_by="mod")
        tx.delete(Z)
    entry = list(filled.entries())[-1]
    assert filled.statistics().seq == seq + 1 == entry.seq
    assert {key for key in entry.changes if is_public(key)} == {X, Y, Z, "match:fresh"}


def test_what_was_committed_is_there_after_reopening(open_store: Opener) -> None:
    store = open_store()
    fill(store, {X: 10, Y: 20, Z: 30})
    with store.transaction() as tx:
        put(tx, X, 11)
        tx.delete(Y)
        tx.award_points(post_in(1), "cat", 7)
    left = dict(store.scan(""))
    store.close()
    again = open_store()
    assert dict(again.scan("")) == left
    assert points_of(again, post_in(1)) == {"cat": 7}


@pytest.mark.parametrize("error", [LeftError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_in_the_block_takes_everything_back(filled: Store, error: type[BaseException]) -> None:
    seq = filled.statistics().seq
    with pytest.raises(error):
        leave_with(error, filled, lambda tx: (put(tx, X, 11), tx.complete_match(post_in(1))))
    assert filled.statistics().seq == seq
    assert filled.get(X).points == 10
    with filled.transaction(timeout=PATIENCE_S) as tx:  # the locks are free
        assert len(list(tx.scan(""))) == 5


def test_an_empty_block_and_one_that_only_reads_write_nothing(filled: Store) -> None:
    seq = filled.statistics().seq
    with filled.transaction():
        pass
    with filled.transaction() as tx:
        assert tx.get(X).points == 10
        assert len(list(tx.scan("score:"))) == 2
    assert filled.statistics().seq == seq
    assert len(filled.runtime.transactions) == 0


def test_a_transaction_that_spans_every_shard_and_one_that_is_large(filled: Store) -> None:
    begin(filled, "big")
    with filled.transaction(timeout=PATIENCE_S) as tx:
        for number in range(3_000):
            tx.award_points("big", f"u{number}", number)
        for shard in range(SHARDS):
            put(tx, f"lifetime:{user_in(shard, 3)}", 1)
        assert sum(1 for _ in tx.scan("score:big:")) == 3_000
    assert len(points_of(filled, "big")) == 3_000


def test_more_than_fits_in_one_step_is_refused_and_leaves_nothing(open_store: Opener) -> None:
    store = open_store(MEMORY, commit_bytes_max=4_096)
    begin(store)

    def award_many(tx: Any) -> None:
        for number in range(100):
            tx.award_points("t3_a", f"u{number}", 1)

    with pytest.raises(InvalidValue, match="commit_bytes_max"):
        store.transact(award_many)
    assert points_of(store) == {}
    store.award_points("t3_a", "ann", 1, timeout=1)  # at once: the locks are free
    assert points_of(store) == {"ann": 1}


# -- bad input: refused, and the transaction goes on

BAD: list[tuple[type[StoreError], Callable[[Any], Any]]] = [
    (InvalidKey, lambda tx: tx.get("nonsense")),
    (InvalidKey, lambda tx: tx.get(None)),
    (InvalidKey, lambda tx: tx.get("request:match:t3_a:r1")),
    (InvalidKey, lambda tx: tx.get_many([X, "a:b:c:d"])),
    (InvalidKey, lambda tx: tx.put("request:match:t3_a:r1", Match("t3_a"))),
    (InvalidKey, lambda tx: tx.put("nonsense", Match("t3_a"))),
    (InvalidKey, lambda tx: tx.put(X, Match("t3_a"))),
    (InvalidKey, lambda tx: tx.put(X, Score(post_in(0), "bob", 1))),
    (InvalidValue, lambda tx: tx.put(X, replace(Score(post_in(0), "ann"), points=float("nan")))),
    (InvalidValue, lambda tx: tx.put(X, {"points": 3})),
    (InvalidKey, lambda tx: tx.delete("request:match:t3_a:r1")),
    (InvalidKey, lambda tx: tx.delete(7)),
    (InvalidValue, lambda tx: list(tx.scan(7))),
    (InvalidKey, lambda tx: tx.award_points("a:b", "ann", 1)),
    (InvalidValue, lambda tx: tx.award_points(post_in(0), "ann", "one")),
    (InvalidValue, lambda tx: tx.update_match(post_in(0), colour="red")),
    (NotFound, lambda tx: tx.get("match:none")),
    (NotFound, lambda tx: tx.award_points("none", "ann", 1)),
    (NotFound, lambda tx: tx.complete_match("none")),
    (StoreError, lambda tx: begin_round(tx, 1, post_in(0)) and begin_round(tx, 1, post_in(0))),
]


@pytest.mark.parametrize(("error", "act"), BAD)
def test_a_refused_operation_leaves_the_transaction_as_it_was(
    filled: Store, error: type[StoreError], act: Callable[[Any], Any]
) -> None:
    with filled.transaction() as tx:
        put(tx, X, 11)
        with pytest.raises(error):
            act(tx)
        assert tx.get(X).points == 11
        tx.award_points(post_in(1), "bob", 1)
    assert (filled.get(X).points, filled.get(Y).points) == (11, 21)


def test_a_command_that_is_refused_halfway_writes_nothing_of_itself(filled: Store) -> None:
    post = post_in(0)
    with filled.transaction() as tx:
        begin_round(tx, 1, post)
        tx.award_points(post, "ann", 2**53 - 11)
        with pytest.raises(InvalidValue):
            tx.close_round(post, 1, winner_user="ann", points=100)
        assert not tx.get(f"round:{post}:1").closed
        with pytest.raises(InvalidValue):
            tx.complete_match(post, trophies={"ann": [f"t{n}" for n in range(100_000)]})
        assert tx.get(f"match:{post}").status == "active"
    assert filled.match(post).status == "active"
    assert not filled.round(post, 1).closed
    with pytest.raises(NotFound):
        filled.lifetime("ann")


# -- who uses it, and when


def test_after_its_end_it_refuses_everything(filled: Store) -> None:
    with filled.transaction() as committed:
        put(committed, X, 11)
    rolled_back = filled.transaction()
    with contextlib.suppress(LeftError), rolled_back:
        put(rolled_back, X, 12)
        raise LeftError
    for ended in (committed, rolled_back):
        for act in (
            lambda tx: tx.get(X),
            lambda tx: tx.get_many([X]),
            lambda tx: put(tx, X, 1),
            lambda tx: tx.delete(X),
            lambda tx: list(tx.scan("score:")),
            lambda tx: tx.award_points(post_in(0), "ann", 1),
        ):
            with pytest.raises(StoreError, match="ended"):
                act(ended)
    assert filled.get(X).points == 11


def test_a_scan_that_is_left_over_from_an_ended_transaction_ends_too(filled: Store) -> None:
    with filled.transaction() as tx:
        pairs = tx.scan("")
        next(pairs)
    with pytest.raises(StoreError, match="ended"):
        list(pairs)


def test_two_transactions_of_one_thread_are_two_transactions(filled: Store) -> None:
    with filled.transaction() as outer:
        put(outer, X, 11)
        with filled.transaction() as inner:
            put(inner, Y, 21)
        with pytest.raises(ConflictAborted, match=f"match:{post_in(0)}"), filled.transaction(timeout=0.02) as inner:
            inner.get(X)
        put(outer, Z, 31)
    assert [filled.get(X).points, filled.get(Y).points, filled.get(Z).trophies] == [11, 21, ["31"]]


def test_a_command_on_what_its_own_thread_has_locked_times_out_and_never_happens(filled: Store) -> None:
    with filled.transaction() as tx:
        tx.get(X)
        with pytest.raises(RequestTimeout):
            filled.award_points(post_in(0), "ann", 5, timeout=0.02)
    filled.award_points(post_in(0), "ann", 1)
    assert filled.get(X).points == 11


def test_it_may_go_from_thread_to_thread_one_at_a_time(filled: Store) -> None:
    with ThreadPoolExecutor(2) as pool, filled.transaction() as tx:
        assert pool.submit(tx.get, X).result(PATIENCE_S).points == 10
        pool.submit(put, tx, Y, 21).result(PATIENCE_S)
        assert tx.get(Y).points == 21
    assert filled.get(Y).points == 21
