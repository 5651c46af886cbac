"""Actors are replaced at random moments while everybody does everything: what hosts were told is done, and once."""

from __future__ import annotations

import random
from typing import Any

import pytest
from breakdowns import BAD, SHARDS, WEDGED_S, SetTrap, Trap, assert_nothing_is_left, post_in, restarts
from bustle import POSTS, Bustle
from engines import PATIENCE_S, HeldEngine, Probe
from games import begin
from opening import MEMORY, Opener

from pictact_actors import AwardPoints, Store
from pictact_actors.runtime.shard import ShardActor

RESTARTS_MAX = 100_000
"""More than there are: no shard is to stay down."""


def opened(open_store: Opener, path: Any = MEMORY, **limits: Any) -> Store:
    store: Store = open_store(path, **{"shards": SHARDS, "restarts_max": RESTARTS_MAX, "lease_s": 5.0, **limits})
    begin(store, *POSTS)
    return store


def bustle(store: Store, seed: int, turns: int = 40) -> None:
    def restart_one(rng: random.Random) -> None:
        store.runtime.supervisor.restart(rng.choice(store.runtime.links), "a test")

    playing = Bustle(store, seed, restart_one)
    playing.play(threads=5, tasks=3, turns=turns)
    playing.assert_all_is_there()
    assert_nothing_is_left(store)
    assert all(restarts(store))


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_nothing_is_lost_or_done_twice_when_actors_are_replaced_at_random(open_store: Opener, shards: int) -> None:
    bustle(opened(open_store, shards=shards), seed=shards)


def test_nothing_is_lost_or_done_twice_on_a_disk_either_nor_after_it_was_opened_again(open_store: Opener) -> None:
    store = opened(open_store, None)
    bustle(store, seed=7)
    told = dict(store.scan("score:")), dict(store.scan("lifetime:"))
    store.close()
    again = open_store()
    assert (dict(again.scan("score:")), dict(again.scan("lifetime:"))) == told


class Troubled(HeldEngine):
    """An engine that conflicts with another host now and then."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = random.Random(seed)

    def commit(self, *args: Any) -> int:
        if self._rng.random() < 0.05:
            self.inner.conflict_next(f"match:{self._rng.choice(POSTS)}")
        return super().commit(*args)


def test_nothing_is_lost_or_done_twice_when_commits_conflict_as_well(open_store: Opener) -> None:
    store: Store = open_store(engine=Troubled(3), shards=SHARDS, restarts_max=RESTARTS_MAX, lease_s=5.0)
    begin(store, *POSTS)
    bustle(store, seed=3)


def test_actors_that_fail_by_themselves_are_replaced_just_as_well(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They fail at random places, in the middle of whatever they do."""
    store, rng = opened(open_store), random.Random(5)

    def frail(name: str) -> None:
        real = getattr(ShardActor, name)

        def failing(self: ShardActor, *args: Any, **options: Any) -> Any:
            if rng.random() < 0.002:
                raise MemoryError
            return real(self, *args, **options)

        monkeypatch.setattr(ShardActor, name, failing)

    for name in ("decide", "arrive", "enter", "release", "step", "_hand_over", "finish", "take"):
        frail(name)
    playing = Bustle(store, 5, lambda _: None)
    playing.play(threads=5, tasks=3, turns=80)
    monkeypatch.undo()
    playing.assert_all_is_there()
    assert_nothing_is_left(store)
    assert sum(restarts(store)) > 3


def test_actors_that_stand_still_again_and_again_lose_nothing(open_store: Opener, set_trap: SetTrap) -> None:
    store = opened(open_store, wedged_after_s=0.2)
    traps: list[Trap] = []

    def stop_one(rng: random.Random) -> None:
        if rng.random() < 0.05:
            traps.append(set_trap())
            trap = traps[-1]
            rng.choice(store.runtime.links).tell(Probe(lambda _shard: trap.spring()))

    playing = Bustle(store, 11, stop_one)
    playing.play(threads=5, tasks=3, turns=40)
    for trap in traps:
        trap.let_go()
    playing.assert_all_is_there()
    assert_nothing_is_left(store)
    assert sum(restarts(store)) == sum(trap.caught for trap in traps) > 0


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 150))
def test_many_evenings_with_restarts(open_store: Opener, seed: int) -> None:
    store = opened(open_store, [MEMORY, None][seed % 2], shards=1 + seed % 5)
    bustle(store, seed, turns=100)


def test_a_message_in_quarantine_is_not_done_however_often_actors_are_replaced(
    open_store: Opener, set_trap: SetTrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(open_store, wedged_after_s=WEDGED_S)
    decision = set_trap(times=99).before(
        ShardActor._decision, lambda _shard, call, _when: getattr(call.command, "user", None) == BAD
    )
    monkeypatch.setattr(ShardActor, "_decision", decision)
    bad = [store.ask(AwardPoints(post_in(shard), BAD, 1), timeout=PATIENCE_S) for shard in range(SHARDS)]
    playing = Bustle(store, 13, lambda _: None)
    playing.play(threads=5, tasks=3, turns=10)
    for reply in bad:
        with pytest.raises(Exception, match="quarantined"):
            reply.get()
    playing.assert_all_is_there()
    assert_nothing_is_left(store)
    assert len(store.quarantine()) == SHARDS
