"""Breakdowns of shard actors, staged: where one stands still or fails, and hosts that go on meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Self

import pytest
from engines import PATIENCE_S, Probe, inside
from waiting import until

from pictact_actors import AwardPoints, CompleteMatch, Store
from pictact_actors.model import rules
from pictact_actors.model.keys import shard_of
from pictact_actors.model.updating import Update
from pictact_actors.runtime import crossing
from pictact_actors.runtime.link import ShardLink
from pictact_actors.runtime.reply import Call, Reply
from pictact_actors.runtime.shard import ShardActor
from pictact_actors.runtime.staging import Batch

SHARDS = 4
WEDGED_S = 0.3
"""Short, so that tests are."""
BAD = "bad"
"""The player whose awards break actors down."""
MISTAKES = [RuntimeError("a mistake"), SystemExit(1), MemoryError(), KeyboardInterrupt()]


def post_in(shard: int, nth: int = 0) -> str:
    """A post whose group lives in a shard."""
    return [f"p{n}" for n in range(200) if shard_of(f"match:p{n}", SHARDS) == shard][nth]


def user_in(shard: int, nth: int = 0) -> str:
    """A player whose group lives in a shard."""
    return [f"u{n}" for n in range(200) if shard_of(f"lifetime:u{n}", SHARDS) == shard][nth]


HERE, THERE = post_in(0), post_in(1)
"""A match in the shard that breaks down, and one in a shard that does not."""


class Trap:
    """Catches who comes by, `times` times: they stand still until they are let go, or fail with an error."""

    def __init__(self, times: int = 1, error: BaseException | None = None) -> None:
        self.caught = 0
        self._times = times
        self._error = error
        self._lock = threading.Lock()
        self._catches = threading.Semaphore(0)
        self._free = threading.Event()

    def spring(self) -> None:
        """Come by."""
        with self._lock:
            if self.caught == self._times:
                return
            self.caught += 1
        self._catches.release()
        if self._error is not None:
            raise self._error
        assert self._free.wait(PATIENCE_S * 2)

    def wait(self) -> None:
        """Wait until it has caught somebody (else)."""
        assert self._catches.acquire(timeout=PATIENCE_S)

    def let_go(self) -> None:
        """Let everybody go on."""
        self._free.set()

    def before(self, real: Callable[..., Any], concerns: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
        """Return a function that comes by here before it does what it did."""

        def came_by(*args: Any, **options: Any) -> Any:
            if concerns(*args):
                self.spring()
            return real(*args, **options)

        return came_by

    def after(self, real: Callable[..., Any], concerns: Callable[..., bool]) -> Callable[..., Any]:
        """Return a function that comes by here after it did what it does."""

        def came_by(*args: Any, **options: Any) -> Any:
            done = real(*args, **options)
            if concerns(*args):
                self.spring()
            return done

        return came_by


SetTrap = Callable[..., Trap]
"""Makes a trap that lets everybody go when the test is over."""


# -- places outside any rule: an actor that meets a bad award comes by a trap


def _is_bad(_shard: ShardActor, what: Any, *_: Any) -> bool:
    """Whether a call, what was decided, or a batch has to do with a bad award."""
    calls = (
        [what] if isinstance(what, Call) else [one.call for one in (what.staged if isinstance(what, Batch) else what)]
    )
    return any(getattr(call.command, "user", None) == BAD for call in calls)


PLACES = {
    "before it is decided": ("_decision", Trap.before),
    "before it is staged": ("_hand_over", Trap.before),
    "before the committer has it": ("finish", Trap.before),
    "when the committer has it": ("finish", Trap.after),
}


def lay(monkeypatch: pytest.MonkeyPatch, trap: Trap, place: str) -> None:
    """Lay a trap in a place that actors come by when they meet a bad award."""
    name, when = PLACES[place]
    monkeypatch.setattr(ShardActor, name, when(trap, getattr(ShardActor, name), _is_bad))


# -- what makes an actor stand still


def by_a_message(_monkeypatch: pytest.MonkeyPatch, store: Store, trap: Trap) -> None:
    store.runtime.links[0].tell(Probe(lambda _shard: trap.spring()))


def by_a_rule(monkeypatch: pytest.MonkeyPatch, store: Store, trap: Trap) -> Reply[Any]:
    rule = trap.before(rules.award_points, lambda command, *_: command.user == BAD)
    monkeypatch.setattr("pictact_actors.model.deciding.RULES", {**rules.RULES, AwardPoints: rule})
    return store.ask(AwardPoints(HERE, BAD, 1), timeout=PATIENCE_S)


def by_an_update(_monkeypatch: pytest.MonkeyPatch, store: Store, trap: Trap) -> Reply[Any]:
    return store.ask(Update(f"match:{HERE}", trap.before(lambda match: match)), timeout=PATIENCE_S)


def by_a_crossing(monkeypatch: pytest.MonkeyPatch, store: Store, trap: Trap) -> Reply[Any]:
    """Completes a match of another shard, and stands still at a player of this one."""
    store.award_points(post_in(3), user_in(0), 1)
    monkeypatch.setattr(crossing, "settle", trap.before(crossing.settle))
    return store.ask(CompleteMatch(post_in(3)), timeout=PATIENCE_S)


def at(place: str) -> Callable[..., Reply[Any]]:
    def wedge(monkeypatch: pytest.MonkeyPatch, store: Store, trap: Trap) -> Reply[Any]:
        lay(monkeypatch, trap, place)
        return store.ask(AwardPoints(HERE, BAD, 1), timeout=PATIENCE_S)

    return wedge


STANDSTILLS: dict[str, Callable[[pytest.MonkeyPatch, Store, Trap], Reply[Any] | None]] = {
    "by a message": by_a_message,
    "by a rule": by_a_rule,
    "by an update": by_an_update,
    "by a crossing": by_a_crossing,
    **{place: at(place) for place in PLACES},
}
"""How the actor of the first shard is made to stand still; each returns what it sent."""


# -- what happens to a shard


class Mark:
    """Something in the order of commits."""

    def __init__(self) -> None:
        self.passed = threading.Event()

    def take_effect(self) -> None:
        self.passed.set()


def restart(link: ShardLink, store: Store, cause: str = "a test") -> ShardActor:
    """Replace a shard's actor, and wait until that is done; return the old one."""
    old = link.actor
    store.runtime.supervisor.restart(link, cause)
    replaced(link, old, store)
    return old  # type: ignore[return-value]  # a shard's is a shard actor


def replaced(link: ShardLink, old: Any, store: Store) -> None:
    """Wait until another actor has taken the place of one, and what that had is in its line."""
    until(lambda: link.actor is not old)
    mark = Mark()
    store.runtime.committer.put(mark)
    assert mark.passed.wait(PATIENCE_S)


def give_up_on(link: ShardLink, store: Store) -> None:
    """Replace a shard's actor once too often."""
    for _ in range(store.runtime.config.restarts_max + 1):
        restart(link, store)


def restarts(store: Store) -> list[int]:
    """How often each shard's actor was replaced."""
    return [shard.restarts for shard in store.statistics().shards]


def waiting_calls(store: Store) -> int:
    """How many commands wait for a locked group in the first shard."""
    return len(inside(store.runtime.links[0], lambda shard: shard.locks.waiting_calls()))


def assert_nothing_is_left(store: Store) -> None:
    """Nobody holds or wants anything any more, in a moment."""
    runtime = store.runtime
    until(lambda: not any(link.gate.in_flight for link in runtime.links))
    until(lambda: not any(len(link.actor.locks) for link in runtime.links))
    until(lambda: not runtime.workplace.crossings and not len(runtime.waits) and not len(runtime.transactions))
    assert [link.gate.in_flight for link in runtime.links] == [0] * len(runtime.links)


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    """What was logged under a name."""
    logged = [json.loads(record.getMessage()) for record in caplog.records if record.name == "pictact_actors"]
    return [event for event in logged if event["event"] == name]


@contextmanager
def counted_looks(monkeypatch: pytest.MonkeyPatch, store: Store) -> Iterator[Callable[[int], None]]:
    """Wait until the supervisor has looked a number of times more."""
    supervisor = store.runtime.supervisor
    looks, look = [0], supervisor._look

    def counted() -> None:
        look()
        looks[0] += 1

    def looked(times: int) -> None:
        last = looks[0] + times
        until(lambda: looks[0] >= last)

    with monkeypatch.context() as patched:
        patched.setattr(supervisor, "_look", counted)
        yield looked


# -- hosts that go on


class Hosts:
    """Threads that award points, each to a player of its own, and how long each award took."""

    def __init__(self, store: Store, posts: Sequence[str], count: int = 4) -> None:
        self.waits_s: list[float] = []
        self._store = store
        self._posts = posts
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(count)
        self._working = [self._pool.submit(self._work, number) for number in range(count)]
        self.do_some(count * 10)

    def do_some(self, count: int = 40) -> None:
        """Wait until some more awards were made."""
        last = len(self.waits_s) + count
        until(lambda: len(self.waits_s) >= last or any(done.done() for done in self._working))

    def end(self) -> None:
        """Go home. What they were told is done, once."""
        self._over.set()
        for number, done in enumerate(self._working):
            post, acknowledged = done.result(PATIENCE_S)
            assert self._store.score(post, f"host{number}").points == acknowledged
        self._pool.shutdown()

    def p95_s(self) -> float:
        """How long nineteen of twenty awards took at the most."""
        return sorted(self.waits_s)[int(len(self.waits_s) * 0.95)]

    def _work(self, number: int) -> tuple[str, int]:
        post, acknowledged = self._posts[number % len(self._posts)], 0
        while not self._over.is_set():
            since = perf_counter()
            self._store.award_points(post, f"host{number}", 1)
            self.waits_s.append(perf_counter() - since)
            acknowledged += 1
        return post, acknowledged

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
