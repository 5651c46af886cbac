"""Leaderboards through a store, against a plain sort by the contract's rule."""

from __future__ import annotations

from typing import Any

import pytest
from games import begin, play
from hypothesis import given, settings
from hypothesis import strategies as st
from opening import Opener
from waiting import until

from pictact_actors import AwardPoints, Score, Standing, Store
from pictact_actors.testing import ManualClock

USERS = [f"u{n}" for n in range(6)]
AWARDS = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from([1, 2, -1, 0, 0.5]), st.sampled_from([0, 0, 1])), max_size=25
)


def plain_sort(awards: list[tuple[str, Any, int]]) -> list[Standing]:
    """Points, then wins, then who reached that score first; equal points and wins share a rank (1, 2, 2, 4)."""
    totals: dict[str, tuple[Any, int]] = {}
    reached: dict[str, int] = {}
    for turn, (user, points, wins) in enumerate(awards):
        before = totals.get(user)
        totals[user] = ((before or (0, 0))[0] + points, (before or (0, 0))[1] + wins)
        if totals[user] != before:
            reached[user] = turn
    order = sorted(totals, key=lambda user: (*(-part for part in totals[user]), reached[user]))
    ranks = [1 + sum(total > totals[user] for total in totals.values()) for user in order]
    return [Standing(rank, user, *totals[user]) for rank, user in zip(ranks, order, strict=True)]


def messages(awards: list[tuple[str, Any, int]]) -> list[AwardPoints]:
    return [AwardPoints("t3_a", user, points, wins=wins) for user, points, wins in awards]


@given(AWARDS, st.booleans())
@settings(max_examples=60)
def test_any_awards_give_the_board_of_a_plain_sort(awards: list[tuple[str, Any, int]], board_first: bool) -> None:  # noqa: FBT001
    with Store.open(":memory:", clock=ManualClock(1_000.0)) as store:
        begin(store)
        if board_first:
            assert store.leaderboard("t3_a") == []
        for reply in store.submit(messages(awards)):
            reply.get()
        expected = plain_sort(awards)
        assert store.leaderboard("t3_a", 100) == expected
        assert store.leaderboard("t3_a", 2, 1) == expected[1:3]
        for position, line in enumerate(expected):
            assert store.standing("t3_a", line.user) == line
            assert store.around("t3_a", line.user, 1) == expected[max(0, position - 1) : position + 2]
        assert store.complete_match("t3_a") == expected
        assert store.leaderboard("t3_a", 100) == expected
        assert store.check() == []


def order(store: Store, post_id: str = "t3_a") -> list[str]:
    return [line.user for line in store.leaderboard(post_id, 100)]


def test_who_reached_a_score_first_is_ahead_although_no_time_passed(open_store: Opener) -> None:
    store = open_store(clock=ManualClock(1_000.0))
    begin(store)
    play(store, {"zoe": 5, "ann": 4, "bob": 5})
    store.award_points("t3_a", "ann", 1)
    assert order(store) == ["zoe", "bob", "ann"]
    assert [line.rank for line in store.leaderboard("t3_a")] == [1, 1, 1]


def test_who_was_first_stays_first_over_restarts_with_a_clock_that_stands_still(open_store: Opener) -> None:
    users = ["zoe", "bob", "ann", "dan", "cat"]
    for user in users:
        store = open_store(clock=ManualClock(1_000.0))
        begin(store) if user == "zoe" else None
        store.award_points("t3_a", user, 5)
        store.close()
    assert order(open_store(clock=ManualClock(1_000.0))) == users


@pytest.mark.parametrize("now", [500.0, 1_000.0, 1_000_000.0])
def test_who_was_first_stays_first_when_the_clock_jumps(open_store: Opener, now: float) -> None:
    clock = ManualClock(1_000.0)
    store = open_store(clock=clock)
    begin(store)
    play(store, {"zoe": 5, "bob": 5})
    clock.set(now)
    play(store, {"ann": 5})
    store.close()
    store = open_store(clock=ManualClock(now))
    play(store, {"cat": 5})
    assert order(store) == ["zoe", "bob", "ann", "cat"]


def test_who_was_first_stays_first_with_another_number_of_shards(open_store: Opener) -> None:
    for shards, user in ((1, "zoe"), (4, "bob"), (2, "ann")):
        store = open_store(clock=ManualClock(1_000.0), shards=shards)
        begin(store) if user == "zoe" else None
        play(store, {user: 5})
        store.close()
    assert order(open_store(shards=3)) == ["zoe", "bob", "ann"]


def test_an_award_that_changes_nothing_does_not_lose_a_place(memory: Store) -> None:
    begin(memory)
    play(memory, {"ann": 5, "bob": 5})
    play(memory, {"ann": 0})
    assert order(memory) == ["ann", "bob"]


def test_who_comes_back_to_a_score_is_behind_who_stayed(memory: Store) -> None:
    begin(memory)
    play(memory, {"ann": 5, "bob": 5})
    play(memory, {"ann": 1})
    play(memory, {"ann": -1})
    assert order(memory) == ["bob", "ann"]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_final_scores_rank_by_who_reached_them_first_in_any_order_of_arrival(memory: Store, seed: int) -> None:
    users = USERS[seed:] + USERS[:seed]
    begin(memory)
    for user in users:
        memory.award_points("t3_a", user, 3)
    assert order(memory) == users


def test_boards_are_dropped_over_their_limit_and_load_again(open_store: Opener) -> None:
    store = open_store(board_players_max=25)
    posts = [f"p{n}" for n in range(5)]
    begin(store, *posts)
    for n, post_id in enumerate(posts):
        play(store, {f"u{m}": m * (n + 1) for m in range(10)}, post_id)
    for _ in range(2):
        for n, post_id in enumerate(posts):
            assert store.leaderboard(post_id, 1) == [Standing(1, "u9", 9 * (n + 1), 0)]
            assert store.statistics().boards <= 2


def test_a_dropped_board_shows_what_happened_meanwhile(open_store: Opener) -> None:
    store = open_store(board_players_max=3)
    begin(store, "a", "b")
    play(store, {"ann": 1, "bob": 2}, "a")
    play(store, {"ann": 1, "bob": 2}, "b")
    assert order(store, "a") == ["bob", "ann"]
    assert order(store, "b") == ["bob", "ann"]
    play(store, {"ann": 5, "cat": 9}, "a")
    assert order(store, "a") == ["cat", "ann", "bob"]


def test_boards_that_grow_keep_to_their_limit(open_store: Opener) -> None:
    store = open_store(board_players_max=50)
    begin(store, *"abcde")
    for post_id in "abcde":
        assert order(store, post_id) == []
    assert store.statistics().boards == 5
    for post_id in "abcde":
        play(store, {f"u{n}": n for n in range(20)}, post_id)
    assert store.statistics().boards == 2


def test_idle_boards_are_dropped_and_load_again(open_store: Opener) -> None:
    store = open_store(board_idle_s=0.01, cleanup_interval_s=0.01)
    begin(store)
    play(store, {"ann": 1})
    assert order(store) == ["ann"]
    until(lambda: not store.statistics().boards)
    assert order(store) == ["ann"]


def test_lifetime_boards_follow_every_completion(memory: Store) -> None:
    assert memory.lifetime_leaderboard() == []
    for post_id, scores in {"a": {"ann": 5, "bob": 3}, "b": {"bob": 4}, "c": {"bob": 0.5, "cat": 9}}.items():
        begin(memory, post_id)
        play(memory, scores, post_id)
        memory.close_round(post_id, memory.create_round(post_id, 1, prompt_text="?", start_ts=0, end_ts=1).index)
        memory.complete_match(post_id)
    by_points = memory.lifetime_leaderboard("total_points")
    assert [(line.rank, line.user) for line in by_points] == [(1, "cat"), (2, "bob"), (3, "ann")]
    assert [line.points for line in by_points] == [9, 7.5, 5]
    by_matches = memory.lifetime_leaderboard("matches_played")
    assert [(line.rank, line.user, line.matches_played) for line in by_matches] == [
        (1, "bob", 3),
        (2, "ann", 1),
        (2, "cat", 1),
    ]
    assert memory.lifetime_standing("ann", "total_points").rank == 3
    assert memory.lifetime_leaderboard("total_wins", limit=1, offset=1)[0].user == "bob"
    memory.add_trophy("dan", "cup")
    assert len(memory.lifetime_leaderboard()) == 4


def test_scores_that_are_put_take_their_place_on_the_board(memory: Store) -> None:
    begin(memory)
    play(memory, {"ann": 5})
    assert order(memory) == ["ann"]
    scores = [Score("t3_a", "bob", 9), Score("t3_a", "cat", 5, reached_at=1.0)]
    memory.put_many({score.key: score for score in scores})
    assert order(memory) == ["bob", "cat", "ann"]
