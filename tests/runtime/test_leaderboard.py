"""Leaderboards as ordered indexes, against a plain sort by the contract's rule."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors import Score, Standing
from pictact_actors.runtime.leaderboard import Board, Boards

POINTS = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, -0.5, 1.0]))
USERS = st.sampled_from([f"u{n}" for n in range(8)])
UPDATES = st.lists(st.tuples(USERS, st.one_of(st.none(), st.tuples(POINTS, st.integers(-1, 2)))), max_size=40)


def plain_sort(scores: Sequence[Score]) -> list[Standing]:
    """The contract, word for word: points, then wins, then who was there first; equals share a rank (1, 2, 2, 4)."""
    order = sorted(scores, key=lambda at: (-at.points, -at.wins, at.reached_at))
    ahead = [sum((o.points, o.wins) > (at.points, at.wins) for o in scores) for at in order]
    return [Standing(before + 1, at.user, at.points, at.wins) for before, at in zip(ahead, order, strict=True)]


def play(board: Board, updates: Sequence[tuple[str, tuple[float, int] | None]]) -> list[Score]:
    """Do updates in this order (`None` takes a player off); return the scores that are left."""
    scores: dict[str, Score] = {}
    for reached_at, (user, change) in enumerate(updates):
        if change is None:
            scores.pop(user, None)
            board.remove(user)
        else:
            scores[user] = Score("t3_a", user, *change, reached_at)
            board.put(scores[user])
    return list(scores.values())


@given(UPDATES)
def test_any_updates_lead_to_the_board_that_a_plain_sort_gives(updates) -> None:  # noqa: ANN001
    board = Board()
    expected = plain_sort(play(board, updates))
    assert list(board.standings()) == expected
    assert len(board) == len(expected)
    assert [board.standing(line.user) for line in expected] == expected


@given(UPDATES, st.integers(0, 10), st.integers(0, 10))
def test_every_page_is_a_cut_of_the_whole(updates, limit: int, offset: int) -> None:  # noqa: ANN001
    board = Board()
    expected = plain_sort(play(board, updates))
    assert board.page(limit, offset) == expected[offset : offset + limit]


@given(UPDATES, USERS, st.integers(0, 5))
def test_around_a_player_are_the_nearest_lines(updates, user: str, span: int) -> None:  # noqa: ANN001
    board = Board()
    expected = plain_sort(play(board, updates))
    found = [position for position, line in enumerate(expected) if line.user == user]
    if found:
        assert board.around(user, span) == expected[max(0, found[0] - span) : found[0] + span + 1]
    else:
        assert board.around(user, span) is None
        assert board.standing(user) is None


def filled(post_id: str, players: int) -> Board:
    board = Board()
    for n in range(players):
        board.put(Score(post_id, f"u{n}", n, 0, n))
    return board


@pytest.fixture
def boards() -> Boards:
    """Room for ten players, taken by two boards of five; `b` was used last."""
    boards = Boards(10)
    boards.add("a", filled("a", 5))
    boards.add("b", filled("b", 5))
    return boards


def loaded(boards: Boards) -> list[str]:
    return [post_id for post_id in ("a", "b", "c") if post_id in boards._boards]


def test_the_least_recently_used_board_makes_room(boards: Boards) -> None:
    boards.get("a")
    boards.add("c", filled("c", 3))
    assert loaded(boards) == ["a", "c"]


def test_a_board_that_grows_beyond_the_limit_makes_others_go(boards: Boards) -> None:
    boards.publish("b", "new", Score("b", "new", 1, 0, 99))
    assert loaded(boards) == ["b"]
    assert len(boards._boards["b"]) == 6


def test_a_score_that_changes_makes_nobody_go(boards: Boards) -> None:
    for points in range(20):
        boards.publish("b", "u1", Score("b", "u1", points, 0, 100 + points))
    assert loaded(boards) == ["a", "b"]


def test_players_that_leave_make_room(boards: Boards) -> None:
    boards.publish("a", "u0", None)
    boards.publish("a", "u1", None)
    boards.publish("b", "new", Score("b", "new", 1, 0, 99))
    assert loaded(boards) == ["a", "b"]


def test_a_dropped_board_makes_room(boards: Boards) -> None:
    boards.drop("a")
    boards.drop("a")
    boards.add("c", filled("c", 5))
    assert loaded(boards) == ["b", "c"]


def test_a_board_that_is_loaded_twice_counts_once(boards: Boards) -> None:
    boards.add("b", filled("b", 5))
    assert loaded(boards) == ["a", "b"]


def test_one_board_larger_than_the_limit_is_kept(boards: Boards) -> None:
    boards.add("c", filled("c", 30))
    assert loaded(boards) == ["c"]


def test_a_board_that_is_not_loaded_is_not_followed(boards: Boards) -> None:
    boards.publish("c", "ann", Score("c", "ann", 1, 0, 1))
    assert boards.get("c") is None
    assert len(boards) == 2


def test_a_board_that_nobody_reads_is_dropped_however_much_is_played(boards: Boards) -> None:
    read_at = boards._boards["a"].read_at
    boards.publish("a", "u0", Score("a", "u0", 1, 0, 99))
    boards.get("b")
    boards._boards["b"].read_at = read_at + 10
    boards.drop_idle(read_at + 5)
    assert loaded(boards) == ["b"]
    boards.drop_idle(read_at + 10)
    assert loaded(boards) == ["b"]
    boards.drop_idle(read_at + 11)
    assert loaded(boards) == []
