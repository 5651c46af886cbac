"""What the game asks for: checked before it is looked up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from games import begin, play

from pictact_actors import InvalidKey, InvalidValue, NotFound, Store
from pictact_actors.model.keys import require_public

BAD_IDS = ["", "a:b", "a\n", "\ud800", "x" * 129, 5, None]


@pytest.fixture
def game(memory: Store) -> Store:
    """A store with a match of three players."""
    begin(memory)
    play(memory, {"ann": 3, "bob": 2, "cat": 1})
    return memory


@pytest.mark.parametrize("bad", BAD_IDS, ids=repr)
def test_ids_that_cannot_be_are_named_errors(game: Store, bad: str) -> None:
    queries: list[Callable[[], object]] = [
        lambda: game.rounds(bad),
        lambda: game.player(bad),
        lambda: game.leaderboard(bad),
        lambda: game.standing(bad, "ann"),
        lambda: game.standing("t3_a", bad),
        lambda: game.around(bad, "ann"),
        lambda: game.around("t3_a", bad),
        lambda: game.lifetime_standing(bad),
    ]
    for query in queries:
        with pytest.raises(InvalidKey):
            query()


@pytest.mark.parametrize("bad", [-1, 1.5, "3", None, True, 2**60], ids=repr)
def test_counts_that_cannot_be_are_named_errors(game: Store, bad: int) -> None:
    queries: list[Callable[[], object]] = [
        lambda: game.leaderboard("t3_a", limit=bad),
        lambda: game.leaderboard("t3_a", offset=bad),
        lambda: game.around("t3_a", "ann", span=bad),
        lambda: game.lifetime_leaderboard(limit=bad),
        lambda: game.lifetime_leaderboard(offset=bad),
    ]
    for query in queries:
        with pytest.raises(InvalidValue):
            query()


@pytest.mark.parametrize("bad", ["", "points", "total_wins; drop", None, 5])
def test_orders_that_do_not_exist_are_named_errors(game: Store, bad: str) -> None:
    with pytest.raises(InvalidValue):
        game.lifetime_leaderboard(by=bad)
    with pytest.raises(InvalidValue):
        game.lifetime_standing("ann", by=bad)


@pytest.mark.parametrize("bad", ["yesterday", True, [1]], ids=repr)
def test_times_that_cannot_be_are_named_errors(game: Store, bad: float) -> None:
    with pytest.raises(InvalidValue):
        game.analytics_summary(since=bad)


def test_what_is_not_there_is_not_found(game: Store) -> None:
    for query in (
        lambda: game.rounds("t3_b"),
        lambda: game.player("ann"),
        lambda: game.leaderboard("t3_b"),
        lambda: game.standing("t3_a", "zoe"),
        lambda: game.around("t3_a", "zoe"),
        lambda: game.lifetime_standing("ann"),
    ):
        with pytest.raises(NotFound):
            query()


def test_the_answers_to_requests_are_nobodys_business(game: Store) -> None:
    game.award_points("t3_a", "ann", 1, request_id="r1")
    for query in (lambda: game.get("request:match:t3_a:r1"), lambda: game.get_many(["request:match:t3_a:r1"])):
        with pytest.raises(InvalidKey, match="internal"):
            query()
    assert not [key for key, _ in game.scan("") if key.startswith("request:")]
    assert require_public("match:t3_a") == "match:t3_a"


def test_rounds_come_by_index_not_as_text(game: Store) -> None:
    for index in (10, 2, 1):
        game.create_round("t3_a", index, prompt_text="?", start_ts=0, end_ts=1)
    assert [item.index for item in game.rounds("t3_a")] == [1, 2, 10]


def test_a_match_whose_name_begins_another_ones_has_rounds_and_board_of_its_own(game: Store) -> None:
    begin(game, "t3_")
    assert game.rounds("t3_") == []
    assert game.leaderboard("t3_") == []
