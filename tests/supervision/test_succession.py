"""What an actor leaves to its successor: everybody keeps the place in the line, and what was half done begins anew."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from breakdowns import (
    HERE,
    SHARDS,
    THERE,
    SetTrap,
    assert_nothing_is_left,
    post_in,
    restart,
    user_in,
    waiting_calls,
)
from engines import PATIENCE_S, HeldEngine, HeldShard, inside, settled
from games import begin, play, points_of
from opening import Opener
from waiting import until

from pictact_actors import (
    AwardPoints,
    CompleteMatch,
    ConflictAborted,
    Lifetime,
    MatchClosed,
    Score,
    StorageFull,
    Store,
)
from pictact_actors.model.commands import PutMany
from pictact_actors.runtime import crossing
from pictact_actors.runtime.shard import ShardActor


def test_whoever_waited_for_a_lock_keeps_the_place_in_the_line(game: Store) -> None:
    """Some wait for the group, some behind a scan that waits for the whole shard, some are not looked at yet."""
    link, outcomes = game.runtime.links[0], list[Any]()

    def scan() -> None:
        with game.transaction(timeout=PATIENCE_S) as tx:
            list(tx.scan("score:"))

    def hold() -> None:
        with ThreadPoolExecutor(1) as pool, game.transaction() as tx:
            tx.get(f"match:{HERE}")
            for count in (1, 2):
                outcomes.append(game.ask(AwardPoints(HERE, "ann", 1)))
                until(lambda count=count: waiting_calls(game) == count)
                if count == 1:
                    scanning = pool.submit(scan)
                    until(lambda: len(game.runtime.waits))
            with HeldShard(link):
                outcomes.append(game.ask(AwardPoints(HERE, "ann", 1)))
                restart(link, game)
            scanning.exception(PATIENCE_S)

    with pytest.raises(ConflictAborted):
        hold()
    assert [reply.get().points for reply in outcomes] == [1, 2, 3]
    assert_nothing_is_left(game)


def test_what_was_sent_behind_a_completion_stays_behind_it(kept: Store, held: HeldEngine) -> None:
    play(kept, {"ann": 1}, HERE)
    link = kept.runtime.links[0]
    held.hold()
    other = kept.ask(AwardPoints(THERE, "ann", 1))
    held.wait_for_commit()
    completing = kept.ask(CompleteMatch(HERE))
    late = kept.ask(AwardPoints(HERE, "ann", 1))
    until(lambda: waiting_calls(kept) == 1)
    kept.runtime.supervisor.restart(link, "a test")
    held.let_go()
    assert other.get().points == 1
    assert [at.points for at in completing.get()] == [1]
    with pytest.raises(MatchClosed):
        late.get()
    assert_nothing_is_left(kept)


def test_whoever_comes_while_an_actor_is_replaced_is_behind_those_who_were_there(
    game: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody sends at the moment when the new actor is there, and what the old one had is not back yet."""
    link, late = game.runtime.links[0], list[Any]()
    take_over = ShardActor.take_over

    def taken_over(self: ShardActor) -> Any:
        late.append(game.ask(AwardPoints(HERE, "ann", 1)))
        inside(link, lambda _shard: None)  # the new one has done what it had to
        return take_over(self)

    def hold() -> None:
        with game.transaction() as tx:
            tx.get(f"match:{HERE}")
            early.append(game.ask(AwardPoints(HERE, "ann", 1)))
            until(lambda: waiting_calls(game) == 1)
            with monkeypatch.context() as patched:
                patched.setattr(ShardActor, "take_over", taken_over)
                restart(link, game)
                until(lambda: late)

    early = list[Any]()
    with pytest.raises(ConflictAborted):
        hold()
    assert (early[0].get().points, late[0].get().points) == (1, 2)


def test_an_actor_that_is_replaced_takes_nothing_more_from_the_line(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    """It is about to look into the line, where its successor has just put what it had itself."""
    link, old_trap, new_trap = game.runtime.links[0], set_trap(), set_trap()
    old = link.actor
    waits = list[Any]()

    def hold() -> None:
        with game.transaction() as tx, monkeypatch.context() as patched:
            tx.get(f"match:{HERE}")
            waits.append(game.ask(AwardPoints(HERE, "ann", 1)))
            until(lambda: waiting_calls(game) == 1)
            patched.setattr(ShardActor, "take", old_trap.before(ShardActor.take, lambda shard: shard is old))
            patched.setattr(ShardActor, "handle", new_trap.before(ShardActor.handle, lambda shard, _: shard is not old))
            waits.append(game.ask(AwardPoints(HERE, "ann", 1)))
            old_trap.wait()
            restart(link, game)
            new_trap.wait()
            old_trap.let_go()
            until(lambda: not old.busy)
            new_trap.let_go()

    with pytest.raises(ConflictAborted):
        hold()
    assert [reply.get().points for reply in waits] == [1, 2]
    assert_nothing_is_left(game)


# -- crossings and transactions


def test_a_crossing_whose_last_step_ends_in_a_replaced_actor_begins_anew(
    kept: Store, held: HeldEngine, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    """The old actor is through with it before the new one begins."""
    trap, link = set_trap(), kept.runtime.links[1]
    play(kept, {user_in(1): 1}, HERE)
    monkeypatch.setattr(crossing, "settle", trap.before(crossing.settle))
    completing = kept.ask(CompleteMatch(HERE))
    trap.wait()
    held.hold()
    other = kept.ask(AwardPoints(post_in(2), "ann", 1))
    held.wait_for_commit()
    old = link.actor
    kept.runtime.supervisor.restart(link, "a test")
    trap.let_go()
    until(lambda: not old.busy)
    held.let_go()
    assert [at.user for at in completing.get()] == [user_in(1)]
    assert other.get().points == 1
    assert kept.lifetime(user_in(1)).matches_played == 1
    assert_nothing_is_left(kept)


def put_both(store: Store, points: int) -> Any:
    """Write a score in the first shard and a lifetime in the second."""
    return store.ask(
        PutMany({f"score:{HERE}:ann": Score(HERE, "ann", points), f"lifetime:{user_in(1)}": Lifetime(user_in(1))})
    )


def test_crossings_never_wait_in_a_circle_when_one_of_them_has_lost_its_locks(game: Store) -> None:
    """The first has locks in both shards, the second waits for it; then the first loses one to the second."""
    first_link, second_link = game.runtime.links[:2]
    with HeldShard(second_link):
        first = put_both(game, 1)
        until(lambda: any(second_link in one.visited for one in game.runtime.workplace.crossings))
        second = put_both(game, 2)
        inside(first_link, lambda _shard: None)
        restart(first_link, game)
        inside(first_link, lambda _shard: None)
    first.get(PATIENCE_S)
    second.get(PATIENCE_S)
    assert_nothing_is_left(game)


def test_a_message_that_was_answered_early_is_not_counted_for_ever(kept: Store) -> None:
    """A transaction is ended while it waits for a lock in a shard whose actor is then replaced."""
    link = kept.runtime.links[0]

    def wait() -> None:
        with kept.transaction(timeout=PATIENCE_S) as waiting:
            waiting.get(f"match:{HERE}")

    def hold() -> None:
        with ThreadPoolExecutor(1) as pool, kept.transaction() as tx:
            tx.get(f"match:{HERE}")
            waiting = pool.submit(wait)
            until(lambda: len(kept.runtime.waits))
            with HeldShard(link):
                kept.runtime.waits.current()[0].waiter.abort(ConflictAborted("a test"))
                restart(link, kept)
            assert waiting.exception(PATIENCE_S) is not None

    with pytest.raises(ConflictAborted):
        hold()
    assert_nothing_is_left(kept)


def test_a_message_of_a_transaction_that_ended_is_not_counted_for_ever_after_a_full_disk(
    open_store: Opener, held: HeldEngine
) -> None:
    """It was granted its lock behind a write that finds no room, and its lease ends before that is known."""
    store: Store = open_store(engine=held, shards=SHARDS, lease_s=0.1)
    begin(store, HERE)
    held.hold()
    award = store.ask(AwardPoints(HERE, "ann", 1))
    held.wait_for_commit()

    def lock() -> None:
        with store.transaction(timeout=PATIENCE_S) as tx:
            tx.get(f"match:{HERE}")

    with ThreadPoolExecutor(1) as pool:
        locking = pool.submit(lock)
        until(lambda: any(tx.is_ending() for tx in store.runtime.transactions._active))
        held.inner.fail_next(StorageFull("no space left on device"))
        held.let_go()
        with pytest.raises(StorageFull):
            award.get()
        with pytest.raises(ConflictAborted, match="lease"):
            locking.result(PATIENCE_S)
    assert_nothing_is_left(store)


def test_a_commit_on_its_way_through_a_replaced_actor_is_made_or_refused_and_never_half(
    game: Store, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap, link = set_trap(), game.runtime.links[0]
    finish = trap.before(ShardActor.finish, lambda shard, batch: shard.link is link and batch.holder is not None)
    monkeypatch.setattr(ShardActor, "finish", finish)

    def both() -> None:
        with game.transaction() as tx:
            tx.award_points(HERE, "ann", 1)
            tx.award_points(THERE, "ann", 1)

    with ThreadPoolExecutor(1) as pool:
        committing = pool.submit(both)
        trap.wait()
        restart(link, game)
        trap.let_go()
        with pytest.raises(ConflictAborted, match="restarted"):
            committing.result(PATIENCE_S)
    assert points_of(game, HERE) == points_of(game, THERE) == {}
    assert_nothing_is_left(game)


def test_a_transaction_that_lost_its_locks_takes_nothing_of_others_along(kept: Store, held: HeldEngine) -> None:
    """It is refused while somebody else has staged the same record, which is not durable yet."""

    def award() -> Any:
        return kept.ask(AwardPoints(HERE, "ann", 1), timeout=PATIENCE_S)

    def hold() -> None:
        with ThreadPoolExecutor(1) as pool:
            tx = kept.transaction(timeout=PATIENCE_S)
            tx.award_points(HERE, "ann", 100)
            restart(kept.runtime.links[0], kept)
            held.hold()
            awards.append(award())
            held.wait_for_commit()
            committing = pool.submit(tx.__exit__, None, None, None)
            until(lambda: kept.runtime.committer.queued() == 1)
            awards.append(award())
            until(lambda: kept.runtime.committer.queued() == 2)
            held.let_one_pass()
            held.wait_for_commit()
            settled(kept)
            awards.append(award())
            settled(kept)
            held.let_go()
            committing.result(PATIENCE_S)

    awards = list[Any]()
    with pytest.raises(ConflictAborted, match="restarted"):
        hold()
    assert [reply.get().points for reply in awards] == [1, 2, 3]
    assert_nothing_is_left(kept)
