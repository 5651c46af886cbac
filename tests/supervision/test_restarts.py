"""An actor that is replaced, whatever for and whenever: nothing is lost or done twice, and everybody is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from breakdowns import (
    BAD,
    HERE,
    MISTAKES,
    PLACES,
    THERE,
    SetTrap,
    Trap,
    assert_nothing_is_left,
    events,
    lay,
    replaced,
    restart,
    restarts,
)
from engines import PATIENCE_S, HeldEngine, HeldShard, Probe, settled
from games import points_of
from waiting import until

from pictact_actors import (
    AwardPoints,
    Store,
)
from pictact_actors.clock import monotonic
from pictact_actors.runtime import committer
from pictact_actors.runtime.reply import answer_all
from pictact_actors.runtime.shard import ShardActor

OpenGame = Callable[..., Store]


# -- killed


@pytest.mark.parametrize("mistake", MISTAKES, ids=repr)
@pytest.mark.parametrize("place", PLACES)
def test_an_actor_that_is_killed_loses_nothing_and_does_nothing_twice(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap, place: str, mistake: BaseException
) -> None:
    lay(monkeypatch, set_trap(error=mistake), place)
    old = game.runtime.links[0].actor
    with HeldShard(game.runtime.links[0]):
        replies = game.submit([AwardPoints(HERE, user, 1) for user in ["ann", BAD, "ann", "bob", BAD]])
    assert [reply.get().points for reply in replies] == [1, 1, 2, 1, 2]
    replaced(game.runtime.links[0], old, game)
    assert points_of(game, HERE) == {"ann": 2, BAD: 2, "bob": 1}
    assert restarts(game) == [1, 0, 0, 0]
    assert_nothing_is_left(game)


@pytest.mark.parametrize("mistake", MISTAKES, ids=repr)
def test_a_message_that_kills_its_actor_kills_nobody_else(
    game: Store, mistake: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    link, trap = game.runtime.links[0], Trap(error=mistake)
    old = link.actor
    link.tell(Probe(lambda _shard: trap.spring()))
    replies = game.submit([AwardPoints(HERE, "ann", 1), AwardPoints(THERE, "ann", 1)])
    assert [reply.get().points for reply in replies] == [1, 1]
    replaced(link, old, game)
    assert restarts(game) == [1, 0, 0, 0]
    (logged,) = events(caplog, "shard_restarted")
    assert (logged["shard"], logged["cause"], logged["message"]) == (0, repr(mistake), None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_actor_whose_thread_died_is_replaced(game: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    link = game.runtime.links[0]
    old = link.actor
    with monkeypatch.context() as patched:
        patched.setattr(ShardActor, "on_fault", Trap(error=RuntimeError("again")).before(ShardActor.on_fault))
        link.tell(Probe(lambda _shard: 1 // 0))
        until(lambda: not old.thread.is_alive())
    replies = game.submit([AwardPoints(HERE, "ann", 1) for _ in range(3)])
    assert [reply.get().points for reply in replies] == [1, 2, 3]
    assert restarts(game) == [1, 0, 0, 0]
    assert_nothing_is_left(game)


def test_a_shard_is_served_as_soon_as_there_is_a_thread_for_its_new_actor(
    game: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    link, trap = game.runtime.links[0], Trap(times=3, error=RuntimeError("can't start new thread"))
    with game.transaction() as tx:
        tx.get(f"match:{THERE}")
    replies = []
    monkeypatch.setattr(ShardActor, "_start_actor_loop", trap.before(ShardActor._start_actor_loop))
    with HeldShard(link):
        replies += game.submit([AwardPoints(HERE, "ann", 1) for _ in range(3)])
        old = restart(link, game)
    replies += game.submit([AwardPoints(HERE, "ann", 1) for _ in range(3)])
    assert [reply.get().points for reply in replies] == [1, 2, 3, 4, 5, 6]
    assert (trap.caught, link.actor is old) == (3, False)
    assert len(events(caplog, "notice_failed")) == 3
    assert_nothing_is_left(game)


# -- between two moments of a write


def test_what_was_staged_and_waits_for_the_disk_when_its_actor_is_replaced_is_done_once(
    kept: Store, held: HeldEngine
) -> None:
    link = kept.runtime.links[0]
    held.hold()
    first = kept.submit([AwardPoints(HERE, "ann", 1)])
    held.wait_for_commit()
    behind = kept.submit([AwardPoints(HERE, "ann", 1), AwardPoints(HERE, "bob", 1)])
    settled(kept)
    old = link.actor
    kept.runtime.supervisor.restart(link, "between staging and commit")
    late = kept.submit([AwardPoints(HERE, "ann", 1)])
    assert not any(reply.done() for reply in [*first, *behind, *late])
    held.let_go()
    assert [reply.get().points for reply in [*first, *behind, *late]] == [1, 2, 1, 3]
    replaced(link, old, kept)
    assert points_of(kept, HERE) == {"ann": 3, "bob": 1}
    assert_nothing_is_left(kept)


def test_what_was_decided_and_not_handed_over_when_its_actor_is_replaced_is_decided_again(
    kept: Store, held: HeldEngine, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    """It is staged in the old actor only, which goes on before the new one begins."""
    trap, link = set_trap(), kept.runtime.links[0]
    lay(monkeypatch, trap, "before the committer has it")
    replies = kept.submit([AwardPoints(HERE, BAD, 1), AwardPoints(HERE, BAD, 1)])
    trap.wait()
    held.hold()
    other = kept.ask(AwardPoints(THERE, "ann", 1))
    held.wait_for_commit()
    old = link.actor
    kept.runtime.supervisor.restart(link, "a test")
    trap.let_go()
    until(lambda: not old.busy)
    held.let_go()
    assert [reply.get().points for reply in [*replies, other]] == [1, 2, 1]
    assert points_of(kept, HERE) == {BAD: 2}
    assert_nothing_is_left(kept)


@pytest.mark.parametrize("where", ["publish", "answer"])
def test_what_is_durable_when_its_actor_is_replaced_is_answered_and_not_done_again(
    game: Store, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The actor is replaced between the commit and the reply, each time in many."""
    link = game.runtime.links[0]

    def then(real: Callable[..., Any]) -> Callable[..., Any]:
        def interrupted(*args: Any) -> Any:
            game.runtime.supervisor.restart(link, f"at {where}")
            return real(*args)

        return interrupted

    if where == "publish":
        monkeypatch.setattr(game.runtime.committed, "publish", then(game.runtime.committed.publish))
    else:
        monkeypatch.setattr(committer, "answer_all", then(answer_all))
    monkeypatch.setattr(game.runtime.supervisor, "_count", lambda *_: None)
    for number in range(1, 21):
        replies = game.submit([AwardPoints(HERE, "ann", 1), AwardPoints(HERE, "bob", 1), AwardPoints(HERE, "ann", 1)])
        assert [reply.get().points for reply in replies] == [2 * number - 1, number, 2 * number]
    assert points_of(game, HERE) == {"ann": 40, "bob": 20}
    assert restarts(game)[0] > 0
    until(lambda: not link.actor.fenced)
    assert_nothing_is_left(game)


# -- counted


def test_restarts_count_for_a_while_only(open_game: OpenGame) -> None:
    game = open_game(restarts_max=2, restart_window_s=0.05)
    link = game.runtime.links[0]
    for _ in range(6):
        until(lambda: not game.runtime.supervisor._restarts[link] or monotonic() - last(game) > 0.06)
        restart(link, game)
    assert game.award_points(HERE, "ann", 1).points == 1
    assert restarts(game) == [6, 0, 0, 0]


def last(game: Store) -> float:
    """When the first shard was restarted last."""
    return game.runtime.supervisor._restarts[game.runtime.links[0]][-1]


def test_an_actor_is_replaced_once_however_many_ask_for_it(game: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    link, barrier, launched = game.runtime.links[0], threading.Barrier(8), list[Any]()
    old, launch = link.actor, game.runtime.supervisor.launch
    monkeypatch.setattr(game.runtime.supervisor, "launch", lambda at: (launch(at), launched.append(link.actor)))

    def ask() -> None:
        barrier.wait(PATIENCE_S)
        game.runtime.supervisor.restart(link, "many")

    with ThreadPoolExecutor(8) as pool:
        for asked in [pool.submit(ask) for _ in range(8)]:
            asked.result(PATIENCE_S)
    replaced(link, old, game)
    assert game.award_points(HERE, "ann", 1).points == 1
    assert 1 <= len(launched) == restarts(game)[0] <= 8  # who asked late had the next one replaced
