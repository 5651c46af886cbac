"""A shard whose actor cannot be kept running says so, at once and to everybody; the other shards go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest
from breakdowns import (
    HERE,
    THERE,
    Hosts,
    SetTrap,
    Trap,
    assert_nothing_is_left,
    by_a_crossing,
    events,
    give_up_on,
    post_in,
    restart,
    restarts,
    user_in,
)
from engines import PATIENCE_S, HeldEngine, HeldShard, Probe
from games import begin, play, points_of
from loops import run_on
from opening import Opener
from waiting import until

from pictact_actors import (
    AsyncStore,
    AwardPoints,
    CompleteMatch,
    Lifetime,
    Score,
    ShardFailed,
    Store,
    StoreError,
    StoreFailed,
)

OpenGame = Callable[..., Store]
RESTARTS_MAX = 2
AT_ONCE_S = 1.0

WRITES: dict[str, Callable[[Store], Any]] = {
    "a command": lambda store: store.award_points(HERE, "ann", 1),
    "a command of a player": lambda store: store.add_trophy(user_in(0), "cup"),
    "a list": lambda store: [reply.get() for reply in store.submit([AwardPoints(HERE, "ann", 1)] * 3)],
    "an update": lambda store: store.update(f"score:{HERE}:ann", lambda _: Score(HERE, "ann", 5)),
    "completing a match that lives there": lambda store: store.complete_match(HERE),
    "completing a match of somebody who lives there": lambda store: store.complete_match(THERE),
    "records": lambda store: store.put_many({f"lifetime:{user_in(s)}": Lifetime(user_in(s)) for s in (1, 0, 2)}),
    "a transaction": lambda store: store.transact(lambda tx: tx.award_points(HERE, "ann", 1)),
    "a transaction that reads": lambda store: store.transact(lambda tx: tx.get(f"match:{HERE}")),
    "a transaction that has locks elsewhere": lambda store: store.transact(
        lambda tx: (tx.award_points(THERE, "ann", 1), tx.award_points(HERE, "ann", 1))
    ),
    "a transaction that reads everything": lambda store: store.transact(lambda tx: list(tx.scan("score:"))),
}


@pytest.fixture
def given_up(open_game: OpenGame) -> Store:
    """A store whose first shard was given up."""
    game = open_game(restarts_max=RESTARTS_MAX)
    play(game, {user_in(0): 1, user_in(1): 2}, THERE)
    give_up_on(game.runtime.links[0], game)
    return game


@pytest.mark.parametrize("write", WRITES)
def test_everything_that_needs_a_shard_that_was_given_up_is_refused_at_once(given_up: Store, write: str) -> None:
    since = perf_counter()
    with pytest.raises(ShardFailed, match=r"shard 0 .* stays down until the store is reopened.*a test") as caught:
        WRITES[write](given_up)
    assert perf_counter() - since < AT_ONCE_S
    assert (caught.value.shard, caught.value.cause) == (0, "a test")
    assert isinstance(caught.value, StoreFailed)
    assert points_of(given_up, HERE) == {}
    assert points_of(given_up, THERE) == {user_in(0): 1, user_in(1): 2}
    assert given_up.award_points(THERE, "ann", 1).points == 1  # nothing of it holds anybody up
    assert_nothing_is_left(given_up)


def test_tasks_of_an_event_loop_are_refused_too(given_up: Store) -> None:
    async def work(store: AsyncStore) -> None:
        asked: list[Any] = [
            store.award_points(HERE, "ann", 1),
            store.complete_match(HERE),
            store.complete_match(THERE),
            store.transact(lambda tx: tx.award_points(HERE, "ann", 1)),
        ]
        told = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), AT_ONCE_S * 5)
        assert [type(error) for error in told] == [ShardFailed] * 4
        assert (await store.award_points(THERE, "ann", 1)).points == 1
        with pytest.raises(ShardFailed):
            async with store.transaction() as tx:
                await tx.get(f"match:{HERE}")

    run_on(given_up, work)
    assert_nothing_is_left(given_up)


def test_the_other_shards_are_served_and_everything_can_be_read(given_up: Store) -> None:
    with Hosts(given_up, [THERE, post_in(2), post_in(3)]) as hosts:
        for _ in range(20):
            with pytest.raises(ShardFailed):
                given_up.award_points(HERE, "ann", 1)
        hosts.do_some()
    hosts.end()
    assert given_up.match(HERE).status == "active"
    assert given_up.leaderboard(HERE) == []
    assert given_up.transact(lambda tx: tx.award_points(THERE, "zoe", 1)).points == 1
    assert given_up.check() == []


def test_a_shard_is_given_up_after_so_many_restarts_and_not_before(
    open_game: OpenGame, caplog: pytest.LogCaptureFixture
) -> None:
    game = open_game(restarts_max=RESTARTS_MAX)
    link = game.runtime.links[0]
    for number in range(RESTARTS_MAX):
        restart(link, game)
        assert game.award_points(HERE, "ann", 1).points == number + 1
    assert events(caplog, "shard_failed") == []
    restart(link, game, "the last straw")
    with pytest.raises(ShardFailed, match="the last straw"):
        game.award_points(HERE, "ann", 1)
    (logged,) = events(caplog, "shard_failed")
    assert (logged["shard"], logged["cause"]) == (0, "the last straw")
    assert restarts(game) == [RESTARTS_MAX + 1, 0, 0, 0]


def test_it_stays_given_up_and_is_not_restarted_in_a_loop(given_up: Store) -> None:
    link = given_up.runtime.links[0]
    actor = link.actor
    for _ in range(50):
        with pytest.raises(ShardFailed):
            given_up.award_points(HERE, "ann", 1)
    assert link.actor is actor
    assert restarts(given_up) == [RESTARTS_MAX + 1, 0, 0, 0]


def test_whoever_is_there_when_a_shard_is_given_up_is_answered(open_game: OpenGame, set_trap: SetTrap) -> None:
    """Some wait in line, some for a lock, and one is in the middle of a match of another shard."""
    game = open_game(restarts_max=RESTARTS_MAX)
    link, told = game.runtime.links[0], list[Any]()
    play(game, {user_in(0): 1}, post_in(1))
    for _ in range(RESTARTS_MAX):
        restart(link, game)

    def hold() -> None:
        with game.transaction(timeout=PATIENCE_S) as tx:
            tx.get(f"match:{HERE}")
            told.append(game.ask(AwardPoints(HERE, "ann", 1), timeout=PATIENCE_S))
            until(link.actor.locks.waiting_calls)
            trap = set_trap()
            link.tell(Probe(lambda _shard: trap.spring()))
            trap.wait()
            told.extend(game.submit([AwardPoints(HERE, "ann", 1)] * 3, timeout=PATIENCE_S))
            told.append(game.ask(CompleteMatch(post_in(1)), timeout=PATIENCE_S))
            restart(link, game)

    with pytest.raises(ShardFailed):
        hold()
    assert [error_of(reply) for reply in told] == [ShardFailed] * 5
    assert points_of(game, HERE) == {}
    assert_nothing_is_left(game)


def error_of(reply: Any) -> type[Exception] | None:
    try:
        reply.get()
    except StoreError as error:
        return type(error)
    return None


def test_a_transaction_that_had_locks_there_is_refused(open_game: OpenGame) -> None:
    game = open_game(restarts_max=RESTARTS_MAX)
    runs = []

    def award(tx: Any) -> None:
        runs.append(tx)
        tx.award_points(THERE, "ann", 1)
        tx.award_points(HERE, "ann", 1)
        give_up_on(game.runtime.links[0], game)

    with pytest.raises(ShardFailed):
        game.transact(award, timeout=PATIENCE_S)
    assert len(runs) == 2
    assert points_of(game, THERE) == {}
    assert_nothing_is_left(game)


def test_a_message_that_makes_every_actor_fail_is_quarantined_before_its_shard_is_given_up(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap = set_trap(times=99)
    reply = by_a_crossing(monkeypatch, game, trap)
    assert error_of(reply) is not ShardFailed
    assert game.award_points(HERE, "ann", 1).points == 1


def test_a_store_with_a_shard_that_was_given_up_closes_at_once_and_serves_it_when_it_is_opened_again(
    open_game: OpenGame, open_store: Opener
) -> None:
    game = open_game(None, restarts_max=RESTARTS_MAX)
    play(game, {"ann": 5}, HERE)
    give_up_on(game.runtime.links[0], game)
    with pytest.raises(ShardFailed):
        game.award_points(HERE, "ann", 1)
    since = perf_counter()
    game.close()
    assert perf_counter() - since < AT_ONCE_S
    again = open_store()
    assert again.award_points(HERE, "ann", 1).points == 6


def test_several_shards_may_be_given_up(open_store: Opener, held: HeldEngine) -> None:
    store: Store = open_store(engine=held, shards=4, restarts_max=1)
    begin(store, *(post_in(shard) for shard in range(4)))
    for shard in (0, 2):
        with HeldShard(store.runtime.links[shard]):
            give_up_on(store.runtime.links[shard], store)
    told = [error_of(store.ask(AwardPoints(post_in(shard), "ann", 1))) for shard in range(4)]
    assert told == [ShardFailed, None, ShardFailed, None]


def test_a_trap_with_nobody_in_it_holds_nobody_up(game: Store) -> None:
    trap = Trap(times=0)
    game.runtime.links[0].tell(Probe(lambda _shard: trap.spring()))
    assert game.award_points(HERE, "ann", 1).points == 1
    assert (trap.caught, restarts(game)) == (0, [0, 0, 0, 0])
