"""What each command does to the records of its group, against the contract."""

from __future__ import annotations

from fractions import Fraction
from statistics import fmean

import pytest
from generated import half_points
from hypothesis import given
from hypothesis import strategies as st
from world import NOW, WEEK_S, World

from pictact_actors.errors import AlreadyExists, InvalidValue, MatchClosed, NotFound
from pictact_actors.model import codec
from pictact_actors.model.commands import (
    AddTrophy,
    AwardPoints,
    CancelMatch,
    CloseRound,
    Command,
    CompleteMatch,
    CreateRound,
    RecordAnalytics,
    UpdateMatch,
    UpdateRound,
)
from pictact_actors.model.records import (
    Analytics,
    Lifetime,
    Match,
    PlayedMatch,
    Record,
    Round,
    Score,
    Standing,
    Texts,
)
from pictact_actors.model.rules import closing, settle, stamped
from pictact_actors.model.validate import NUMBER_MAX, TEXTS_MAX


def create_round(index: int = 1, **given: object) -> CreateRound:
    fields = {"prompt_text": "what?", "start_ts": 100, "end_ts": 200, **given}
    return CreateRound("t3_a", index, **fields)


ON_A_MATCH: list[Command] = [
    UpdateMatch("t3_a", theme="rivers"),
    create_round(),
    UpdateRound("t3_a", 1, prompt_text="new"),
    CloseRound("t3_a", 1, winner_user="ann", points=3),
    AwardPoints("t3_a", "ann", 10),
    RecordAnalytics("t3_a", invalid_rate=0.5),
]


@pytest.fixture
def played(game: World) -> World:
    """The match with a closed round, scores and a fourth place."""
    game.do(create_round())
    game.do(CloseRound("t3_a", 1, winner_user="ann", winner_comment_id="t1_x", points=5))
    for user, points in (("bob", 5), ("cat", 7.5), ("dan", 5)):
        game.do(AwardPoints("t3_a", user, points))
    return game


def test_a_new_match_has_what_it_was_given(world: World) -> None:
    match = world.create(theme="rivers", status="lobby")
    assert match == Match("t3_a", "lobby", "pics", 3, 0, "rivers", "mod", created_at=NOW, updated_at=NOW)
    assert world.match() == match


def test_a_match_is_created_once(game: World) -> None:
    with pytest.raises(AlreadyExists):
        game.create()


@pytest.mark.parametrize("command", [*ON_A_MATCH, CancelMatch("t3_a"), CompleteMatch("t3_a")], ids=lambda c: c.NAME)
def test_a_command_on_a_missing_match_is_not_found(world: World, command: Command) -> None:
    with pytest.raises(NotFound, match="match:t3_a"):
        world.do(command)
    assert not world.records


@pytest.mark.parametrize("command", [*ON_A_MATCH, CancelMatch("t3_a")], ids=lambda c: c.NAME)
def test_a_completed_match_takes_no_more_commands(played: World, command: Command) -> None:
    played.complete()
    before = dict(played.records)
    with pytest.raises(MatchClosed, match="completed"):
        played.do(command)
    assert played.records == before


@pytest.mark.parametrize("command", [*ON_A_MATCH, CompleteMatch("t3_a")], ids=lambda c: c.NAME)
def test_a_cancelled_match_takes_no_more_commands(played: World, command: Command) -> None:
    played.do(CancelMatch("t3_a"))
    with pytest.raises(MatchClosed, match="cancelled"):
        played.do(command)


def test_cancelling_twice_changes_nothing(game: World) -> None:
    first = game.do(CancelMatch("t3_a"))
    game.now += 5
    assert game.changes(CancelMatch("t3_a")) == {}
    assert game.do(CancelMatch("t3_a")) == first == game.match()


def test_an_update_changes_what_it_says_and_nothing_else(game: World) -> None:
    before = game.match()
    game.now += 5
    after = game.do(UpdateMatch("t3_a", theme="rivers"))
    assert after == game.match()
    assert isinstance(after, Match)
    assert (after.theme, after.updated_at, after.created_at) == ("rivers", NOW + 5, NOW)
    assert (after.status, after.subreddit) == (before.status, before.subreddit)


def test_a_new_round_moves_the_match_to_it(game: World) -> None:
    game.do(create_round(2, reference_images=["a.png"]))
    assert game.get("round:t3_a:2") == Round(
        "t3_a", 2, "what?", Texts(["a.png"]), 100, 200, created_at=NOW, updated_at=NOW
    )
    assert game.match().current_round == 2


def test_a_round_is_created_once_and_the_match_stays_where_it_is(game: World) -> None:
    game.do(create_round(1))
    game.do(create_round(2))
    with pytest.raises(AlreadyExists):
        game.do(create_round(1))
    assert game.match().current_round == 2


@pytest.mark.parametrize("command", [UpdateRound("t3_a", 9), CloseRound("t3_a", 9)], ids=lambda c: c.NAME)
def test_a_missing_round_is_not_found(game: World, command: Command) -> None:
    with pytest.raises(NotFound, match="round:t3_a:9"):
        game.do(command)


def test_an_update_of_a_round_changes_what_it_says(game: World) -> None:
    game.do(create_round())
    game.do(UpdateRound("t3_a", 1, reference_images=["b.png"], end_ts=300))
    after = game.get("round:t3_a:1")
    assert isinstance(after, Round)
    assert (after.reference_images, after.start_ts, after.end_ts) == (["b.png"], 100, 300)


def test_a_round_cannot_be_moved_to_end_before_it_starts(game: World) -> None:
    game.do(create_round())
    with pytest.raises(InvalidValue, match="endTs"):
        game.do(UpdateRound("t3_a", 1, end_ts=99))


def test_closing_a_round_pays_its_winner_in_the_same_step(game: World) -> None:
    game.do(create_round())
    changes = game.changes(CloseRound("t3_a", 1, winner_user="ann", winner_comment_id="t1_x", points=2.5))
    closed, score = changes["round:t3_a:1"], changes["score:t3_a:ann"]
    assert isinstance(closed, Round)
    assert isinstance(score, Score)
    assert (closed.closed, closed.winner_user, closed.winner_comment_id) == (True, "ann", "t1_x")
    assert (score.points, score.wins) == (2.5, 1)


def test_a_closed_round_keeps_its_winner(played: World) -> None:
    first = played.get("round:t3_a:1")
    for again in (CloseRound("t3_a", 1), CloseRound("t3_a", 1, winner_user="bob", points=9)):
        assert played.changes(again) == {}
        assert played.do(again) == first


@pytest.mark.parametrize("change", [{"closed": False}, {"winner_user": "bob"}, {"winner_comment_id": None}], ids=str)
def test_no_update_undoes_what_closing_decided(played: World, change: dict[str, object]) -> None:
    with pytest.raises(InvalidValue, match="the round is closed"):
        played.do(UpdateRound("t3_a", 1, **change))


def test_the_text_of_a_closed_round_may_still_be_corrected(played: World) -> None:
    after = played.do(UpdateRound("t3_a", 1, prompt_text="who?", closed=True, winner_user="ann"))
    assert isinstance(after, Round)
    assert (after.prompt_text, after.winner_user, after.closed) == ("who?", "ann", True)


def test_a_round_may_close_without_a_winner(game: World) -> None:
    game.do(create_round())
    assert game.changes(CloseRound("t3_a", 1)).keys() == {"round:t3_a:1"}


def test_points_and_wins_add_up(game: World) -> None:
    for points, wins in ((10, 1), (-3, 0), (0.5, 2)):
        game.do(AwardPoints("t3_a", "ann", points, wins=wins))
    score = game.get("score:t3_a:ann")
    assert isinstance(score, Score)
    assert (score.points, score.wins) == (7.5, 3)


@given(st.lists(half_points, min_size=1, max_size=60))
def test_a_sum_of_half_points_is_exact(points: list[float]) -> None:
    world = World()
    world.create()
    for one in points:
        world.do(AwardPoints("t3_a", "ann", one))
    score = world.get("score:t3_a:ann")
    assert isinstance(score, Score)
    assert Fraction(score.points) == sum(map(Fraction, points))


@pytest.mark.parametrize("first", [{"points": NUMBER_MAX}, {"points": 0, "wins": NUMBER_MAX}], ids=str)
def test_a_total_beyond_its_limit_is_refused_and_the_score_stays(game: World, first: dict[str, int]) -> None:
    game.do(AwardPoints("t3_a", "ann", **first))
    before = game.get("score:t3_a:ann")
    with pytest.raises(InvalidValue, match="2\\*\\*53"):
        game.do(AwardPoints("t3_a", "ann", 2, wins=1))
    assert game.get("score:t3_a:ann") == before


def test_a_score_is_reached_when_it_changes_and_only_then(game: World) -> None:
    reached = []
    for points, wins in ((5, 0), (0, 0), (0, 1), (2, 0), (0.0, 0)):
        game.now += 1
        score = game.do(AwardPoints("t3_a", "ann", points, wins=wins))
        assert isinstance(score, Score)
        assert score.updated_at == game.now
        reached.append(score.reached_at - NOW)
    assert reached == [1, 1, 3, 4, 4]


def test_ties_go_to_who_reached_the_score_first(game: World) -> None:
    for user, points in (("late", 3), ("early", 5), ("late", 2)):
        game.do(AwardPoints("t3_a", user, points))
    assert [at.user for at in game.complete()] == ["early", "late"]


def test_a_score_keeps_the_fields_of_a_newer_version(game: World) -> None:
    game.put(Score("t3_a", "ann", 1, unknown={"streak": 7}))
    score = game.do(AwardPoints("t3_a", "ann", 1))
    assert isinstance(score, Score)
    assert (score.points, score.unknown) == (2, {"streak": 7})


def test_a_trophy_is_appended_once(world: World) -> None:
    world.do(AddTrophy("ann", "gold"))
    lifetime = world.do(AddTrophy("ann", "silver"))
    assert lifetime == Lifetime("ann", trophies=Texts(["gold", "silver"]), created_at=NOW, updated_at=NOW)
    assert world.changes(AddTrophy("ann", "gold")) == {}
    assert world.do(AddTrophy("ann", "gold")) == lifetime


def test_a_player_holds_no_more_trophies_than_the_limit(world: World) -> None:
    world.put(Lifetime("ann", trophies=Texts(map(str, range(TEXTS_MAX)))))
    assert world.changes(AddTrophy("ann", "7")) == {}
    with pytest.raises(InvalidValue, match="at most"):
        world.do(AddTrophy("ann", "one more"))


@given(st.lists(st.floats(0, 1e6) | st.integers(0, 10**6), min_size=1, max_size=40))
def test_running_means_are_the_means(observed: list[float]) -> None:
    world = World()
    world.create()
    for value in observed:
        world.do(RecordAnalytics("t3_a", avg_solve_time=value))
    found = world.get("analytics:t3_a")
    assert isinstance(found, Analytics)
    assert found.avg_solve_time == pytest.approx(fmean(observed), rel=1e-9, abs=1e-9)
    assert found.samples == {"avgSolveTime": len(observed)}


def test_each_metric_has_a_mean_and_a_count_of_its_own(game: World) -> None:
    game.do(RecordAnalytics("t3_a", invalid_rate=0, mod_responsiveness=30))
    game.do(RecordAnalytics("t3_a", invalid_rate=1))
    found = game.do(RecordAnalytics("t3_a"))
    assert isinstance(found, Analytics)
    assert (found.invalid_rate, found.avg_solve_time, found.mod_responsiveness) == (0.5, None, 30)
    assert found.samples == {"invalidRate": 2, "modResponsiveness": 1}


def test_completing_settles_every_participant(played: World) -> None:
    final = played.complete(trophies={"ann": ["gold"], "guest": ["cheer"]})
    assert final == [
        Standing(1, "cat", 7.5, 0),
        Standing(2, "ann", 5, 1),
        Standing(3, "bob", 5, 0),
        Standing(3, "dan", 5, 0),
    ]
    assert played.get("lifetime:ann") == Lifetime("ann", 1, 1, 5, Texts(["gold"]), NOW, NOW)
    assert played.get("history:ann:t3_a") == PlayedMatch("ann", "t3_a", 5, 1, 2, "sunsets", NOW, NOW, NOW)
    assert played.get("lifetime:guest") == Lifetime("guest", trophies=Texts(["cheer"]), created_at=NOW, updated_at=NOW)
    assert played.get("history:guest:t3_a") is None


def test_a_trophy_won_again_at_completion_is_held_once(game: World) -> None:
    game.do(AddTrophy("ann", "gold"))
    game.complete(trophies={"ann": ["gold", "silver", "silver"]})
    lifetime = game.get("lifetime:ann")
    assert isinstance(lifetime, Lifetime)
    assert lifetime.trophies == ["gold", "silver"]


def test_a_completed_match_expires_after_its_time(played: World) -> None:
    played.complete()
    match = played.match()
    assert (match.status, match.completed_at, match.expires_at) == ("completed", NOW, NOW + WEEK_S)


def test_completing_twice_changes_nothing(played: World) -> None:
    final = played.complete()
    again = CompleteMatch("t3_a", trophies={"bob": ["late"]})
    assert played.changes(again) == {}
    assert played.do(again) == final


def test_a_match_nobody_played_completes(game: World) -> None:
    assert game.complete() == []


def test_lifetimes_are_the_sums_of_their_histories(world: World) -> None:
    for post, points, wins in (("t3_a", 2.5, 1), ("t3_b", -1, 0), ("t3_c", 4, 2)):
        world.create(post)
        world.do(AwardPoints(post, "ann", points, wins=wins))
        world.complete(post)
    assert world.get("lifetime:ann") == Lifetime("ann", 3, 3, 5.5, Texts(), NOW, NOW)


def test_a_post_played_before_replaces_its_history_instead_of_counting_twice(world: World) -> None:
    for points, wins in ((10, 2), (3.5, 1)):
        world.now += WEEK_S
        world.create()
        world.do(AwardPoints("t3_a", "ann", points, wins=wins))
        world.complete()
        world.expire()
    lifetime, entry = world.get("lifetime:ann"), world.get("history:ann:t3_a")
    assert isinstance(lifetime, Lifetime)
    assert isinstance(entry, PlayedMatch)
    assert (lifetime.total_points, lifetime.total_wins, lifetime.matches_played) == (3.5, 1, 1)
    assert (entry.points, entry.wins, entry.completed_at, entry.created_at) == (3.5, 1, NOW + 2 * WEEK_S, NOW + WEEK_S)


@pytest.mark.parametrize("held", [{"total_wins": NUMBER_MAX}, {"total_points": NUMBER_MAX}], ids=str)
def test_a_lifetime_never_grows_past_what_can_be_stored(held: dict[str, int]) -> None:
    match = closing(Match("t3_a"), NOW, WEEK_S)
    with pytest.raises(InvalidValue, match="2\\*\\*53"):
        settle(Lifetime("ann", **held), None, match, Standing(1, "ann", 2, 1), (), "ann")


@pytest.mark.parametrize(
    ("given", "before", "created", "updated"),
    [
        (Match("t3_a"), None, NOW, NOW),
        (Match("t3_a", created_at=5.0, updated_at=6.0), None, 5.0, 6.0),
        (Match("t3_a"), Match("t3_a", created_at=5.0, updated_at=6.0), 5.0, NOW),
        (Match("t3_a", created_at=4.0, updated_at=6.0), Match("t3_a", created_at=5.0, updated_at=6.0), 4.0, NOW),
    ],
    ids=["new", "imported", "without times", "with times"],
)
def test_the_store_fills_in_the_times_that_are_not_given(
    world: World, given: Record, before: Record | None, created: float, updated: float
) -> None:
    stored = stamped(given, before, world.when)
    assert (stored.created_at, stored.updated_at) == (created, updated)


@pytest.mark.parametrize(
    ("given", "before", "reached"),
    [
        (Score("p", "u", 1), None, NOW),
        (Score("p", "u", 1, reached_at=7.0), None, 7.0),
        (Score("p", "u", 1, reached_at=9.0), Score("p", "u", 1, reached_at=7.0), 7.0),
        (Score("p", "u", 2, reached_at=7.0), Score("p", "u", 1, reached_at=7.0), NOW),
        (Score("p", "u", 2), Score("p", "u", 1, reached_at=7.0), NOW),
        (Score("p", "u", 2, reached_at=9.0), Score("p", "u", 1, reached_at=7.0), 9.0),
    ],
    ids=["new", "imported", "same score", "edited copy", "score without time", "score with time"],
)
def test_a_score_that_is_put_is_reached_now_unless_it_says_when(
    world: World, given: Score, before: Score | None, reached: float
) -> None:
    stored = stamped(given, before, world.when)
    assert isinstance(stored, Score)
    assert stored.reached_at == reached


def test_everything_that_rules_write_can_be_stored(played: World) -> None:
    played.do(RecordAnalytics("t3_a", invalid_rate=0.5))
    played.do(AwardPoints("t3_a", "eve", 1, request_id="r1"))
    played.complete(trophies={"ann": ["gold"]})
    for key, record in played.records.items():
        assert codec.checked(key, record) == record
        assert codec.decode(key, codec.encode(record)) == record
