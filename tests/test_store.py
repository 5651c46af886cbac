"""Every command and query of the contract, through a store with and without a disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from games import begin, begin_round, play, points_of
from opening import Opener

from pictact_actors import (
    AlreadyExists,
    InvalidKey,
    InvalidValue,
    Match,
    MatchClosed,
    NotAStore,
    NotFound,
    PlayedMatch,
    Rejected,
    Score,
    Standing,
    Store,
    StoreLocked,
)
from pictact_actors.model import keys
from pictact_actors.testing import ManualClock

WEEK_S = 7 * 86_400
NOW = 1_700_000_000.0

POST_COMMANDS: dict[str, Callable[[Store, str], object]] = {
    "update_match": lambda store, post: store.update_match(post, theme="rivers"),
    "cancel_match": lambda store, post: store.cancel_match(post),
    "create_round": lambda store, post: begin_round(store, 7, post),
    "update_round": lambda store, post: store.update_round(post, 1, prompt_text="new"),
    "close_round": lambda store, post: store.close_round(post, 1),
    "award_points": lambda store, post: store.award_points(post, "ann", 1),
    "record_analytics": lambda store, post: store.record_analytics(post, invalid_rate=0.5),
    "complete_match": lambda store, post: store.complete_match(post),
}


@pytest.fixture
def game(store: Store) -> Store:
    """A match with a round."""
    begin(store)
    begin_round(store)
    return store


# -- commands


def test_a_match_is_created_as_it_was_asked_for(open_store: Opener) -> None:
    store = open_store(clock=ManualClock(NOW))
    created = store.create_match("t3_a", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
    expected = Match("t3_a", "active", "pics", 3, 0, "sunsets", "mod", created_at=NOW, updated_at=NOW)
    assert created == store.match("t3_a") == expected
    assert created.to_dict() == {
        "postId": "t3_a",
        "status": "active",
        "subreddit": "pics",
        "roundsTotal": 3,
        "currentRound": 0,
        "theme": "sunsets",
        "createdBy": "mod",
        "completedAt": None,
        "expiresAt": None,
        "createdAt": NOW,
        "updatedAt": NOW,
    }


def test_a_match_is_created_once(game: Store) -> None:
    with pytest.raises(AlreadyExists) as caught:
        begin(game, theme="another")
    assert caught.value.key == "match:t3_a"
    assert game.match("t3_a").theme == "sunsets"


def test_a_match_can_wait_in_the_lobby(store: Store) -> None:
    assert begin(store, status="lobby").status == "lobby"
    assert store.update_match("t3_a", status="active").status == "active"


def test_fields_of_a_match_change_one_by_one(game: Store) -> None:
    changed = game.update_match("t3_a", theme="rivers", rounds_total=5)
    assert (changed.theme, changed.rounds_total, changed.subreddit) == ("rivers", 5, "pics")
    assert game.match("t3_a") == changed


@pytest.mark.parametrize("fields", [{"status": "completed"}, {"colour": "red"}, {"completed_at": 5}, {"theme": 5}])
def test_fields_that_cannot_be_updated_are_refused(game: Store, fields: dict[str, Any]) -> None:
    before = game.match("t3_a")
    with pytest.raises(InvalidValue):
        game.update_match("t3_a", **fields)
    assert game.match("t3_a") == before


def test_a_cancelled_match_stays_cancelled(game: Store) -> None:
    cancelled = game.cancel_match("t3_a")
    assert cancelled.status == "cancelled"
    assert game.cancel_match("t3_a") == game.match("t3_a") == cancelled


def test_a_round_moves_its_match_along(game: Store) -> None:
    assert game.match("t3_a").current_round == 1
    opened = begin_round(game, 2, reference_images=["a.png"])
    assert game.match("t3_a").current_round == 2
    assert game.round("t3_a", 2) == opened
    assert opened.reference_images == ["a.png"]
    assert game.rounds("t3_a") == [game.round("t3_a", 1), opened]


def test_a_round_is_created_once(game: Store) -> None:
    with pytest.raises(AlreadyExists, match="round:t3_a:1"):
        begin_round(game, 1)


def test_fields_of_a_round_change_one_by_one(game: Store) -> None:
    changed = game.update_round("t3_a", 1, end_ts=300)
    assert (changed.prompt_text, changed.start_ts, changed.end_ts) == ("what?", 100, 300)
    with pytest.raises(InvalidValue, match="endTs"):
        game.update_round("t3_a", 1, end_ts=50)
    with pytest.raises(NotFound, match="round:t3_a:9"):
        game.update_round("t3_a", 9, end_ts=300)


def test_closing_a_round_pays_its_winner_in_the_same_step(game: Store) -> None:
    closed = game.close_round("t3_a", 1, winner_user="ann", winner_comment_id="t1_x", points=10)
    assert (closed.closed, closed.winner_user, closed.winner_comment_id) == (True, "ann", "t1_x")
    won = game.score("t3_a", "ann")
    assert (won.points, won.wins) == (10, 1)
    assert set(list(game.entries())[-1].changes) == {"round:t3_a:1", "score:t3_a:ann"}


def test_a_closed_round_keeps_its_winner(game: Store) -> None:
    closed = game.close_round("t3_a", 1, winner_user="ann", points=10)
    assert game.close_round("t3_a", 1, winner_user="bob", points=99) == closed
    assert points_of(game) == {"ann": 10}
    with pytest.raises(InvalidValue):
        game.update_round("t3_a", 1, winner_user="bob")


def test_a_round_can_close_without_a_winner(game: Store) -> None:
    assert game.close_round("t3_a", 1).winner_user is None
    assert points_of(game) == {}


def test_points_add_up_also_halves_and_corrections(game: Store) -> None:
    assert game.award_points("t3_a", "ann", 10, wins=1).points == 10
    assert game.award_points("t3_a", "ann", 0.5).points == 10.5
    last = game.award_points("t3_a", "ann", -3, wins=-1)
    assert (last.points, last.wins) == (7.5, 0)
    assert game.score("t3_a", "ann") == last


def test_a_trophy_is_appended_once(store: Store) -> None:
    assert store.add_trophy("ann", "cup").trophies == ["cup"]
    assert store.add_trophy("ann", "medal").trophies == ["cup", "medal"]
    assert store.add_trophy("ann", "cup").trophies == ["cup", "medal"]
    assert store.lifetime("ann").trophies == ["cup", "medal"]


def test_analytics_are_running_means_with_their_samples(game: Store) -> None:
    game.record_analytics("t3_a", invalid_rate=0.2, avg_solve_time=10)
    seen = game.record_analytics("t3_a", invalid_rate=0.4)
    assert (seen.invalid_rate, seen.avg_solve_time, seen.mod_responsiveness) == (pytest.approx(0.3), 10, None)
    assert dict(seen.samples) == {"invalidRate": 2, "avgSolveTime": 1}
    assert game.analytics("t3_a") == seen


def test_a_summary_weighs_matches_by_their_samples(open_store: Opener) -> None:
    clock = ManualClock(NOW)
    store = open_store(clock=clock)
    begin(store, "a", subreddit="pics")
    begin(store, "b", subreddit="art")
    for rate in (0.1, 0.1, 0.1):
        store.record_analytics("a", invalid_rate=rate)
    clock.advance(100)
    store.record_analytics("b", invalid_rate=0.5)
    assert store.analytics_summary().invalid_rate == pytest.approx(0.2)
    assert store.analytics_summary(subreddit="pics").invalid_rate == pytest.approx(0.1)
    assert store.analytics_summary(since=NOW + 50).matches == 1
    assert store.analytics_summary(subreddit="none").matches == 0


def test_a_completed_match_settles_everybody(open_store: Opener) -> None:
    store = open_store(clock=ManualClock(NOW))
    begin(store)
    play(store, {"ann": 5, "bob": 9, "cat": 5})
    final = store.complete_match("t3_a", trophies={"bob": ["gold"], "fan": ["best hat", "best hat"]})
    assert final == [Standing(1, "bob", 9, 0), Standing(2, "ann", 5, 0), Standing(2, "cat", 5, 0)]
    match = store.match("t3_a")
    assert (match.status, match.completed_at, match.expires_at) == ("completed", NOW, NOW + WEEK_S)
    bob = store.player("bob")
    assert (bob.lifetime.total_points, bob.lifetime.matches_played, bob.lifetime.trophies) == (9, 1, ["gold"])
    assert bob.matches == [PlayedMatch("bob", "t3_a", 9, 0, 1, "sunsets", NOW, NOW, NOW)]
    fan = store.player("fan")
    assert (fan.lifetime.matches_played, fan.lifetime.trophies, fan.matches) == (0, ["best hat"], [])


def test_completing_twice_changes_nothing(game: Store) -> None:
    play(game, {"ann": 5})
    final = game.complete_match("t3_a")
    seq = game.statistics().seq
    assert game.complete_match("t3_a", trophies={"ann": ["late"]}) == final
    assert game.statistics().seq == seq


def test_a_post_that_is_played_again_replaces_its_history_entry(store: Store) -> None:
    # No cleanup yet: an expired match is put back to the start by hand, as a restore would.
    begin(store)
    play(store, {"ann": 5, "bob": 1})
    store.complete_match("t3_a")
    store.put_many({"match:t3_a": Match("t3_a", "active", "pics", 3, theme="again", created_by="mod")})
    play(store, {"ann": 2})
    store.complete_match("t3_a")
    player = store.player("ann")
    assert (player.lifetime.matches_played, player.lifetime.total_points) == (1, 7)
    assert [(played.points, played.theme) for played in player.matches] == [(7, "again")]


def test_a_match_nobody_played_can_be_completed(game: Store) -> None:
    assert game.complete_match("t3_a") == []
    assert game.match("t3_a").status == "completed"


def test_a_match_of_five_thousand_completes_in_one_step(store: Store) -> None:
    begin(store)
    play(store, {f"u{n:04}": n for n in range(5_000)})
    final = store.complete_match("t3_a", trophies={f"u{n:04}": ["there"] for n in range(0, 5_000, 2)})
    assert [line.rank for line in final] == list(range(1, 5_001))
    entry = list(store.entries())[-1]
    changed = [key for key in entry.changes if not keys.is_index(key)]
    assert (entry.cause, len(changed)) == ("complete_match", 10_001)
    assert store.lifetime("u4998").trophies == ["there"]
    assert store.player("u4999").matches[0].rank == 1
    assert store.lifetime_leaderboard("total_points", limit=2)[0].user == "u4999"


@pytest.mark.parametrize("ending", ["completed", "cancelled"])
@pytest.mark.parametrize("command", sorted(POST_COMMANDS.keys() - {"complete_match", "cancel_match"}))
def test_a_closed_match_takes_no_more_commands(store: Store, command: str, ending: str) -> None:
    begin(store)
    begin_round(store)
    store.complete_match("t3_a") if ending == "completed" else store.cancel_match("t3_a")
    with pytest.raises(MatchClosed) as caught:
        POST_COMMANDS[command](store, "t3_a")
    assert (caught.value.post_id, caught.value.status) == ("t3_a", ending)


def test_a_match_ends_in_one_way_only(store: Store) -> None:
    begin(store, "a", "b")
    store.complete_match("a")
    store.cancel_match("b")
    with pytest.raises(MatchClosed):
        store.cancel_match("a")
    with pytest.raises(MatchClosed):
        store.complete_match("b")


@pytest.mark.parametrize("command", sorted(POST_COMMANDS))
def test_a_missing_match_is_not_found(memory: Store, command: str) -> None:
    with pytest.raises(NotFound) as caught:
        POST_COMMANDS[command](memory, "nope")
    assert caught.value.key == "match:nope"


@pytest.mark.parametrize("bad", ["", "a:b", "a\0", "\x7f", "\ud800", "é" * 65, 5], ids=repr)
@pytest.mark.parametrize("command", sorted(POST_COMMANDS))
def test_an_id_that_cannot_be_is_refused_and_nothing_is_written(memory: Store, command: str, bad: str) -> None:
    with pytest.raises(InvalidKey):
        POST_COMMANDS[command](memory, bad)
    with pytest.raises(InvalidKey):
        memory.award_points("t3_a", bad, 1)
    with pytest.raises(InvalidKey):
        memory.add_trophy("ann", bad)
    with pytest.raises(InvalidKey):
        memory.add_trophy("ann", "cup", request_id=bad)
    assert memory.statistics().seq == 0


@pytest.mark.parametrize("points", [float("nan"), float("inf"), 2**60, "5", None, True, 1j], ids=repr)
def test_points_that_cannot_be_are_refused_and_nothing_is_written(game: Store, points: Any) -> None:
    for attempt in (
        lambda: game.award_points("t3_a", "ann", points),
        lambda: game.close_round("t3_a", 1, winner_user="ann", points=points),
        lambda: game.put_many({"score:t3_a:ann": Score("t3_a", "ann", points)}),
    ):
        with pytest.raises(InvalidValue):
            attempt()
    assert points_of(game) == {}


# -- opening


def test_a_directory_has_one_store_at_a_time(open_store: Opener) -> None:
    store = open_store()
    with pytest.raises(StoreLocked):
        Store.open(open_store.path)
    begin(store)
    store.close()
    assert open_store().match("t3_a")


def test_a_store_that_must_exist_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(NotAStore, match="there is none"):
        Store.open(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()


def test_a_store_is_closed_at_the_end_of_its_block(tmp_path: Path) -> None:
    def fail() -> None:
        with Store.open(tmp_path / "data") as store:
            begin(store)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with Store.open(str(tmp_path / "data")) as store:
        assert store.match("t3_a")
        assert store.check() == []


def test_everything_is_there_after_reopening(open_store: Opener) -> None:
    store = open_store()
    begin(store, "t3_a", "t3_b")
    begin_round(store)
    play(store, {f"u{n}": n for n in range(100)})
    store.record_analytics("t3_a", invalid_rate=0.5)
    store.complete_match("t3_a", trophies={"u1": ["cup"]})
    before = dict(store.scan(""))
    store.close()
    again = open_store()
    assert dict(again.scan("")) == before
    assert again.leaderboard("t3_a", 3)[0].user == "u99"


def test_every_rejection_is_one_family(game: Store) -> None:
    for attempt in (lambda: begin(game), lambda: game.match("nope"), lambda: game.award_points("", "", 0)):
        with pytest.raises(Rejected):
            attempt()
