"""The actor that decides what its keys become."""

from __future__ import annotations

import threading
from typing import Any

import pykka
import pytest
from engines import HeldEngine, HeldShard, drained, inside, settled
from games import begin, points_of
from opening import Opener

from pictact_actors import AwardPoints, NotFound, RequestTimeout, ShardRestarted, Store
from pictact_actors.clock import SystemClock
from pictact_actors.model import rules
from pictact_actors.runtime import crossing


@pytest.fixture
def one(open_store: Opener) -> Store:
    """A store of one shard with a match."""
    store: Store = open_store(":memory:", shards=1)
    begin(store)
    return store


def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException, user: str = "bad") -> None:
    """Let awarding points to one user go wrong in a way that nobody thought of."""
    award = rules.award_points

    def rule(command: AwardPoints, view: Any, when: Any) -> Any:
        if command.user == user:
            raise error
        return award(command, view, when)

    monkeypatch.setattr(rules, "RULES", {**rules.RULES, AwardPoints: rule})
    monkeypatch.setattr("pictact_actors.model.deciding.RULES", rules.RULES)


MISTAKES = [RuntimeError("a mistake"), MemoryError(), RecursionError(), SystemExit(1), KeyboardInterrupt()]


@pytest.mark.parametrize("mistake", MISTAKES, ids=repr)
def test_a_mistake_in_a_rule_harms_only_its_own_call(
    one: Store, monkeypatch: pytest.MonkeyPatch, mistake: BaseException
) -> None:
    broken(monkeypatch, mistake)
    with HeldShard(one.runtime.links[0]):
        replies = one.submit([AwardPoints("t3_a", user, 1) for user in ("ann", "bad", "ann", "bob")])
    with pytest.raises(ShardRestarted, match=type(mistake).__name__):
        replies[1].get()
    assert [replies[n].get().points for n in (0, 2, 3)] == [1, 2, 1]
    assert points_of(one) == {"ann": 2, "bob": 1}
    drained(one)


@pytest.mark.parametrize("mistake", MISTAKES[:2], ids=repr)
def test_a_mistake_in_a_crossing_harms_only_its_own_call(
    one: Store, monkeypatch: pytest.MonkeyPatch, mistake: Exception
) -> None:
    def settle(*_: object) -> None:
        raise mistake

    one.award_points("t3_a", "ann", 1)
    monkeypatch.setattr(crossing, "settle", settle)
    with pytest.raises(ShardRestarted, match=type(mistake).__name__):
        one.complete_match("t3_a")
    assert one.award_points("t3_a", "ann", 1).points == 2
    assert one.add_trophy("ann", "cup").trophies == ["cup"]


class Fickle(SystemClock):
    """A clock that fails once."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False

    def now(self) -> float:
        if self.fails:
            self.fails = False
            raise OSError("no time")
        return super().now()


def test_a_clock_that_fails_once_harms_nobody(open_store: Opener) -> None:
    clock = Fickle()
    store = open_store(":memory:", shards=1, clock=clock)
    begin(store)
    clock.fails = True
    assert store.award_points("t3_a", "ann", 1).points == 1
    assert store.award_points("t3_a", "ann", 1).points == 2
    drained(store)


def test_a_decision_is_made_on_what_was_decided_before_it_durable_or_not(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=1)
    begin(store)
    held.hold()
    replies = [store.ask(AwardPoints("t3_a", "ann", 1)) for _ in range(5)]
    held.wait_for_commit()
    settled(store)
    seen = inside(store.runtime.links[0], lambda shard: shard.get("score:t3_a:ann"))
    assert seen is not None
    assert seen.points == 5
    assert [record.points for record in inside(store.runtime.links[0], lambda s: list(s.scan("score:t3_a:")))] == [5]
    with pytest.raises(NotFound):
        store.score("t3_a", "ann")
    held.let_go()
    assert [reply.get().points for reply in replies] == [1, 2, 3, 4, 5]


def test_what_is_published_is_not_kept_twice(one: Store) -> None:
    for _ in range(20):
        one.award_points("t3_a", "ann", 1)
    inside(one.runtime.links[0], lambda shard: shard.decide([]))
    assert inside(one.runtime.links[0], lambda shard: (len(shard._overlay.all()), len(shard._unpublished))) == (0, 0)


def test_what_nobody_waits_for_any_more_is_dropped_before_it_is_done(one: Store) -> None:
    with HeldShard(one.runtime.links[0]):
        late = one.ask(AwardPoints("t3_a", "ann", 100), timeout=0.01)
        with pytest.raises(RequestTimeout) as caught:
            late.get()
        in_time = one.ask(AwardPoints("t3_a", "ann", 1))
    assert caught.value.timeout_s == 0.01
    assert in_time.get().points == 1
    assert late.done()
    with pytest.raises(RequestTimeout):
        late.get()
    assert [entry.cause for entry in one.entries()] == ["create_match", "award_points"]
    drained(one)


def test_actors_are_out_of_reach_of_the_hosts_registry(one: Store) -> None:
    before = set(pykka.ActorRegistry.get_all())
    pykka.ActorRegistry.stop_all()
    assert one.award_points("t3_a", "ann", 1).points == 1
    assert not before


def test_threads_are_daemons_so_that_a_host_can_end(open_store: Opener) -> None:
    before = set(threading.enumerate())
    open_store()
    ours = set(threading.enumerate()) - before
    assert ours
    assert not [thread.name for thread in ours if not thread.daemon]
