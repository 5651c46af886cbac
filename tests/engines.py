"""Engines that a test holds up, and ways to look into a running store. Whoever waits here waits for a fact."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pictact_actors.clock import monotonic
from pictact_actors.storage.memory import MemoryEngine

if TYPE_CHECKING:
    from pictact_actors import Store
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.shard import ShardActor
    from pictact_actors.storage.engine import Commit

T = TypeVar("T")
PATIENCE_S = 20.0
"""Longer than anything here takes on a busy machine; whoever waits that long has found a bug."""


class HeldEngine:
    """An engine whose commits can be held up before they are durable; otherwise the engine inside."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner or MemoryEngine()
        self.commits: list[list[str]] = []
        self._changed = threading.Condition()
        self._held = False
        self._permits = 0
        self._waiting = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def hold(self) -> None:
        """Let the next commits wait."""
        with self._changed:
            self._held, self._permits = True, 0

    def wait_for_commit(self) -> None:
        """Wait until a commit group waits here."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting, PATIENCE_S)

    def let_one_pass(self) -> None:
        """Let the group that waits here become durable, and hold the next."""
        with self._changed:
            self._permits += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: not self._permits, PATIENCE_S)

    def let_go(self) -> None:
        """Hold nothing any more."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def commit(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: not self._held or self._permits, PATIENCE_S * 2)
            self._waiting -= 1
            self._permits = max(0, self._permits - 1)
            self._changed.notify_all()
        self.commits.append([commit.cause for commit in commits])
        return self.inner.commit(commits, ts, mark)


@dataclass
class Probe:
    """A message that does something in a shard's own thread, behind everything sent before it."""

    act: Callable[[ShardActor], Any]
    done: threading.Event = field(default_factory=threading.Event)
    seen: Any = None

    def apply(self, shard: ShardActor) -> None:
        try:
            self.seen = self.act(shard)
        finally:
            self.done.set()


def inside(link: ShardLink, act: Callable[[ShardActor], T]) -> T:
    """Return what `act` sees in a shard once everything sent before has been handled."""
    probe = Probe(act)
    link.tell(probe)
    assert probe.done.wait(PATIENCE_S)
    return probe.seen


def settled(store: Store) -> None:
    """Wait until no shard has work that it could do by itself: only locks and commits are waited for."""
    for _ in range(3):  # a crossing goes on to the next shard by a message
        for link in store.runtime.links:
            while inside(link, lambda shard: bool(shard._jobs)):
                pass


def drained(store: Store) -> None:
    """Wait until everything that was admitted has left: answers come a moment before."""
    for link in store.runtime.links:
        assert link.gate.wait_empty(monotonic() + PATIENCE_S)


class HeldShard:
    """A shard whose actor stands still in the middle of a message."""

    def __init__(self, link: ShardLink, for_s: float = PATIENCE_S) -> None:
        self._for_s = for_s
        self._standing = threading.Event()
        self._free = threading.Event()
        link.tell(Probe(self._stand))
        assert self._standing.wait(PATIENCE_S)

    def _stand(self, _shard: ShardActor) -> None:
        self._standing.set()
        assert self._free.wait(self._for_s)

    def let_go(self) -> None:
        """Let it go on."""
        self._free.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
