"""Removing what is due: everything of the match, nothing else, in steps that can stop anywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import NOW, WEEK_S, World

from pictact_actors import (
    AddTrophy,
    AwardPoints,
    CancelMatch,
    CloseRound,
    CreateMatch,
    CreateRound,
    Match,
    MatchClosed,
    NotFound,
    RecordAnalytics,
    Score,
    UpdateRound,
)
from pictact_actors.model.chores import Expire, Forget, Strike, Sweep
from pictact_actors.model.commands import Command
from pictact_actors.model.deciding import decide_anew
from pictact_actors.model.indexes import due_key
from pictact_actors.model.records import Audit, Record
from pictact_actors.model.removal import NOTHING_DUE, Emptied, Removal, anew, due_time, goes_with
from pictact_actors.model.updating import Update

DAY_S = 86_400.0
IDLE_S = 90 * DAY_S
POST = "t3_a"
ANEW = CreateMatch(POST, subreddit="art", rounds_total=1, theme="again", created_by="mod", request_id="created")
PLAYERS = ("ann", "bob", "cat")


def play(world: World, post_id: str = POST) -> None:
    """An ordinary match: everything that a match can have."""
    world.do(replace(ANEW, post_id=post_id, theme="sunsets"))
    world.do(CreateRound(post_id, 0, prompt_text="?", start_ts=1, end_ts=2))
    for place, user in enumerate(PLAYERS):
        world.do(AwardPoints(post_id, user, place, request_id=f"award-{user}"))
    world.do(CloseRound(post_id, 0, winner_user="ann", points=5))
    world.do(RecordAnalytics(post_id, invalid_rate=0.5))
    world.do(RecordAnalytics(post_id, invalid_rate=0.7))


@pytest.fixture
def over(world: World) -> World:
    """Two matches that everybody has played; one was completed a week ago, the other goes on."""
    play(world, "t3_b")
    play(world)
    world.complete(trophies={"ann": ["cup"]})
    world.now += WEEK_S
    return world


def of_match(world: World, post_id: str = POST) -> list[str]:
    return [key for key in world.records if goes_with((post_id,), key)]


def step(world: World, limit: int = 1_000, post_id: str = POST, after: str = "") -> Removal:
    answer = world.do(Expire(post_id, limit, after))
    assert isinstance(answer, Removal)
    return answer


def audits(world: World) -> list[Audit]:
    return [record for record in world.scan("audit:") if isinstance(record, Audit)]


def test_a_match_is_removed_with_everything_that_goes_with_it(over: World) -> None:
    before = dict(over.records)
    going = of_match(over)
    assert {key.partition(":")[0] for key in going} == {"match", "round", "score", "analytics", "request"}
    assert step(over) == Removal(len(going), done=True)
    assert of_match(over) == []
    left = {key: record for key, record in over.records.items() if not key.startswith("audit:")}
    assert left == {key: record for key, record in before.items() if key not in going}


def test_players_keep_lifetime_history_and_trophies(over: World) -> None:
    kept = {key: record for key, record in over.records.items() if key.startswith(("lifetime:", "history:"))}
    assert len(kept) == 2 * len(PLAYERS)
    step(over)
    assert {key: over.records[key] for key in kept} == kept


def test_details_of_observations_outlive_their_match(over: World) -> None:
    step(over)
    assert [record.key for record in over.scan(f"observation:{POST}:")] == [f"observation:{POST}:{n}" for n in (1, 2)]


@pytest.mark.parametrize("early_s", [1e-3, 1, DAY_S])
def test_nothing_is_removed_before_it_is_due(over: World, early_s: float) -> None:
    over.now -= early_s
    before = dict(over.records)
    assert step(over) == NOTHING_DUE
    assert over.records == before


def test_what_is_gone_is_not_removed_again(over: World) -> None:
    step(over)
    before = dict(over.records)
    assert step(over) == NOTHING_DUE
    assert step(over, post_id="t3_never") == NOTHING_DUE
    assert over.records == before


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 9, 100])
@pytest.mark.parametrize("going_on", [True, False], ids=["going on", "from the beginning"])
def test_a_removal_goes_step_by_step_and_the_match_goes_last(over: World, limit: int, *, going_on: bool) -> None:
    going = len(of_match(over))
    removed, after = 0, ""
    while POST in {match.post_id for match in over.scan("match:") if isinstance(match, Match)}:
        answer = step(over, limit, after=after)
        after = answer.last if going_on else ""
        removed += answer.records
        assert answer.records <= limit
        assert len(of_match(over)) == going - removed
        assert answer.done == (going == removed)
        (audit,) = audits(over)
        assert (sum(audit.removed.values()), audit.done) == (removed, answer.done)
    assert removed == going


def test_the_audit_says_what_was_removed_when_and_why(over: World) -> None:
    due_at = over.match().expires_at
    over.now += 60
    step(over)
    (audit,) = audits(over)
    counts = {"match": 1, "round": 1, "score": 3, "analytics": 1, "request": 4}
    assert (audit.post_id, audit.reason, audit.due_at, audit.theme) == (POST, "completed", due_at, "sunsets")
    assert (audit.created_at, audit.updated_at, audit.done) == (over.now, over.now, True)
    assert (audit.subreddit, audit.removed) == ("art", counts)


def test_steps_of_one_removal_share_one_entry_of_the_audit(over: World) -> None:
    step(over, 2)
    began = over.now
    over.now += DAY_S
    step(over)
    (audit,) = audits(over)
    assert (audit.created_at, audit.updated_at) == (began, over.now)


def test_a_cancelled_match_goes_a_week_after_it_was_cancelled(world: World) -> None:
    play(world)
    world.now += DAY_S
    world.do(CancelMatch(POST))
    assert world.match().expires_at is None
    world.now += WEEK_S - 1
    assert step(world) == NOTHING_DUE
    world.now += 1
    assert step(world, 2).records == 2
    assert step(world).done
    (audit,) = audits(world)
    assert (audit.reason, audit.due_at, audit.removed["match"]) == ("cancelled", NOW + DAY_S + WEEK_S, 1)


# -- matches that nobody plays any more


def test_an_open_match_goes_after_ninety_days_without_a_change(world: World) -> None:
    play(world)
    world.now += IDLE_S - 1
    assert step(world) == NOTHING_DUE
    world.now += 1
    assert step(world).done
    (audit,) = audits(world)
    assert (audit.reason, audit.due_at) == ("idle", NOW + IDLE_S)


CHANGES: dict[str, Command] = {
    "a score": AwardPoints(POST, "ann", 1),
    "a round": UpdateRound(POST, 0, prompt_text="what?"),
    "analytics": RecordAnalytics(POST, avg_solve_time=3),
    "a request that changed nothing": CloseRound(POST, 0, request_id="again"),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_an_open_match_stays_when_anything_of_it_changed(world: World, changed: str) -> None:
    play(world)
    world.now += 60 * DAY_S
    world.do(CHANGES[changed])
    world.now += 30 * DAY_S
    assert step(world) == NOTHING_DUE
    assert world.match().updated_at == NOW + 60 * DAY_S
    assert due_time(world.match(), world.when) == NOW + 150 * DAY_S
    world.now = NOW + 150 * DAY_S
    assert step(world).done


def test_an_idle_match_is_over_from_the_first_step_of_its_removal_on(world: World) -> None:
    play(world)
    world.now += IDLE_S
    going = len(of_match(world))
    assert step(world, 2) == Removal(2, done=False, last=f"score:{POST}:bob")
    assert (world.match().status, world.match().expires_at) == ("cancelled", NOW + IDLE_S)
    with pytest.raises(MatchClosed):
        world.do(AwardPoints(POST, "ann", 1))
    assert step(world).records == going - 2
    (audit,) = audits(world)
    assert (audit.reason, audit.due_at, audit.done) == ("idle", NOW + IDLE_S, True)
    assert sum(audit.removed.values()) == going


# -- what takes the place of a match that is due


def decided_anew(world: World, command: Command) -> object:
    outcome = decide_anew(command.checked(), POST, world, world.when)
    world.write(outcome.changes)
    return outcome.answer


def test_a_match_that_is_due_makes_room_for_a_new_one(over: World) -> None:
    lasting = {key: record for key, record in over.records.items() if not goes_with((POST,), key)}
    created = decided_anew(over, ANEW)
    assert isinstance(created, Match)
    assert (created.theme, created.created_at) == ("again", over.now)
    assert of_match(over) == [created.key, f"request:match:{POST}:created"]
    (audit,) = audits(over)
    assert (audit.reason, audit.done, audit.removed["score"]) == ("completed", True, 3)
    assert {key: over.records[key] for key in lasting} == lasting


@pytest.mark.parametrize(
    "command",
    [
        AwardPoints(POST, "ann", 1),
        AwardPoints(POST, "ann", 0, request_id="award-ann"),
        CancelMatch(POST),
        CloseRound(POST, 0),
        RecordAnalytics(POST, invalid_rate=0.1),
    ],
    ids=lambda command: command.NAME,
)
def test_other_commands_find_no_match_and_remove_nothing(over: World, command: Command) -> None:
    before = dict(over.records)
    with pytest.raises(NotFound):
        decided_anew(over, command)
    assert over.records == before


def test_a_function_that_updates_what_is_gone_gets_nothing_and_writes_nothing(over: World) -> None:
    before = dict(over.records)
    seen: list[Record | None] = []

    def made(record: Record | None) -> Record:
        seen.append(record)
        return Score(POST, "ann", 1)

    decided_anew(over, Update(f"score:{POST}:ann", made, "r1"))
    assert seen == [None]
    assert over.records == before


def test_room_is_made_for_the_new_match_whatever_the_rounding_of_times_says(over: World) -> None:
    over.now -= 1e-6
    new: dict[str, Record | None] = {f"match:{POST}": Match(POST)}
    assert anew(POST, new, over, over.when)[f"score:{POST}:ann"] is None
    assert anew("t3_never", {"match:t3_never": Match("t3_never")}, over, over.when).keys() == {"match:t3_never"}


def test_a_view_in_which_a_post_is_gone_shows_everything_else(over: World) -> None:
    view = Emptied(over, POST)
    shown = [record.key for record in view.scan("")]
    assert sorted([*shown, *of_match(over)]) == sorted(over.records)
    assert [key for key in over.records if view.get(key) is None] == of_match(over)


def test_a_post_by_the_name_of_a_kind_is_a_post_like_any_other() -> None:
    assert goes_with(("match",), "match:match")
    assert not goes_with(("match",), "request:match:t3_a:r1")
    assert goes_with(("match",), "request:match:match:r1")
    assert not goes_with(("ann",), "lifetime:ann")
    assert not goes_with(("ann",), "history:ann:t3_a")
    assert not goes_with(("ann",), "request:lifetime:ann:r1")


# -- answers to requests of users

SWEEP = Sweep(NOW + WEEK_S, 2, "forgotten")


def forget(world: World, limit: int = 1_000) -> Removal:
    answer = world.do(Forget("ann", NOW, limit, SWEEP))
    assert isinstance(answer, Removal)
    return answer


@pytest.fixture
def asked(world: World) -> World:
    """Ann has asked five times, the last time a day later."""
    for number in range(5):
        world.now = NOW if number < 4 else NOW + DAY_S
        world.do(AddTrophy("ann", f"t{number}", request_id=f"r{number}"))
    world.put(Score("due", "x"))
    return world


def test_answers_that_are_old_enough_are_forgotten_and_the_others_kept(asked: World) -> None:
    asked.now = NOW + WEEK_S - 1
    asked.records[due_key("answered", NOW, "ann")] = Score("stands for", "the index")
    assert forget(asked) == NOTHING_DUE
    asked.records[due_key("answered", NOW, "ann")] = Score("stands for", "the index")
    asked.now += 1
    assert forget(asked) == Removal(4, done=True)
    assert [record.key for record in asked.scan("request:")] == ["request:lifetime:ann:r4"]
    assert due_key("answered", NOW, "ann") not in asked.records
    (audit,) = audits(asked)
    assert (audit.reason, audit.owner, audit.post_id, audit.removed) == ("forgotten", "2", None, {"request": 4})


def test_answers_are_forgotten_in_steps_and_the_index_entry_goes_last(asked: World) -> None:
    asked.now += WEEK_S
    entry = due_key("answered", NOW, "ann")
    asked.records[entry] = Score("stands for", "the index")
    assert [forget(asked, 2) for _ in range(2)] == [Removal(2, done=False)] * 2
    assert entry in asked.records
    assert forget(asked, 2) == Removal(1, done=True)
    assert entry not in asked.records
    assert audits(asked)[0].removed == {"request": 5}


def test_an_answer_counts_for_a_week_also_where_nobody_has_forgotten_it_yet(asked: World) -> None:
    asked.now = NOW + WEEK_S - 1
    first = asked.do(AddTrophy("ann", "t0", request_id="r0"))
    assert asked.changes(AddTrophy("ann", "t0", request_id="r0")) == {}
    asked.now += 1
    assert asked.do(AddTrophy("ann", "new", request_id="r0")) != first
    assert asked.records["request:lifetime:ann:r0"].created_at == asked.now


def test_an_entry_of_the_audit_is_struck_when_nothing_was_added_to_it_for_long(over: World) -> None:
    step(over)
    (audit,) = audits(over)
    assert over.do(Strike(audit.key, audit.updated_at - 1)) == NOTHING_DUE
    assert over.do(Strike(audit.key, audit.updated_at)) == Removal(1, done=True)
    assert over.do(Strike(audit.key, audit.updated_at)) == NOTHING_DUE
    assert audits(over) == []


# -- whatever a match has


@given(
    scores=st.sets(st.text("abc", min_size=1, max_size=3), max_size=12),
    rounds=st.sets(st.integers(0, 20), max_size=5),
    limits=st.lists(st.integers(1, 5), min_size=30, max_size=30),
)
def test_any_removal_ends_with_all_of_it_gone_and_counted_once(
    scores: set[str], rounds: set[int], limits: list[int]
) -> None:
    world = World()
    world.create()
    for index in rounds:
        world.do(CreateRound(POST, index, prompt_text="?", start_ts=1, end_ts=2, request_id=f"r{index}"))
    for user in scores:
        world.do(AwardPoints(POST, user, 1))
    world.complete()
    world.now += WEEK_S
    going = len(of_match(world))
    steps = [step(world, limit) for limit in limits]
    assert steps[-1] == NOTHING_DUE
    assert sum(answer.records for answer in steps) == going
    assert of_match(world) == []
    (audit,) = audits(world)
    assert sum(audit.removed.values()) == going
    assert {record.user for record in world.scan("history:")} == scores  # type: ignore[attr-defined]
