"""Every command inside a transaction does what it does alone, and is part of one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from calls import CALLS, one_by_one, outcome_of, records_of
from cells import SHARDS, leave_with, post_in, user_in
from games import begin, play
from opening import MEMORY, Opener
from waiting import PATIENCE_S

from pictact_actors import (
    AddTrophy,
    AwardPoints,
    CompleteMatch,
    InvalidValue,
    MatchClosed,
    NotFound,
    Store,
)
from pictact_actors.testing import ManualClock

PLAYERS = [user_in(shard) for shard in range(SHARDS)]


def in_one_transaction(store: Store) -> list[Any]:
    with store.transaction() as tx:
        return [outcome_of(tx, call) for call in CALLS]


def in_one_each(store: Store) -> list[Any]:
    return [store.transact(lambda tx, call=call: outcome_of(tx, call)) for call in CALLS]


def in_pairs_with_commands(store: Store) -> list[Any]:
    """Every second one in a transaction."""
    return [
        store.transact(lambda tx, call=call: outcome_of(tx, call)) if at % 2 else outcome_of(store, call)
        for at, call in enumerate(CALLS)
    ]


@pytest.mark.parametrize("act", [in_one_transaction, in_one_each, in_pairs_with_commands])
def test_commands_have_the_same_outcomes_inside_as_alone(open_store: Opener, act: Callable[[Store], list[Any]]) -> None:
    alone, other = (open_store(MEMORY, clock=ManualClock(1_000.0)) for _ in range(2))
    expected = one_by_one(alone)
    assert act(other) == expected
    assert records_of(other) == records_of(alone)
    for post in ("t3_a", "t3_b"):
        assert other.leaderboard(post) == alone.leaderboard(post)


# -- completing a match


@pytest.fixture
def played(sharded: Store) -> Store:
    """A match with players in every shard."""
    begin(sharded)
    play(sharded, {user: points for points, user in enumerate(PLAYERS)})
    return sharded


def test_a_match_is_completed_inside_with_players_in_every_shard(played: Store) -> None:
    with played.transaction() as tx:
        tx.award_points("t3_a", PLAYERS[0], 10)
        order = tx.complete_match("t3_a", trophies={PLAYERS[1]: ["cup"], "guest": ["hat"]})
        assert [line.user for line in order] == [PLAYERS[0], *reversed(PLAYERS[1:])]
        assert tx.get(f"lifetime:{PLAYERS[0]}").total_points == 10
        assert tx.get(f"history:{PLAYERS[0]}:t3_a").rank == 1
        with pytest.raises(MatchClosed):
            tx.award_points("t3_a", PLAYERS[0], 1)
        assert played.match("t3_a").status == "active"
        with pytest.raises(NotFound):
            played.player(PLAYERS[0])
    assert played.match("t3_a").status == "completed"
    assert played.lifetime_leaderboard("total_points")[0].user == PLAYERS[0]
    assert [played.player(user).matches[0].points for user in PLAYERS] == [10, 1, 2, 3]
    assert (played.lifetime("guest").trophies, played.lifetime(PLAYERS[1]).trophies) == (["hat"], ["cup"])
    assert played.complete_match("t3_a") == order


def test_a_match_is_played_from_beginning_to_end_in_one_step(sharded: Store) -> None:
    seq = sharded.statistics().seq
    with sharded.transaction() as tx:
        tx.create_match("t3_a", subreddit="pics", rounds_total=1, theme="sea", created_by="mod")
        tx.create_round("t3_a", 1, prompt_text="?", start_ts=0, end_ts=9)
        tx.close_round("t3_a", 1, winner_user=PLAYERS[0], points=5)
        tx.complete_match("t3_a")
    assert sharded.statistics().seq == seq + 1
    assert sharded.player(PLAYERS[0]).matches[0].wins == 1


def test_a_completion_that_is_taken_back_leaves_no_trace(played: Store) -> None:
    before = dict(played.scan(""))
    with pytest.raises(ZeroDivisionError):
        leave_with(
            ZeroDivisionError,
            played,
            lambda tx: tx.complete_match("t3_a", trophies={"guest": ["hat"]}, request_id="r1"),
        )
    assert dict(played.scan("")) == before
    assert len(played.complete_match("t3_a", request_id="r1")) == SHARDS


def test_two_matches_of_the_same_players_are_completed_in_one_step(played: Store) -> None:
    begin(played, "t3_b")
    play(played, dict.fromkeys(PLAYERS, 10), "t3_b")
    with played.transaction() as tx:
        tx.complete_match("t3_a")
        tx.complete_match("t3_b")
    assert [played.lifetime(user).total_points for user in PLAYERS] == [10, 11, 12, 13]
    assert [played.lifetime(user).matches_played for user in PLAYERS] == [2] * SHARDS


def test_completions_inside_and_outside_that_share_players_are_all_done(sharded: Store) -> None:
    posts = [post_in(shard, nth) for shard in range(SHARDS) for nth in range(3)]
    begin(sharded, *posts)
    for post in posts:
        play(sharded, dict.fromkeys(PLAYERS, 1), post)
    replies = sharded.submit([CompleteMatch(post) for post in posts[::2]])
    for post in posts[1::2]:
        sharded.transact(lambda tx, post=post: tx.complete_match(post), timeout=PATIENCE_S)
    assert [len(reply.get(PATIENCE_S)) for reply in replies] == [SHARDS] * len(replies)
    assert [sharded.lifetime(user).matches_played for user in PLAYERS] == [len(posts)] * SHARDS


# -- request ids

AWARD = AwardPoints("t3_a", "ann", 5, request_id="r1")


def test_a_request_that_was_done_inside_is_known_outside(played: Store) -> None:
    with played.transaction() as tx:
        first = tx.award_points("t3_a", "ann", 5, request_id="r1")
        assert tx.award_points("t3_a", "ann", 5, request_id="r1") == first
        tx.award_points("t3_a", "ann", 1)
    assert played.ask(AWARD).get() == first
    assert played.score("t3_a", "ann").points == 6


def test_a_request_that_was_done_outside_is_known_inside(played: Store) -> None:
    first = played.ask(AWARD).get()
    played.award_points("t3_a", "ann", 1)
    seq = played.statistics().seq
    with played.transaction() as tx:
        assert tx.award_points("t3_a", "ann", 5, request_id="r1") == first
        with pytest.raises(InvalidValue, match="different command"):
            tx.award_points("t3_a", "ann", 6, request_id="r1")
    assert played.statistics().seq == seq
    assert played.score("t3_a", "ann").points == 6


def test_a_request_that_was_taken_back_is_not_known(played: Store) -> None:
    def evening(tx: Any) -> None:
        tx.award_points("t3_a", "ann", 5, request_id="r1")
        tx.add_trophy("ann", "cup", request_id="r1")

    with pytest.raises(ZeroDivisionError):
        leave_with(ZeroDivisionError, played, evening)
    assert played.ask(AWARD).get().points == 5
    assert played.ask(AddTrophy("ann", "bowl", request_id="r1")).get().trophies == ["bowl"]


def test_a_transaction_that_is_run_again_with_request_ids_is_applied_once(played: Store) -> None:
    def evening(tx: Any) -> None:
        tx.award_points("t3_a", "ann", 5, request_id="r1")
        tx.add_trophy("ann", "cup", request_id="r2")
        tx.complete_match("t3_a", request_id="r3")

    played.transact(evening)
    left = dict(played.scan(""))
    seq = played.statistics().seq
    for _ in range(3):
        played.transact(evening)
    assert (dict(played.scan("")), played.statistics().seq) == (left, seq)
