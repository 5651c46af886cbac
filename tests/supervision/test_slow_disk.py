"""A slow disk is nobody's fault: everybody waits, and nobody is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from breakdowns import (
    HERE,
    SHARDS,
    THERE,
    WEDGED_S,
    Hosts,
    SetTrap,
    Trap,
    assert_nothing_is_left,
    by_a_message,
    counted_looks,
    post_in,
    replaced,
    restarts,
)
from engines import PATIENCE_S, HeldEngine
from games import begin, creation, play
from opening import Opener
from waiting import until

from pictact_actors import AwardPoints, CompleteMatch, Store
from pictact_actors.runtime.supervisor import LOOK_S

OpenGame = Callable[..., Store]
LOOKS = int(WEDGED_S / LOOK_S) + 4
"""More than an actor has without any progress."""


@pytest.fixture
def kept(open_store: Opener, held: HeldEngine) -> Store:
    """A store on a held engine, with a match in each shard."""
    store: Store = open_store(engine=held, shards=SHARDS, wedged_after_s=WEDGED_S)
    begin(store, *(post_in(shard) for shard in range(SHARDS)))
    play(store, {"ann": 1}, THERE)
    return store


def busy_everywhere(store: Store) -> list[Any]:
    """Send something to every shard, and something over several."""
    awards = [AwardPoints(post_in(shard), "bob", 1) for shard in range(SHARDS) for _ in range(3)]
    return store.submit([*awards, CompleteMatch(THERE)], timeout=PATIENCE_S)


def assert_nobody_was_replaced(store: Store, replies: list[Any]) -> None:
    assert [reply.get().points for reply in replies[:-1]] == [1, 2, 3] * SHARDS
    assert {at.user for at in replies[-1].get()} == {"ann", "bob"}
    assert restarts(store) == [0] * SHARDS
    assert_nothing_is_left(store)


def test_a_commit_that_takes_long_replaces_nobody(
    kept: Store, held: HeldEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.hold()
    with counted_looks(monkeypatch, kept) as looked:
        replies = busy_everywhere(kept)
        held.wait_for_commit()
        looked(LOOKS)
    held.let_go()
    assert_nobody_was_replaced(kept, replies)


def test_a_group_that_takes_long_to_be_shown_replaces_nobody(
    kept: Store, held: HeldEngine, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    """Actors that need a record which is not in memory wait for the end of the moment."""
    trap = set_trap()
    monkeypatch.setattr(held.inner, "publish", trap.before(held.inner.publish))
    with counted_looks(monkeypatch, kept) as looked:
        replies = busy_everywhere(kept)
        trap.wait()
        creating = kept.submit([creation(post_in(shard, 1)) for shard in range(SHARDS)], timeout=PATIENCE_S)
        looked(LOOKS)
    trap.let_go()
    assert [reply.get().status for reply in creating] == ["active"] * SHARDS
    assert_nobody_was_replaced(kept, replies)


def slow_to_find(records: Any, key: str, trap: Trap) -> Any:
    """Records on a disk that takes long to find one of them."""
    slow = type("SlowRecords", (type(records),), {})(records)
    slow.get = trap.before(slow.get, lambda wanted: wanted == key)
    return slow


def test_a_read_that_takes_long_inside_the_storage_replaces_nobody(
    kept: Store, held: HeldEngine, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    trap = set_trap()
    held.inner._records = slow_to_find(held.inner._records, f"match:{post_in(0, 1)}", trap)
    with counted_looks(monkeypatch, kept) as looked:
        creating = kept.ask(creation(post_in(0, 1)), timeout=PATIENCE_S)
        trap.wait()
        replies = busy_everywhere(kept)
        looked(LOOKS)
    trap.let_go()
    assert creating.get().status == "active"
    assert_nobody_was_replaced(kept, replies)


def test_actors_that_wait_for_a_reader_who_waits_for_the_disk_are_not_replaced(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_looks(monkeypatch, kept) as looked:
        with kept.runtime.committed._moment:  # as a reader does that needs all records of one moment
            replies = busy_everywhere(kept)
            looked(LOOKS)
        assert_nobody_was_replaced(kept, replies)


def test_an_actor_that_stands_still_behind_a_slow_disk_is_replaced_as_soon_as_that_goes_on(
    kept: Store, held: HeldEngine, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    old = kept.runtime.links[0].actor
    held.hold()
    with counted_looks(monkeypatch, kept) as looked:
        replies = kept.submit([AwardPoints(THERE, "bob", 1)], timeout=PATIENCE_S)
        held.wait_for_commit()
        by_a_message(monkeypatch, kept, set_trap())
        looked(LOOKS)
        assert restarts(kept) == [0] * SHARDS
        replies += kept.submit([AwardPoints(HERE, "ann", 1)], timeout=PATIENCE_S)
    held.let_go()
    replaced(kept.runtime.links[0], old, kept)
    assert [reply.get().points for reply in replies] == [1, 1]
    assert restarts(kept) == [1, 0, 0, 0]
    assert_nothing_is_left(kept)


def test_a_disk_that_is_always_busy_and_goes_on_excuses_nobody(
    kept: Store, held: HeldEngine, monkeypatch: pytest.MonkeyPatch, set_trap: SetTrap
) -> None:
    """There is always a commit under way, each another one."""
    link = kept.runtime.links[0]
    old = link.actor
    with Hosts(kept, [THERE, post_in(2)]) as hosts:
        held.hold()
        by_a_message(monkeypatch, kept, set_trap())

        def replaced_meanwhile() -> bool:
            held.wait_for_commit()
            held.let_one_pass()
            return link.actor is not old

        until(replaced_meanwhile)
        held.let_go()
        assert kept.award_points(HERE, "ann", 1).points == 1
    hosts.end()
    assert restarts(kept) == [1, 0, 0, 0]
