"""A post that is played again after its match was due: nothing of the old match is left, whoever came first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from expiring import NOW, QUIET, WEEK_S, lasting, play_match, removals, shown, step, stored
from games import POST, begin, creation, points_of
from opening import MEMORY, Opener

from pictact_actors import (
    AlreadyExists,
    AwardPoints,
    CompleteMatch,
    ConflictAborted,
    CreateMatch,
    Match,
    NotFound,
    Round,
    Score,
    Store,
)
from pictact_actors.model.records import Record
from pictact_actors.model.removal import goes_with
from pictact_actors.testing import ManualClock

AGAIN: dict[str, Any] = {"subreddit": "art", "rounds_total": 1, "theme": "again", "created_by": "mod"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, open_store: Opener, clock: ManualClock) -> Store:
    """A store of each kind with a match that is due, and that nobody has removed."""
    opened: Store = open_store(MEMORY if request.param == "memory" else None, clock=clock, **QUIET)
    play_match(opened)
    opened.complete_match(POST, trophies={"ann": ["cup"]})
    clock.advance(WEEK_S)
    return opened


def _by_command(store: Store) -> None:
    store.create_match(POST, **AGAIN)


def _by_command_with_the_same_request_id(store: Store) -> None:
    store.create_match(POST, **AGAIN, request_id="created")


def _by_put_many(store: Store) -> None:
    store.put_many({f"match:{POST}": Match(POST, subreddit="art", theme="again"), "match:t3_x": Match("t3_x")})


def _by_put_many_with_the_same_request_id(store: Store) -> None:
    store.put_many({f"match:{POST}": Match(POST, subreddit="art", theme="again")}, request_id="created")


def _by_update(store: Store) -> None:
    def made(before: Record | None) -> Record:
        assert before is None
        return Match(POST, subreddit="art", theme="again")

    store.update(f"match:{POST}", made)


def _in_a_transaction(store: Store) -> None:
    with store.transaction() as tx:
        tx.create_match(POST, **AGAIN)
        tx.add_trophy("zoe", "witness")


def _in_a_transaction_with_the_same_request_id(store: Store) -> None:
    store.transact(lambda tx: tx.create_match(POST, **AGAIN, request_id="created"))


def _put_in_a_transaction(store: Store) -> None:
    with store.transaction() as tx:
        tx.delete(f"score:{POST}:ann")
        tx.put(f"match:{POST}", Match(POST, subreddit="art", theme="again"))


WAYS = {
    way.__name__.strip("_").replace("_", " "): way
    for way in (
        _by_command,
        _by_command_with_the_same_request_id,
        _by_put_many,
        _by_put_many_with_the_same_request_id,
        _by_update,
        _in_a_transaction,
        _in_a_transaction_with_the_same_request_id,
        _put_in_a_transaction,
    )
}
each_way = pytest.mark.parametrize("create", WAYS.values(), ids=list(WAYS))
each_progress = pytest.mark.parametrize("steps", [0, 1, 3, 50], ids="{} steps".format)
Creating = Callable[[Store], None]


def of_match(store: Store) -> set[str]:
    return {key for key in stored(store) if goes_with((POST,), key) and not key.startswith("request:")}


@each_way
@each_progress
def test_nothing_of_the_old_match_is_seen_in_the_new_one(store: Store, create: Creating, steps: int) -> None:
    kept = lasting(store)
    for _ in range(steps):
        step(store, 1)
    create(store)
    assert of_match(store) == {f"match:{POST}"}
    assert (store.match(POST).theme, store.match(POST).subreddit) == ("again", "art")
    assert store.match(POST).created_at == NOW + WEEK_S
    assert (store.rounds(POST), store.leaderboard(POST)) == ([], [])
    assert store.award_points(POST, "ann", 1, request_id="one more").points == 1
    assert points_of(store) == {"ann": 1}
    (audit,) = removals(store)
    assert (audit.reason, audit.done, audit.removed["score"], audit.removed["match"]) == ("completed", True, 3, 1)
    assert {key: record for key, record in lasting(store).items() if key in kept} == kept


@each_way
def test_the_janitor_leaves_the_new_match_alone(store: Store, clock: ManualClock, create: Creating) -> None:
    create(store)
    assert store.cleanup().matches == 0
    clock.advance(WEEK_S)
    store.cleanup()
    assert store.match(POST).theme == "again"


@each_way
def test_playing_again_replaces_the_entry_in_the_history(store: Store, clock: ManualClock, create: Creating) -> None:
    create(store)
    clock.advance(60)
    store.award_points(POST, "ann", 50)
    store.award_points(POST, "dan", 1)
    store.complete_match(POST)
    ann = store.player("ann")
    assert (ann.lifetime.matches_played, ann.lifetime.total_points, ann.lifetime.total_wins) == (1, 50, 0)
    assert [(at.points, at.theme, at.completed_at) for at in ann.matches] == [(50, "again", clock.now())]
    assert store.lifetime("bob").total_points == 7  # he did not play again
    assert store.lifetime("dan").matches_played == 1
    assert store.lifetime("ann").trophies == ["cup"]


def test_a_new_match_is_there_at_once_for_what_was_sent_behind_it(store: Store) -> None:
    creating, twice, first, second, completing = store.submit(
        [
            CreateMatch(POST, **AGAIN),
            CreateMatch(POST, **AGAIN),
            AwardPoints(POST, "ann", 1),
            AwardPoints(POST, "ann", 1),
            CompleteMatch(POST),
        ]
    )
    assert creating.get().theme == "again"
    with pytest.raises(AlreadyExists):
        twice.get()
    assert (first.get().points, second.get().points) == (1, 2)
    assert [(at.user, at.points) for at in completing.get()] == [("ann", 2)]
    assert store.lifetime("ann").total_points == 2


def test_a_new_match_sent_behind_a_removal_finds_room(store: Store) -> None:
    from_janitor = [step(store, 1).records for _ in range(2)]
    created = store.submit([creation(POST, theme="again")])[0].get()
    assert (from_janitor, created.theme) == ([1, 1], "again")
    assert store.cleanup().matches == 0


def _put_score(store: Store) -> None:
    store.put_many({f"score:{POST}:eve": Score(POST, "eve", 1), "match:t3_x": Match("t3_x")}, request_id="new")
    assert store.match("t3_x").status == "active"


def _update_round(store: Store) -> None:
    assert store.update(f"round:{POST}:1", lambda before: before or Round(POST, 1, "new")).key == f"round:{POST}:1"


def _put_score_in_a_transaction(store: Store) -> None:
    with store.transaction() as tx:
        tx.put(f"score:{POST}:eve", Score(POST, "eve", 1))
        tx.add_trophy("eve", "cup")


def _delete_match(store: Store) -> None:
    with store.transaction() as tx:
        tx.delete(f"match:{POST}")


def _delete_score(store: Store) -> None:
    with store.transaction() as tx:
        tx.delete(f"score:{POST}:ann")


@pytest.mark.parametrize(
    "write", [_put_score, _update_round, _put_score_in_a_transaction, _delete_match, _delete_score]
)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_what_is_written_to_a_match_that_is_gone_is_gone_with_it(store: Store, write: Creating, steps: int) -> None:
    for _ in range(steps):
        step(store, 1)
    before = of_match(store)
    write(store)
    assert shown(store) == []
    assert of_match(store) == before
    store.cleanup()
    assert of_match(store) == set()
    (audit,) = removals(store)
    assert audit.removed["score"] == 3


def test_a_match_that_expires_while_a_transaction_holds_it_is_not_written_over(
    open_store: Opener, clock: ManualClock
) -> None:
    store: Store = open_store(MEMORY, clock=clock, **QUIET)
    play_match(store)
    store.complete_match(POST)
    clock.advance(WEEK_S - 1)
    tx = store.transaction()
    tx.put(f"score:{POST}:ann", Score(POST, "ann", tx.get(f"score:{POST}:ann").points + 1))
    clock.advance(1)
    with pytest.raises(ConflictAborted, match="expired"):
        tx.__exit__(None, None, None)
    assert shown(store) == []
    assert store.cleanup().matches == 1
    with pytest.raises(NotFound):
        store.transact(lambda tx: tx.get(f"score:{POST}:ann"))


def test_a_cancelled_match_makes_room_as_well(open_store: Opener, clock: ManualClock) -> None:
    store: Store = open_store(MEMORY, clock=clock, **QUIET)
    play_match(store)
    store.cancel_match(POST)
    clock.advance(WEEK_S - 1)
    with pytest.raises(AlreadyExists):
        begin(store)
    clock.advance(1)
    begin(store)
    assert of_match(store) == {f"match:{POST}"}
    assert [(audit.reason, audit.due_at) for audit in removals(store)] == [("cancelled", NOW + WEEK_S)]


def test_a_post_can_be_played_again_and_again(store: Store, clock: ManualClock) -> None:
    for turn in range(5):
        if turn % 2:
            store.cleanup()
        begin(store)
        store.award_points(POST, "ann", turn)
        store.complete_match(POST)
        clock.advance(WEEK_S + 1)
    store.cleanup()
    assert store.player("ann").lifetime.matches_played == 1
    assert store.lifetime("ann").total_points == 4
    assert len(removals(store)) == 6
    assert all(audit.done for audit in removals(store))
