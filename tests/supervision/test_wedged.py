"""An actor that stands still holds up nobody but itself, and not for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import pytest
from breakdowns import (
    BAD,
    HERE,
    PLACES,
    STANDSTILLS,
    THERE,
    WEDGED_S,
    Hosts,
    SetTrap,
    assert_nothing_is_left,
    by_a_crossing,
    by_a_message,
    counted_looks,
    events,
    lay,
    post_in,
    replaced,
    restart,
    restarts,
    user_in,
)
from engines import PATIENCE_S, HeldShard, Probe, inside
from games import play, points_of
from loops import run_on
from opening import Opener
from waiting import until

from pictact_actors import (
    AsyncStore,
    AwardPoints,
    CompleteMatch,
    ConflictAborted,
    MatchClosed,
    NotFound,
    Score,
    ShardRestarted,
    Store,
)
from pictact_actors.runtime import crossing
from pictact_actors.runtime.shard import ShardActor

OpenGame = Callable[..., Store]
BACK_S = 5.0
"""A shard is served again within this."""
UNDISTURBED_S = 0.1
"""Others hardly notice."""


def seconds_of(act: Callable[[], Any]) -> float:
    since = perf_counter()
    act()
    return perf_counter() - since


def gone(actor: Any) -> None:
    """Wait until an actor that was replaced has come to its end."""
    until(lambda: not actor.thread.is_alive())


@pytest.mark.parametrize("standstill", STANDSTILLS)
def test_a_shard_whose_actor_stands_still_is_soon_served_again_and_others_hardly_notice(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap, standstill: str
) -> None:
    trap, link = set_trap(), game.runtime.links[0]
    old = link.actor
    with Hosts(game, [THERE, post_in(2)]) as hosts:
        reply = STANDSTILLS[standstill](monkeypatch, game, trap)
        trap.wait()
        assert seconds_of(lambda: game.award_points(HERE, "ann", 1)) < BACK_S
        hosts.do_some()
    hosts.end()
    assert hosts.p95_s() < UNDISTURBED_S
    if reply is not None:
        reply.get()
    told = [entry.seq for entry in game.entries()]
    trap.let_go()
    gone(old)
    assert [entry.seq for entry in game.entries()] == told
    awarded = {BAD: 1} if reply is not None and isinstance(reply.get(), Score) else {}
    assert points_of(game, HERE) == {"ann": 1, **awarded}
    assert restarts(game) == [1, 0, 0, 0]
    assert_nothing_is_left(game)


@pytest.mark.parametrize("place", PLACES)
def test_what_waits_for_an_actor_that_stands_still_is_done_once_in_order_and_still_there_later(
    open_game: OpenGame, open_store: Opener, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap, place: str
) -> None:
    game, trap = open_game(None), set_trap()
    lay(monkeypatch, trap, place)
    link = game.runtime.links[0]
    old = link.actor
    awards = [AwardPoints(HERE, user, 1) for user in ["ann", BAD, "ann", "bob"]]
    with HeldShard(link):
        replies = game.submit(awards)
    trap.wait()
    replies += game.submit(awards)
    assert [reply.get().points for reply in replies] == [1, 1, 2, 1, 3, 2, 4, 2]
    trap.let_go()
    gone(old)
    assert points_of(game, HERE) == {"ann": 4, BAD: 2, "bob": 2}
    game.close()
    assert points_of(open_store(), HERE) == {"ann": 4, BAD: 2, "bob": 2}


def test_an_actor_that_wakes_up_too_late_changes_nothing(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    """It is in the middle of many messages, with steps of two crossings behind them."""
    play(game, {user_in(0): 1, user_in(1): 1}, HERE)
    trap, link = set_trap(), game.runtime.links[0]
    lay(monkeypatch, trap, "before it is decided")
    with HeldShard(link):
        replies = game.submit([AwardPoints(HERE, user, 1) for user in ["ann", BAD, "bob"]])
        replies += game.submit([CompleteMatch(HERE), CompleteMatch(post_in(0, 1)), AwardPoints(HERE, "eve", 1)])
    trap.wait()
    old = link.actor
    replaced(link, old, game)
    completed = replies[3].get()
    assert {at.user for at in completed} == {"ann", BAD, "bob", user_in(0), user_in(1)}
    for reply, refusal in zip(replies[4:], (NotFound, MatchClosed), strict=True):
        with pytest.raises(refusal):
            reply.get()
    seq, new = game.statistics().seq, link.actor
    trap.let_go()
    gone(old)
    assert inside(link, lambda shard: (shard is new, len(shard._jobs))) == (True, 0)
    assert (game.statistics().seq, restarts(game)) == (seq, [1, 0, 0, 0])
    assert game.lifetime("ann").matches_played == 1
    assert_nothing_is_left(game)


def test_a_crossing_that_an_actor_wakes_up_with_does_not_go_on(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap, link = set_trap(), game.runtime.links[0]
    old = link.actor
    reply = by_a_crossing(monkeypatch, game, trap)
    trap.wait()
    reply.get()
    seq, new = game.statistics().seq, link.actor
    trap.let_go()  # more than one step is over, so it means to go on with the next
    gone(old)
    assert inside(link, lambda shard: shard is new)
    assert (game.statistics().seq, restarts(game)) == (seq, [1, 0, 0, 0])
    assert game.lifetime(user_in(0)).matches_played == 1
    assert_nothing_is_left(game)


def test_a_transaction_that_lost_its_locks_is_told_and_runs_again(game: Store, set_trap: SetTrap) -> None:
    trap, runs = set_trap(), list[int]()

    def award(tx: Any) -> None:
        runs.append(1)
        tx.award_points(HERE, "ann", 1)
        tx.award_points(THERE, "ann", 1)
        if len(runs) == 1:
            old = game.runtime.links[0].actor
            game.runtime.links[0].tell(Probe(lambda _shard: trap.spring()))
            replaced(game.runtime.links[0], old, game)

    game.transact(award, timeout=PATIENCE_S)
    assert len(runs) == 2
    assert points_of(game, HERE) == points_of(game, THERE) == {"ann": 1}
    assert_nothing_is_left(game)


def test_a_transaction_that_waits_there_for_a_lock_is_told_so(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap = set_trap()

    def hold() -> None:
        with ThreadPoolExecutor(1) as pool, game.transaction() as tx:
            tx.get(f"match:{HERE}")
            waiting = pool.submit(lock_both, game)
            until(lambda: len(game.runtime.waits))
            by_a_message(monkeypatch, game, trap)
            with pytest.raises(ShardRestarted, match="no progress"):
                waiting.result(PATIENCE_S)

    with pytest.raises(ConflictAborted, match="restarted"):
        hold()
    assert game.transact(lambda later: later.award_points(HERE, "ann", 1)).points == 1
    assert_nothing_is_left(game)


def lock_both(game: Store) -> None:
    with game.transaction(timeout=PATIENCE_S) as tx:
        tx.get(f"match:{THERE}")
        tx.get(f"match:{HERE}")


def test_tasks_of_an_event_loop_are_answered_too_and_the_loop_goes_on(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap = set_trap()

    async def work(store: AsyncStore) -> None:
        by_a_message(monkeypatch, game, trap)
        here = asyncio.gather(*(store.award_points(HERE, "ann", 1) for _ in range(20)))
        both = asyncio.ensure_future(store.transact(lambda tx: tx.award_points(HERE, "bob", 1)))
        for number in range(20):
            assert (await store.award_points(THERE, "ann", 1)).points == number + 1
        assert not here.done()
        assert [score.points for score in await here] == list(range(1, 21))
        assert (await both).points == 1

    run_on(game, work)
    assert_nothing_is_left(game)


def test_where_everybody_was_is_logged_once(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap, caplog: pytest.LogCaptureFixture
) -> None:
    trap = set_trap()
    STANDSTILLS["by a rule"](monkeypatch, game, trap).get()  # type: ignore[union-attr]  # it is a reply
    (wedged,), (restarted,) = events(caplog, "shard_wedged"), events(caplog, "shard_restarted")
    assert (wedged["shard"], wedged["cause"]) == (0, f"no progress for {WEDGED_S:g} s")
    assert (restarted["shard"], restarted["message"]) == (0, f"award_points match:{HERE}")
    assert "MainThread" in wedged["stacks"]
    assert any("in spring" in frame for frames in wedged["stacks"].values() for frame in frames)


def test_a_store_closes_promptly_while_an_actor_stands_still(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap = set_trap()
    by_a_message(monkeypatch, game, trap)
    trap.wait()
    replies = game.submit([AwardPoints(HERE, "ann", 1) for _ in range(20)])
    completing = game.ask(CompleteMatch(post_in(0, 1)))
    assert seconds_of(game.close) < BACK_S
    assert [reply.get(0).points for reply in replies] == list(range(1, 21))
    assert completing.done()
    assert [link.gate.in_flight for link in game.runtime.links] == [0, 0, 0, 0]


def test_an_actor_that_goes_from_one_message_to_the_next_is_not_replaced(
    game: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message takes most of the time that an actor has, and there are many of them."""
    with counted_looks(monkeypatch, game) as looked:
        decision = ShardActor._decision

        def slow(self: ShardActor, *args: Any) -> Any:
            looked(1)
            return decision(self, *args)

        monkeypatch.setattr(ShardActor, "_decision", slow)
        with HeldShard(game.runtime.links[0]):
            replies = game.submit([AwardPoints(HERE, "ann", 1) for _ in range(12)])
        assert [reply.get().points for reply in replies] == list(range(1, 13))
    assert restarts(game) == [0, 0, 0, 0]


def test_a_long_crossing_is_work_in_many_steps_and_not_a_standstill(
    game: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(game, {f"u{n}": 1 for n in range(12)}, HERE)
    with counted_looks(monkeypatch, game) as looked:
        settle = crossing.settle
        monkeypatch.setattr(crossing, "settle", lambda *args: (looked(1), settle(*args))[1])
        assert len(game.complete_match(HERE)) == 12
    assert restarts(game) == [0, 0, 0, 0]


def test_restarts_of_one_shard_do_not_hurry_the_judgement_on_another(open_game: OpenGame) -> None:
    game = open_game(wedged_after_s=5.0, restarts_max=1_000)
    link, busy = game.runtime.links[0], game.runtime.links[1]
    old = busy.actor
    with HeldShard(busy):
        for _ in range(80):
            restart(link, game)
        assert busy.actor is old
    assert game.award_points(HERE, "ann", 1).points == 1
