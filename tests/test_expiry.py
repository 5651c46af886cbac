"""What is due is gone to the second: for every reader and every command, removed or not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from engines import HeldEngine
from expiring import IDLE_S, KEYS, NOW, QUIET, READS, WEEK_S, lasting, play_match, removals, shown, step, stored
from games import POST, begin, play
from loops import run_on
from opening import MEMORY, Opener

from pictact_actors import (
    AsyncStore,
    AwardPoints,
    CancelMatch,
    CloseRound,
    CompleteMatch,
    CreateRound,
    MatchClosed,
    NotFound,
    RecordAnalytics,
    Store,
    UpdateMatch,
    UpdateRound,
)
from pictact_actors.model.chores import Expire
from pictact_actors.model.commands import Command
from pictact_actors.model.removal import goes_with
from pictact_actors.testing import ManualClock

COMMANDS: list[Command] = [
    AwardPoints(POST, "ann", 1),
    AwardPoints(POST, "ann", 1, request_id="one more"),
    UpdateMatch(POST, theme="rivers"),
    CreateRound(POST, 2, prompt_text="?", start_ts=1, end_ts=2),
    UpdateRound(POST, 1, prompt_text="?"),
    CloseRound(POST, 1, winner_user="ann"),
    RecordAnalytics(POST, invalid_rate=0.5),
    CancelMatch(POST),
    CompleteMatch(POST),
    CompleteMatch(POST, trophies={"ann": ["cup"]}),
]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, open_store: Opener, clock: ManualClock) -> Store:
    """A store of each kind with a match that everybody has played, and another one."""
    opened: Store = open_store(MEMORY if request.param == "memory" else None, clock=clock, **QUIET)
    begin(opened, "t3_other")
    play_match(opened)
    return opened


@pytest.fixture(params=["completed", "cancelled"])
def over(request: pytest.FixtureRequest, store: Store) -> Store:
    """The match is over, in either way."""
    if request.param == "completed":
        store.complete_match(POST, trophies={"ann": ["cup"]})
    else:
        store.cancel_match(POST)
    return store


def test_a_match_that_is_over_is_seen_for_a_week_to_the_second(over: Store, clock: ManualClock) -> None:
    clock.advance(WEEK_S - 0.001)
    assert shown(over) == list(READS)
    clock.advance(0.001)
    assert shown(over) == []


def test_a_match_that_nobody_has_read_is_gone_as_well(over: Store, clock: ManualClock) -> None:
    clock.advance(WEEK_S)
    assert shown(over) == []


@pytest.mark.parametrize("read", READS.values(), ids=list(READS))
def test_each_way_to_look_finds_it_gone_first(over: Store, clock: ManualClock, read: Callable[[Store], Any]) -> None:
    assert read(over)
    clock.advance(WEEK_S)
    with contextlib.suppress(NotFound):
        assert not read(over)


@pytest.mark.parametrize("command", COMMANDS, ids=repr)
def test_a_command_finds_no_match_from_that_second_on(over: Store, clock: ManualClock, command: Command) -> None:
    clock.advance(WEEK_S)
    before = stored(over)
    with pytest.raises(NotFound):
        over.ask(command).get()
    with pytest.raises(NotFound), over.transaction() as tx:
        tx._do(command, None)
    assert stored(over) == before


def test_the_request_ids_of_a_match_end_with_it(over: Store, clock: ManualClock) -> None:
    clock.advance(WEEK_S - 1)
    with pytest.raises(MatchClosed):
        over.award_points(POST, "ann", 1)
    assert over.award_points(POST, "ann", 1, request_id="one more").points == 4
    clock.advance(1)
    with pytest.raises(NotFound):
        over.award_points(POST, "ann", 1, request_id="one more")


def test_nothing_of_it_is_seen_while_it_is_removed_step_by_step(over: Store, clock: ManualClock) -> None:
    clock.advance(WEEK_S)
    going = sum(goes_with((POST,), key) for key in stored(over))
    for left in reversed(range(going)):
        assert step(over, 1).done == (not left)
        assert shown(over) == []
        assert sum(goes_with((POST,), key) for key in stored(over)) == left


def test_nothing_of_it_comes_back_when_the_store_is_opened_in_the_middle(
    open_store: Opener, clock: ManualClock
) -> None:
    store: Store = open_store(clock=clock, **QUIET)
    play_match(store)
    store.complete_match(POST)
    kept = lasting(store)
    clock.advance(WEEK_S)
    going = sum(goes_with((POST,), key) for key in stored(store))
    for removed in range(going):
        store.close()
        store = open_store(clock=clock, **QUIET)
        assert shown(store) == []
        assert sum(goes_with((POST,), key) for key in stored(store)) == going - removed
        assert step(store, 1).records == 1
    assert (shown(store), lasting(store)) == ([], kept)
    (audit,) = removals(store)
    assert sum(audit.removed.values()) == going


def test_what_a_loaded_board_held_is_gone_with_its_match(over: Store, clock: ManualClock) -> None:
    assert len(over.leaderboard(POST)) == 3
    clock.advance(WEEK_S)
    over.cleanup()
    with pytest.raises(NotFound):
        over.leaderboard(POST)
    with pytest.raises(NotFound):
        over.standing(POST, "ann")


def test_records_that_are_not_in_the_cache_are_gone_as_well(open_store: Opener, clock: ManualClock) -> None:
    store: Store = open_store(clock=clock, cache_bytes_max=1, **QUIET)
    begin(store, "t3_other")
    play_match(store)
    store.complete_match(POST)
    assert shown(store) == list(READS)
    clock.advance(WEEK_S)
    assert shown(store) == []


def test_a_scan_shows_one_moment_whatever_expires_and_is_made_anew_meanwhile(over: Store, clock: ManualClock) -> None:
    begun_before = over.scan("")
    next(begun_before)
    clock.advance(WEEK_S)
    begun_after = over.scan("")
    next(begun_after)
    over.cleanup()
    begin(over)
    assert any(goes_with((POST,), key) for key, _ in begun_before)
    assert not any(goes_with((POST,), key) for key, _ in begun_after)


def test_an_async_host_sees_the_same(over: Store, clock: ManualClock) -> None:
    async def reads(store: AsyncStore) -> list[object]:
        return await asyncio.gather(
            store.match(POST),
            store.score(POST, "ann"),
            store.rounds(POST),
            store.leaderboard(POST),
            store.analytics(POST),
            store.award_points(POST, "ann", 1, request_id="one more"),
            return_exceptions=True,
        )

    async def play(store: AsyncStore) -> None:
        assert not any(isinstance(answer, Exception) for answer in await reads(store))
        clock.advance(WEEK_S)
        assert {type(answer) for answer in await reads(store)} == {NotFound}
        assert await store.get_many(KEYS) == {}
        assert [key async for key, _ in store.scan(f"score:{POST}:")] == []
        async with store.transaction() as tx:
            assert await tx.get_many(KEYS) == {}
        assert (await store.cleanup()).matches == 1
        assert {type(answer) for answer in await reads(store)} == {NotFound}

    run_on(over, play)


def test_what_players_have_lasts(over: Store, clock: ManualClock) -> None:
    kept = lasting(over)
    clock.advance(WEEK_S)
    assert lasting(over) == kept
    over.cleanup()
    assert lasting(over) == kept
    clock.advance(1000 * WEEK_S)
    over.cleanup()
    assert lasting(over) == kept


# -- matches that never end


def test_an_open_match_is_removed_after_ninety_days_without_a_change(store: Store, clock: ManualClock) -> None:
    clock.advance(IDLE_S - 1)
    assert store.cleanup().matches == 0
    assert shown(store) == list(READS)
    clock.advance(1)
    assert store.cleanup().matches == 2
    assert shown(store) == []
    assert {(audit.post_id, audit.reason) for audit in removals(store)} == {(POST, "idle"), ("t3_other", "idle")}


def test_an_open_match_lives_on_when_a_score_changed(store: Store, clock: ManualClock) -> None:
    clock.advance(IDLE_S - 10)
    store.award_points(POST, "ann", 1)
    played_at = clock.now()
    clock.advance(10)
    assert store.cleanup().matches == 1
    assert store.match(POST).updated_at == played_at
    assert shown(store) == list(READS)
    clock.set(played_at + IDLE_S)
    assert store.cleanup().matches == 1
    assert shown(store) == []


def test_nobody_plays_on_in_an_idle_match_that_is_half_removed(store: Store, clock: ManualClock) -> None:
    clock.advance(IDLE_S)
    answers = store.submit([AwardPoints("t3_other", "ann", 1)])
    assert step(store).records == 2
    assert answers[0].get().points == 1
    assert shown(store) == []
    for command in COMMANDS:
        with pytest.raises(NotFound):
            store.ask(command).get()
    store.cleanup()
    assert not any(goes_with((POST,), key) for key in stored(store))
    (audit,) = removals(store)
    assert (audit.reason, audit.done, audit.removed["score"]) == ("idle", True, 3)


def test_a_command_behind_the_first_step_of_an_idle_match_is_refused(store: Store, clock: ManualClock) -> None:
    clock.advance(IDLE_S)
    removal, award = store.submit([Expire(POST, 2), AwardPoints(POST, "ann", 1)])
    assert removal.get().records == 2
    with pytest.raises((MatchClosed, NotFound)):
        award.get()


def test_looking_through_a_large_idle_match_holds_nobody_up(
    open_store: Opener, held: HeldEngine, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Store = open_store(engine=held, clock=clock, shards=1, **QUIET)
    begin(store)
    play(store, {f"u{number:03}": 1 for number in range(300)})
    clock.advance(IDLE_S)
    begin(store, "t3_other")
    monkeypatch.setattr("pictact_actors.runtime.crossing.STEP_S", 0.0)
    removal, award, late = store.submit(
        [Expire(POST, 2), AwardPoints("t3_other", "ann", 1), AwardPoints(POST, "ann", 1)]
    )
    assert (removal.get().records, award.get().points) == (2, 1)
    with pytest.raises((MatchClosed, NotFound)):
        late.get()
    assert [cause for causes in held.commits for cause in causes][-2:] == ["award_points", "expire"]


# -- answers to requests of users


def test_the_answer_to_a_users_request_is_kept_for_a_week(store: Store, clock: ManualClock) -> None:
    store.add_trophy("ann", "gold", request_id="r1")
    clock.advance(WEEK_S - 1)
    store.cleanup()
    assert store.add_trophy("ann", "gold", request_id="r1").updated_at == NOW
    assert "request:lifetime:ann:r1" in stored(store)
    clock.advance(3_602)
    assert store.cleanup().requests == 1
    assert "request:lifetime:ann:r1" not in stored(store)
    assert not [key for key in stored(store) if key.startswith("due:answered")]
    assert store.add_trophy("ann", "silver", request_id="r1").trophies == ["gold", "silver"]


def test_many_answers_are_forgotten_step_by_step(open_store: Opener, clock: ManualClock) -> None:
    store: Store = open_store(MEMORY, clock=clock, cleanup_step=3, **QUIET)
    for number in range(20):
        clock.advance(600)
        store.add_trophy("ann", f"t{number % 3}", request_id=f"r{number}")
    clock.advance(WEEK_S)
    begun = store.cleanup().requests
    clock.advance(4 * 3_600)
    assert begun + store.cleanup().requests == 20
    assert not [key for key in stored(store) if key.startswith(("request:", "due:answered"))]
