"""A message that stops its actor twice is not tried again: its caller is told, and it is kept for people to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from breakdowns import (
    BAD,
    HERE,
    MISTAKES,
    PLACES,
    STANDSTILLS,
    WEDGED_S,
    SetTrap,
    assert_nothing_is_left,
    events,
    lay,
    post_in,
    restarts,
    user_in,
)
from engines import PATIENCE_S, HeldShard
from games import points_of
from loops import run_on
from opening import Opener

from pictact_actors import AsyncStore, AwardPoints, Quarantined, Rejected, Score, Store
from pictact_actors.model.commands import PutMany
from pictact_actors.runtime.shard import ShardActor

OpenGame = Callable[..., Store]
COULD_BE_DECIDED = ("before it is staged", "before the committer has it")
REPEATED = [standstill for standstill in STANDSTILLS if standstill not in ("by a message", "when the committer has it")]
"""Standstills that a message causes each time it is decided."""


@pytest.mark.parametrize("standstill", REPEATED)
def test_a_message_that_makes_its_actor_stand_still_twice_is_never_tried_again(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap, caplog: pytest.LogCaptureFixture, standstill: str
) -> None:
    trap = set_trap(times=99)
    reply = STANDSTILLS[standstill](monkeypatch, game, trap)
    assert reply is not None
    with pytest.raises(Quarantined, match="nothing was applied") as caught:
        reply.get()
    assert caught.value.cause == f"no progress for {WEDGED_S:g} s"
    assert game.award_points(HERE, "ann", 1).points == 1
    (kept,) = game.quarantine()
    assert (kept.message, kept.cause) == (caught.value.message, caught.value.cause)
    assert (trap.caught, game.statistics().shards[0].quarantined, restarts(game)) == (2, 1, [2, 0, 0, 0])
    (logged,) = events(caplog, "message_quarantined")
    assert (logged["shard"], logged["cause"]) == (0, caught.value.cause)
    trap.let_go()
    assert_nothing_is_left(game)
    assert points_of(game, HERE) == {"ann": 1}
    assert game.award_points(post_in(3), "ann", 1).points == 1  # a match whose completion it was is open


@pytest.mark.parametrize("mistake", MISTAKES, ids=repr)
def test_a_message_that_kills_its_actor_twice_is_never_tried_again(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap, mistake: BaseException
) -> None:
    trap = set_trap(times=99, error=mistake)
    lay(monkeypatch, trap, "before it is decided")
    with HeldShard(game.runtime.links[0]):
        replies = game.submit([AwardPoints(HERE, user, 1) for user in ["ann", BAD, "ann", "bob"]])
    with pytest.raises(Quarantined) as caught:
        replies[1].get()
    assert caught.value.cause == repr(mistake)
    assert caught.value.message == AwardPoints(HERE, BAD, 1)
    assert [replies[n].get().points for n in (0, 2, 3)] == [1, 2, 1]
    assert trap.caught == 2
    assert points_of(game, HERE) == {"ann": 2, "bob": 1}
    assert_nothing_is_left(game)


@pytest.mark.parametrize("place", PLACES)
def test_a_message_that_stops_its_actor_once_is_done_in_the_end(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap, place: str
) -> None:
    trap = set_trap()
    lay(monkeypatch, trap, place)
    assert game.award_points(HERE, BAD, 1).points == 1
    assert game.award_points(HERE, BAD, 1).points == 2
    assert (trap.caught, game.quarantine()) == (1, [])
    assert restarts(game) == [1, 0, 0, 0]


def test_the_same_message_sent_anew_is_another_one(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap = set_trap(times=3, error=RuntimeError("a mistake"))
    lay(monkeypatch, trap, "before it is decided")
    with pytest.raises(Quarantined):
        game.award_points(HERE, BAD, 1)
    assert game.award_points(HERE, BAD, 1).points == 1
    assert len(game.quarantine()) == 1


def test_the_quarantine_is_bounded_and_the_oldest_goes_first(
    open_game: OpenGame, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    game = open_game(quarantine_max=2, restarts_max=99)
    lay(monkeypatch, set_trap(times=99, error=RuntimeError("a mistake")), "before it is decided")
    for points in range(4):
        with pytest.raises(Quarantined):
            game.award_points(HERE, BAD, points)
    assert [kept.message for kept in game.quarantine()] == [AwardPoints(HERE, BAD, 2), AwardPoints(HERE, BAD, 3)]
    assert game.statistics().shards[0].quarantined == 4


def test_a_task_of_an_event_loop_is_told_too(game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap) -> None:
    lay(monkeypatch, set_trap(times=99), "before it is decided")

    async def work(store: AsyncStore) -> None:
        bad = store.ask(AwardPoints(HERE, BAD, 1), timeout=PATIENCE_S)
        good = store.ask(AwardPoints(HERE, "ann", 1), timeout=PATIENCE_S)
        with pytest.raises(Quarantined):
            await bad
        assert (await good).points == 1
        assert [kept.message for kept in await store.quarantine()] == [AwardPoints(HERE, BAD, 1)]

    run_on(game, work)


def test_a_crossing_in_quarantine_holds_nothing_and_nobody(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap = set_trap(times=99)
    reply = STANDSTILLS["by a crossing"](monkeypatch, game, trap)
    assert reply is not None
    late = game.ask(AwardPoints(post_in(3), user_in(0), 1), timeout=PATIENCE_S)
    with pytest.raises(Quarantined, match="CompleteMatch"):
        reply.get()
    assert late.get().points == 2
    assert game.match(post_in(3)).status == "active"
    assert game.add_trophy(user_in(0), "cup").matches_played == 0
    assert_nothing_is_left(game)


def test_what_is_logged_of_a_large_message_is_short(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap, caplog: pytest.LogCaptureFixture
) -> None:
    trap = set_trap(times=99, error=RuntimeError("a mistake"))
    monkeypatch.setattr(ShardActor, "register", trap.before(ShardActor.register))
    scores = {f"score:{HERE}:u{n}": Score(HERE, f"u{n}", 1) for n in range(5_000)}
    with pytest.raises(Quarantined) as caught:
        game.ask(PutMany(scores)).get()
    assert isinstance(caught.value, Rejected)
    assert len(str(caught.value)) < 1_000
    told = [event["message"] for name in ("shard_restarted", "message_quarantined") for event in events(caplog, name)]
    assert told == [f"put_many match:{HERE}"] * 3
    assert points_of(game, HERE) == {}


def test_what_happened_before_the_store_was_opened_anew_is_not_held_against_a_message(
    open_game: OpenGame, open_store: Opener, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    game = open_game(None)
    with monkeypatch.context() as patched:
        lay(patched, set_trap(times=99, error=RuntimeError("a mistake")), "before it is staged")
        with pytest.raises(Quarantined):
            game.award_points(HERE, BAD, 1, request_id="r1")
    game.close()
    again = open_store()
    assert again.quarantine() == []
    assert again.award_points(HERE, BAD, 1, request_id="r1").points == 1


def award_all(store: Store, users: list[str]) -> list[Any]:
    """Award a point to each at once; return what everybody gets, or the class of the error."""
    told = []
    for reply in store.submit([AwardPoints(HERE, user, 1) for user in users], timeout=PATIENCE_S):
        try:
            told.append(reply.get().points)
        except Rejected as error:
            told.append(type(error))
    return told


def test_a_message_is_not_blamed_for_its_neighbours(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    lay(monkeypatch, set_trap(times=99, error=RuntimeError("a mistake")), "before it is decided")
    assert award_all(game, ["ann", BAD, "bob", BAD, "ann"]) == [1, Quarantined, 1, Quarantined, 2]
    assert restarts(game) == [4, 0, 0, 0]
