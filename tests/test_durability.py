"""Nobody sees, and nothing is answered on, what a crash could still take back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from engines import HeldEngine, drained, settled
from games import begin, creation, play, points_of
from opening import Opener

from pictact_actors import (
    AlreadyExists,
    AwardPoints,
    CommitFailed,
    CompleteMatch,
    NotFound,
    StorageFull,
    Store,
    StoreError,
)
from pictact_actors.runtime.reply import Reply


@pytest.fixture
def game(open_store: Opener, held: HeldEngine) -> Store:
    """A match with one player, on an engine that holds the next commit."""
    store: Store = open_store(engine=held)
    begin(store)
    play(store, {"ann": 1})
    store.leaderboard("t3_a")
    held.hold()
    return store


READS: dict[str, Callable[[Store], Any]] = {
    "score": lambda store: store.score("t3_a", "ann").points,
    "get": lambda store: store.get("score:t3_a:ann").points,
    "get_many": lambda store: store.get_many(["score:t3_a:ann"])["score:t3_a:ann"].points,
    "scan": points_of,
    "leaderboard": lambda store: store.leaderboard("t3_a"),
    "standing": lambda store: store.standing("t3_a", "ann"),
    "around": lambda store: store.around("t3_a", "ann"),
    "entries": lambda store: len(list(store.entries())),
    "statistics": lambda store: store.statistics().seq,
}


@pytest.mark.parametrize("read", READS)
def test_a_write_is_seen_when_it_is_durable_and_not_before(game: Store, held: HeldEngine, read: str) -> None:
    before = READS[read](game)
    reply = game.ask(AwardPoints("t3_a", "ann", 1))
    held.wait_for_commit()
    settled(game)
    assert READS[read](game) == before
    assert not reply.done()
    held.let_go()
    reply.get()
    assert READS[read](game) != before


def test_a_completed_match_is_seen_when_it_is_durable_and_not_before(game: Store, held: HeldEngine) -> None:
    completing = game.ask(CompleteMatch("t3_a"))
    held.wait_for_commit()
    settled(game)
    assert game.match("t3_a").status == "active"
    with pytest.raises(NotFound):
        game.player("ann")
    assert game.lifetime_leaderboard() == []
    held.let_go()
    completing.get()
    assert game.match("t3_a").status == "completed"
    assert len(game.player("ann").matches) == len(game.lifetime_leaderboard()) == 1


def relying_on_what_is_not_durable(store: Store, held: HeldEngine) -> list[Reply[Any]]:
    """A creation that waits for its sync, and a second one that is turned down because of it."""
    replies = [store.ask(creation("t3_b"))]
    held.wait_for_commit()
    replies += [store.ask(creation("t3_b")), store.ask(AwardPoints("t3_b", "ann", 5)), store.ask(creation("t3_b"))]
    settled(store)
    return replies


def test_a_rejection_is_answered_when_what_it_relies_on_is_durable(game: Store, held: HeldEngine) -> None:
    created, *relying = relying_on_what_is_not_durable(game, held)
    assert not any(reply.done() for reply in relying)
    held.let_go()
    assert created.get().post_id == "t3_b"
    for reply in (relying[0], relying[2]):
        with pytest.raises(AlreadyExists):
            reply.get()
    assert relying[1].get().points == 5


def test_a_rejection_that_relied_on_what_was_refused_is_taken_back(game: Store, held: HeldEngine) -> None:
    created, again, award, third = relying_on_what_is_not_durable(game, held)
    held.inner.fail_next(StorageFull("full"))
    held.let_go()
    with pytest.raises(StorageFull):
        created.get()
    assert again.get().post_id == "t3_b"
    assert award.get().points == 5
    with pytest.raises(AlreadyExists):
        third.get()


def test_a_rejection_that_relied_on_what_failed_is_not_passed_off_as_certain(game: Store, held: HeldEngine) -> None:
    replies = relying_on_what_is_not_durable(game, held)
    held.inner.fail_next(CommitFailed("gone"))
    held.let_go()
    outcomes = []
    for reply in replies:
        with pytest.raises(StoreError) as caught:
            reply.get()
        outcomes.append(caught.typename)
    assert outcomes == ["CommitFailed", "StoreFailed", "StoreFailed", "StoreFailed"]
    with pytest.raises(NotFound):
        game.match("t3_b")


def test_a_repeated_request_is_answered_when_the_first_one_is_durable(game: Store, held: HeldEngine) -> None:
    first = game.ask(AwardPoints("t3_a", "ann", 1, request_id="r1"))
    held.wait_for_commit()
    again = game.ask(AwardPoints("t3_a", "ann", 1, request_id="r1"))
    settled(game)
    assert not again.done()
    held.let_go()
    assert first.get() == again.get()
    assert points_of(game) == {"ann": 2}


def test_what_relies_on_nothing_new_is_answered_while_the_disk_is_busy(game: Store, held: HeldEngine) -> None:
    other = next(p for p in "bcdefgh" if game.runtime.link_of(f"match:{p}") is not game.runtime.link_of("match:t3_a"))
    waiting = game.ask(AwardPoints("t3_a", "ann", 1))
    held.wait_for_commit()
    with pytest.raises(NotFound):
        game.award_points(other, "ann", 1)
    assert not waiting.done()


def test_what_is_acknowledged_is_in_the_journal(store: Store) -> None:
    begin(store)
    for points in range(1, 20):
        store.award_points("t3_a", "ann", 1)
        assert len(list(store.entries())) == points + 1
    drained(store)
