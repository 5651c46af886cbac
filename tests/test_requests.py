"""Request ids: what is sent twice is done once, and gets the first answer."""

from __future__ import annotations

import pytest
from games import begin, begin_round, play, points_of
from opening import Opener

from pictact_actors import AwardPoints, InvalidValue, Lifetime, NotFound, Score, Store


@pytest.fixture
def game(store: Store) -> Store:
    """A match with a round."""
    begin(store)
    begin_round(store)
    return store


def test_the_same_request_is_done_once_and_gets_the_first_answer(open_store: Opener) -> None:
    store = open_store()
    begin(store, request_id="c1")
    first = store.award_points("t3_a", "ann", 5, request_id="r1")
    store.award_points("t3_a", "ann", 1)
    assert store.award_points("t3_a", "ann", 5, request_id="r1") == first
    assert begin(store, request_id="c1").post_id == "t3_a"
    store.close()
    again = open_store()
    assert again.award_points("t3_a", "ann", 5, request_id="r1") == first
    assert again.score("t3_a", "ann").points == 6


def test_the_same_request_twice_in_one_batch_is_done_once(game: Store) -> None:
    replies = game.submit([AwardPoints("t3_a", "ann", 5, request_id="r1")] * 3)
    assert [reply.get().points for reply in replies] == [5, 5, 5]
    assert points_of(game) == {"ann": 5}


def test_a_request_id_belongs_to_one_command(game: Store) -> None:
    game.award_points("t3_a", "ann", 5, request_id="r1")
    for other in (
        lambda: game.award_points("t3_a", "ann", 6, request_id="r1"),
        lambda: game.award_points("t3_a", "bob", 5, request_id="r1"),
        lambda: game.record_analytics("t3_a", invalid_rate=5, request_id="r1"),
    ):
        with pytest.raises(InvalidValue, match="different command"):
            other()
    assert points_of(game) == {"ann": 5}


def test_a_request_id_is_used_within_a_match_or_by_a_user(store: Store) -> None:
    begin(store, "a", "b")
    assert store.award_points("a", "ann", 1, request_id="r").points == 1
    assert store.award_points("b", "ann", 1, request_id="r").points == 1
    assert store.add_trophy("ann", "cup", request_id="r").trophies == ["cup"]


def test_a_rejected_request_may_be_sent_again_with_the_same_id(store: Store) -> None:
    with pytest.raises(NotFound):
        store.award_points("t3_a", "ann", 1, request_id="r1")
    begin(store)
    assert store.award_points("t3_a", "ann", 1, request_id="r1").points == 1


def test_completing_with_the_same_request_id_gives_the_same_standings(open_store: Opener) -> None:
    store = open_store()
    begin(store)
    play(store, {"ann": 5, "bob": 7})
    final = store.complete_match("t3_a", trophies={"ann": ["cup"]}, request_id="end")
    store.close()
    again = open_store()
    assert again.complete_match("t3_a", trophies={"ann": ["cup"]}, request_id="end") == final
    with pytest.raises(InvalidValue, match="different command"):
        again.complete_match("t3_a", request_id="end")
    assert again.lifetime("ann").matches_played == 1


def test_putting_with_the_same_request_id_is_done_once(game: Store) -> None:
    records = {"score:t3_a:ann": Score("t3_a", "ann", 5), "lifetime:ann": Lifetime("ann", trophies=("cup",))}  # type: ignore[arg-type]  # a tuple will do
    game.put_many(records, request_id="r1")
    game.award_points("t3_a", "ann", 1)
    game.put_many(records, request_id="r1")
    assert game.score("t3_a", "ann").points == 6
    with pytest.raises(InvalidValue, match="different command"):
        game.put_many({"score:t3_a:ann": Score("t3_a", "ann", 7)}, request_id="r1")
