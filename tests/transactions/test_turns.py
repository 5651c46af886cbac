"""Transactions and commands side by side: each waits for its turn, in order, and nobody sees a half."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cells import X, Y, Z, leave_with, post_in, put, user_in
from engines import inside
from games import begin, play
from stage import waiting
from waiting import PATIENCE_S, until

from pictact_actors import AddTrophy, AwardPoints, Lifetime, Store


def waiting_calls(store: Store) -> int:
    """How many ordinary commands wait for a locked group."""
    return sum(len(inside(link, lambda shard: shard.locks.waiting_calls())) for link in store.runtime.links)


def test_commands_on_a_locked_group_wait_in_order_and_others_are_served(filled: Store) -> None:
    post, other = post_in(0), post_in(0, 1)
    begin(filled, other)
    with filled.transaction() as tx:
        put(tx, X, 100)
        replies = filled.submit([AwardPoints(post, "ann", 1) for _ in range(5)])
        until(lambda: waiting_calls(filled) == 5)
        assert filled.award_points(other, "ann", 1).points == 1
        assert filled.get(X).points == 10
        assert not any(reply.done() for reply in replies)
    assert [reply.get().points for reply in replies] == [101, 102, 103, 104, 105]


def test_a_transaction_and_commands_are_served_first_come_first_served(filled: Store) -> None:
    post = post_in(0)

    def read_points() -> Any:
        with filled.transaction() as later:
            return later.get(X).points

    with ThreadPoolExecutor(1) as pool:
        with filled.transaction() as tx:
            tx.get(X)
            before = filled.ask(AwardPoints(post, "ann", 1))
            until(lambda: waiting_calls(filled) == 1)
            reading = pool.submit(read_points)
            until(lambda: waiting(filled) == 1)
            after = filled.ask(AwardPoints(post, "ann", 1))
            until(lambda: waiting_calls(filled) == 2)
            tx.award_points(post, "ann", 100)
        assert reading.result(PATIENCE_S) == 111
        assert (before.get().points, after.get().points) == (111, 112)


@pytest.mark.parametrize("ends", ["commit", "exception"])
def test_whoever_waited_goes_on_when_the_transaction_ends(filled: Store, ends: str) -> None:
    replies = []

    def hold_up(tx: Any) -> None:
        put(tx, Z, 31)
        replies.append(filled.ask(AddTrophy(user_in(2), "cup")))
        until(lambda: waiting_calls(filled) == 1)

    if ends == "commit":
        filled.transact(hold_up)
    else:
        with pytest.raises(ZeroDivisionError):
            leave_with(ZeroDivisionError, filled, hold_up)
    assert replies[0].get().trophies == (["31", "cup"] if ends == "commit" else ["30", "cup"])


def test_what_many_threads_add_up_in_transactions_and_commands_is_all_there(filled: Store) -> None:
    post, threads, rounds = post_in(0), 6, 20
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        start.wait(PATIENCE_S)
        for _ in range(rounds):
            if number % 2:
                filled.award_points(post, "ann", 1)
            else:
                filled.transact(lambda tx: put(tx, X, tx.get(X).points + 1), timeout=PATIENCE_S)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, number) for number in range(threads)]:
            done.result(PATIENCE_S)
    assert filled.get(X).points == 10 + threads * rounds


def test_commands_and_scans_find_a_match_before_or_after_its_transaction(filled: Store) -> None:
    """Money goes back and forth between two posts, and its sum never changes for anybody."""
    stop = threading.Event()

    def sums() -> Iterator[int]:
        while not stop.is_set():
            with filled.transaction() as tx:
                yield sum(record.points for _, record in tx.scan("score:"))
            yield sum(record.points for record in filled.get_many([X, Y]).values())

    with ThreadPoolExecutor(2) as pool:
        seen = [pool.submit(set, sums()) for _ in range(2)]
        for number in range(60):
            with filled.transaction() as tx:
                put(tx, X, 10 - number)
                put(tx, Y, 20 + number)
        stop.set()
        assert [found.result(PATIENCE_S) for found in seen] == [{30}, {30}]


def test_locks_are_free_and_nobody_is_counted_when_all_is_done(filled: Store) -> None:
    for _ in range(20):
        filled.transact(lambda tx: (put(tx, X, 1), put(tx, Z, 1)))
    play(filled, {"ann": 1}, post_in(0))
    until(lambda: not any(len(inside(link, lambda shard: shard.locks)) for link in filled.runtime.links))
    assert len(filled.runtime.transactions) == 0
    assert isinstance(filled.get(Z), Lifetime)
