"""`update`: a function of the caller's runs where its record is decided, and harms nobody else there."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from engines import PATIENCE_S, HeldEngine, HeldShard, drained, settled
from games import begin, play, points_of
from loops import create, run
from opening import Opener

from pictact_actors import (
    AsyncStore,
    AwardPoints,
    InvalidKey,
    InvalidValue,
    Lifetime,
    NotFound,
    Quarantined,
    RequestTimeout,
    Score,
    ShardRestarted,
    StorageFull,
    Store,
)
from pictact_actors.model.updating import Update
from pictact_actors.testing import ManualClock

KEY = "score:t3_a:ann"


class Mine(Exception):
    """An error of the host's."""


@pytest.fixture
def game(store: Store) -> Store:
    """A match in which ann has 10 points."""
    begin(store)
    play(store, {"ann": 10})
    return store


@pytest.fixture
def one(open_store: Opener) -> Store:
    """The same in one shard."""
    store = open_store(":memory:", shards=1)
    begin(store)
    play(store, {"ann": 10})
    return store


def plus(points: float) -> Callable[[Any], Score]:
    """A function that adds points to a score."""
    return lambda score: replace(score, points=score.points + points)


def raising(error: BaseException) -> Callable[[Any], Score]:
    """A function that fails."""

    def fail(_score: Score) -> Score:
        raise error

    return fail


def test_the_new_record_is_returned_and_kept(open_store: Opener) -> None:
    store = open_store(clock=ManualClock(1_000.0))
    begin(store)
    made = store.update(KEY, lambda score: score or Score("t3_a", "ann", 3))
    more = store.update(KEY, plus(4.5))
    assert made == Score("t3_a", "ann", 3, reached_at=1_000.0, created_at=1_000.0, updated_at=1_000.0)
    assert more == store.score("t3_a", "ann") == store.get(KEY)
    store.close()
    assert open_store().get(KEY) == more


def test_every_kind_of_record_can_be_updated(game: Store) -> None:
    assert game.update("match:t3_a", lambda match: replace(match, theme="rivers")) == game.match("t3_a")
    ann = game.update("lifetime:ann", lambda ann: replace(ann or Lifetime("ann"), trophies=["gold"]))
    assert ann == game.lifetime("ann")


def test_nobody_comes_between_what_a_function_saw_and_what_it_wrote(game: Store) -> None:
    start = threading.Barrier(6)

    def work(host: int) -> None:
        start.wait(PATIENCE_S)
        for _ in range(40):
            if host % 2:
                game.update(KEY, plus(1))
            else:
                game.award_points("t3_a", "ann", 1)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work, host) for host in range(6)]:
            done.result(PATIENCE_S)
    assert points_of(game) == {"ann": 10 + 6 * 40}


def test_a_function_sees_what_was_decided_before_it_durable_or_not(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=1)
    begin(store)
    held.hold()
    store.tell(AwardPoints("t3_a", "ann", 5))
    held.wait_for_commit()
    settled(store)
    updating = store.ask(Update(KEY, plus(1)))
    held.let_go()
    assert updating.get().points == 6


def test_an_update_waits_for_who_has_the_group_locked(game: Store) -> None:
    with game.transaction() as tx:
        tx.put(KEY, plus(5)(tx.get(KEY)))  # type: ignore[arg-type]
        updating = game.ask(Update(KEY, plus(1)))
        settled(game)
        assert not updating.done()
    assert updating.get().points == 16


def test_the_leaderboard_follows_an_update(game: Store) -> None:
    play(game, {"bob": 12})
    game.update(KEY, plus(5))
    assert [(at.rank, at.user, at.points) for at in game.leaderboard("t3_a")] == [(1, "ann", 15), (2, "bob", 12)]


# -- a function that fails


@pytest.mark.parametrize(
    "error", [Mine("no"), NotFound("no"), MemoryError(), StopIteration(7), RecursionError()], ids=repr
)
def test_what_a_function_raises_reaches_its_caller_as_it_is(
    game: Store, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pictact_actors"), pytest.raises(type(error)) as caught:
        game.update(KEY, raising(error))
    assert caught.value is error
    assert caplog.records == []
    assert points_of(game) == {"ann": 10}


def test_a_caller_sees_where_its_function_failed(game: Store) -> None:
    reply = game.ask(Update(KEY, raising(Mine("no"))))
    seen = []
    for _ in range(3):
        with pytest.raises(Mine) as caught:
            reply.get()
        seen.append([frame.name for frame in traceback.extract_tb(caught.value.__traceback__)])
    assert [names[-1] for names in seen] == ["fail"] * 3
    assert [len(names) for names in seen] == [len(seen[0])] * 3


def test_a_function_that_runs_too_deep_harms_only_its_own_call(game: Store) -> None:
    def deep(score: Score) -> Score:
        return deep(score)

    with pytest.raises(RecursionError):
        game.update(KEY, deep)
    assert game.update(KEY, plus(1)).points == 11  # type: ignore[attr-defined]


@pytest.mark.parametrize("made", [None, 7, Score("t3_a", "bob", 1), Score("t3_a", "ann", float("inf"))], ids=repr)
def test_what_cannot_be_written_is_refused_and_nothing_is(game: Store, made: Any) -> None:
    with pytest.raises(InvalidValue):
        game.update(KEY, lambda _score: made)
    assert points_of(game) == {"ann": 10}


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_function_that_would_end_the_thread_ends_its_own_call(game: Store, kind: type[BaseException]) -> None:
    for _ in range(3):
        with pytest.raises(ShardRestarted, match=kind.__name__):
            game.update(KEY, raising(kind()))
    assert game.update(KEY, plus(1)).points == 11  # type: ignore[attr-defined]
    assert sum(shard.restarts for shard in game.statistics().shards) == 0


@pytest.mark.parametrize("error", [Mine("no"), SystemExit(3), MemoryError()], ids=repr)
def test_whoever_is_decided_with_a_failing_function_is_not_harmed(one: Store, error: BaseException) -> None:
    award = AwardPoints("t3_a", "ann", 1)
    with HeldShard(one.runtime.links[0]):
        replies = one.submit([award, Update(KEY, raising(error)), award, Update(KEY, plus(1)), award])
    assert [replies[n].get().points for n in (0, 2, 3, 4)] == [11, 12, 13, 14]
    with pytest.raises((type(error), ShardRestarted)):
        replies[1].get()
    drained(one)


def test_functions_that_never_return_harm_only_their_own_calls(open_store: Opener) -> None:
    store = open_store(":memory:", shards=1, wedged_after_s=0.2)
    begin(store)
    play(store, {"ann": 10})
    free = threading.Event()

    def endless(score: Score) -> Score:
        assert free.wait(PATIENCE_S)
        return replace(score, points=999)

    for number in range(1, 5):
        updating = store.ask(Update(KEY, endless), timeout=PATIENCE_S)
        assert store.award_points("t3_a", "ann", 1, timeout=PATIENCE_S).points == 10 + number
        with pytest.raises(Quarantined, match="Update"):
            updating.get()
    free.set()
    assert store.update(KEY, plus(1)).points == 15  # type: ignore[attr-defined]
    (shard,) = store.statistics().shards
    assert (shard.restarts, shard.quarantined, len(store.quarantine())) == (8, 4, 4)
    drained(store)


def test_a_function_may_run_again_when_what_it_relied_on_was_refused(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=1)
    begin(store)
    held.hold()
    first = store.ask(Update(KEY, lambda score: score or Score("t3_a", "ann", 5)))
    held.wait_for_commit()
    second = store.ask(Update(KEY, lambda score: score or Score("t3_a", "ann", 7)))
    settled(store)
    held.inner.fail_next(StorageFull("full"))
    held.let_go()
    with pytest.raises(StorageFull):
        first.get()
    assert second.get().points == 7


# -- what a function cannot do


INSIDE: dict[str, Callable[[Store], Any]] = {
    "award_points": lambda store: store.award_points("t3_a", "bob", 1),
    "update": lambda store: store.update("lifetime:bob", raising(Mine())),
    "put_many": lambda store: store.put_many({"score:t3_a:bob": Score("t3_a", "bob", 1)}),
    "ask": lambda store: store.ask(AwardPoints("t3_a", "bob", 1)).get(),
    "tell": lambda store: store.tell(AwardPoints("t3_a", "bob", 1)),
    "submit": lambda store: [reply.get() for reply in store.submit([AwardPoints("t3_a", "bob", 1)] * 3)],
    "transact": lambda store: store.transact(lambda tx: tx.award_points("t3_a", "bob", 1)),
    "transaction": lambda store: store.transaction().get(KEY),
    "complete_match": lambda store: store.complete_match("t3_a"),
    "close": lambda store: store.close(),
}


@pytest.mark.parametrize("call", INSIDE)
def test_a_function_that_writes_or_waits_is_told_at_once(one: Store, call: str) -> None:
    started = threading.Event()

    def reenter(score: Score) -> Score:
        started.set()
        INSIDE[call](one)
        return score

    with pytest.raises(InvalidValue, match="would wait for the actor that runs it"):
        one.update(KEY, reenter, timeout=PATIENCE_S)
    assert started.is_set()
    assert points_of(one) == {"ann": 10}
    assert one.award_points("t3_a", "ann", 1).points == 11


def test_a_function_cannot_wait_for_a_message_that_was_sent_before(one: Store) -> None:
    with HeldShard(one.runtime.links[0]):
        before = one.ask(AwardPoints("t3_a", "bob", 1))
        updating = one.ask(Update(KEY, lambda _: before.get()))
    with pytest.raises(InvalidValue, match="would wait"):
        updating.get()
    assert before.get().points == 1


def test_a_function_may_read(one: Store) -> None:
    seen: list[Any] = []

    def read(score: Score) -> Score:
        seen.extend(
            [one.match("t3_a").theme, one.leaderboard("t3_a")[0].points, one.get(KEY), list(one.scan("match:"))]
        )
        seen.extend([one.get_many([KEY]), one.check(), one.statistics().shards[0].in_flight])
        return replace(score, points=one.score("t3_a", "ann").points * 2)

    assert one.update(KEY, read).points == 20  # type: ignore[attr-defined]
    assert len(seen) == 7


def test_an_actor_that_ends_leaves_nothing_behind_for_a_thread_with_its_number(open_store: Opener) -> None:
    for _ in range(20):
        with Store.open(":memory:") as short:
            begin(short)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(begin, open_store(":memory:")).result(PATIENCE_S)


def test_what_nobody_waits_for_any_more_is_dropped_although_the_function_before_it_was_slow(one: Store) -> None:
    running, free = threading.Event(), threading.Event()

    def slow(score: Score) -> Score:
        running.set()
        assert free.wait(PATIENCE_S)
        return score

    with HeldShard(one.runtime.links[0]):
        updating = one.ask(Update(KEY, slow))
        late = one.ask(AwardPoints("t3_a", "bob", 1), timeout=0.1)
    assert running.wait(PATIENCE_S)
    with pytest.raises(RequestTimeout):
        late.get()
    free.set()
    assert updating.get().points == 10
    drained(one)
    assert points_of(one) == {"ann": 10}


# -- exactly once


def test_the_same_request_id_is_done_once_also_after_reopening(open_store: Opener) -> None:
    store = open_store()
    begin(store)
    play(store, {"ann": 10})
    first = store.update(KEY, plus(5), request_id="r1")
    store.update(KEY, plus(1))
    assert store.update(KEY, plus(100), request_id="r1") == first
    store.close()
    again = open_store()
    assert again.update(KEY, raising(Mine("is not called")), request_id="r1") == first
    assert points_of(again) == {"ann": 16}


def test_a_request_id_belongs_to_one_key_and_one_command(game: Store) -> None:
    game.update(KEY, plus(5), request_id="r1")
    game.award_points("t3_a", "ann", 1, request_id="r2")
    for other in (
        lambda: game.update("score:t3_a:bob", plus(5), request_id="r1"),
        lambda: game.award_points("t3_a", "ann", 5, request_id="r1"),
        lambda: game.update(KEY, plus(1), request_id="r2"),
    ):
        with pytest.raises(InvalidValue, match="different command"):
            other()
    assert points_of(game) == {"ann": 16}


def test_a_function_that_failed_may_be_tried_again_with_the_same_id(game: Store) -> None:
    with pytest.raises(Mine):
        game.update(KEY, raising(Mine("not yet")), request_id="r1")
    assert game.update(KEY, plus(5), request_id="r1").points == 15  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["nothing", "request:match:t3_a:r1", "score:t3_a"])
def test_only_a_record_of_the_users_can_be_updated(game: Store, key: str) -> None:
    with pytest.raises(InvalidKey):
        game.update(key, plus(1))


# -- the same for asyncio


def test_the_asyncio_store_updates_too() -> None:
    async def go(store: AsyncStore) -> None:
        await create(store)
        first = await store.update(KEY, lambda score: score or Score("t3_a", "ann", 3), request_id="r1")
        assert await store.update(KEY, plus(4), request_id="r1", timeout=PATIENCE_S) == first
        assert (await store.update(KEY, plus(4))).points == 7  # type: ignore[attr-defined]

    run(go)


def test_errors_of_functions_come_through_futures_and_hold_up_no_other() -> None:
    async def later(score: Score) -> Score:
        return score

    async def go(store: AsyncStore) -> None:
        await create(store)
        mine, over = Mine("no"), StopIteration(7)
        fns: list[Any] = [raising(mine), raising(over), raising(SystemExit(1)), later, lambda _: None]
        replies = store.submit([*(Update(KEY, fn) for fn in fns), AwardPoints("t3_a", "ann", 1)])
        seen = await asyncio.gather(*replies, return_exceptions=True)
        assert seen[0] is mine
        assert isinstance(seen[1], RuntimeError)
        assert seen[1].__cause__ is over
        assert [type(error) for error in seen[2:5]] == [ShardRestarted, InvalidValue, InvalidValue]
        assert seen[5].points == 1
        assert traceback.extract_tb(mine.__traceback__)[-1].name == "fail"

    run(go)
