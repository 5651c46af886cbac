"""The change feed: what was committed, in order, for any number of readers who follow at their own pace.

Nothing is queued for them. Each has a bookmark in the journal and reads on from there by itself; the committer only
wakes those who have read everything and wait. So a slow reader costs no memory and slows nobody.

Threads: a follower is its reader's. `announce` is the committer's, and the closing thread's in the end. Who waits is
in a deque, which needs no lock: a reader puts itself there before it looks whether something was published.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pictact_actors.clock import monotonic
from pictact_actors.errors import InvalidValue, StoreClosed, StoreError
from pictact_actors.model import keys
from pictact_actors.storage.engine import Engine
from pictact_actors.threads import HERE, would_wait_for_itself

_READ = 256
"""Commits that are read at once, but for the rest of a commit group."""
_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Change:
    """One commit: its place in the order, when it was (epoch s), which command led to it, and what it wrote.

    `keys` are those that users see, in no particular order, written or deleted; a commit may have none.
    """

    seq: int
    ts: float
    cause: str
    keys: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """All fields, plain."""
        return {"seq": self.seq, "ts": self.ts, "cause": self.cause, "keys": list(self.keys)}


class Feed:
    """Where readers come in, and where they are woken."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._foreign: StoreClosed | None = None
        self.waiting: deque[Callable[[], None]] = deque()
        """How to wake those who wait; each is called once, in any thread, and must not raise."""
        self.over = False
        """Whether nothing comes any more: the store is closed."""

    def follow(self, from_seq: int | None) -> Follower:
        """Begin at a kept commit or the next one (None). Touches no disk. Raises `EntriesGone`, `InvalidValue`."""
        next_seq = self._engine.seq + 1
        if from_seq is None:
            from_seq = next_seq
        if isinstance(from_seq, bool) or not isinstance(from_seq, int) or not 0 <= from_seq <= next_seq:
            raise InvalidValue(
                "from_seq", from_seq, f"must be a whole number up to that of the next commit, {next_seq}"
            )
        return Follower(self, self._engine, max(1, from_seq))

    def announce(self) -> None:
        """Wake everybody who waits: something was published."""
        for _ in range(len(self.waiting)):
            with suppress(IndexError):  # it has just given up waiting
                self.waiting.popleft()()

    def close(self) -> None:
        """Let everybody read to the end, and no further."""
        self.over = True
        self.announce()

    def abandon(self, reason: StoreClosed) -> None:
        """Refuse to be read in a forked child."""
        self._foreign = reason
        self.over = True
        self.waiting = deque()

    def require_own(self) -> None:
        """Raise `StoreClosed` in a forked child, `InvalidValue` in an actor's own thread."""
        if HERE.in_actor:
            raise would_wait_for_itself()
        if self._foreign is not None:
            raise self._foreign.with_traceback(None)


class Follower:
    """One reader's way through the commits. One thread at a time."""

    def __init__(self, feed: Feed, engine: Engine, from_seq: int) -> None:
        self._feed = feed
        self._engine = engine
        self._bookmark = engine.bookmark(from_seq)
        self._next_seq = from_seq
        self.ended = False
        """Whether nothing comes any more: the store was closed before the last read, which found nothing."""

    def changes(self, timeout_s: float | None) -> Iterator[Change]:
        """Iterate from here until the store is closed, or nothing has happened for `timeout_s`."""
        event = threading.Event()
        while not self.ended:
            found = self.read()
            yield from found
            if not (found or self.ended or self._wait(event, timeout_s)):
                return

    def read(self) -> list[Change]:
        """Return what follows, as far as it is published. Raises `EntriesGone`, `StoreDamaged`, `StoreClosed`."""
        self._feed.require_own()
        over = self._feed.over
        try:
            entries = self._bookmark.read(_READ)
        except (StoreError, OSError):
            if not over:
                raise
            entries = ()  # the files of a closed store may go at any time
        if entries:
            self._next_seq = entries[-1].seq + 1
        else:
            self.ended = over
        return [
            Change(seq, ts, cause, tuple(key for key in changes if keys.is_public(key)))
            for seq, ts, cause, _, changes in entries
        ]

    @contextmanager
    def woken(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have `wake` called, in any thread, once there is something to read or nothing comes any more."""
        waiting = self._feed.waiting
        waiting.append(wake)
        try:
            if self._engine.seq >= self._next_seq or self._feed.over:
                wake()
            yield
        finally:
            with suppress(ValueError):  # it was called
                waiting.remove(wake)

    def _wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """Wait until there may be something to read; False if nothing has come for `timeout_s`."""
        deadline = math.inf if timeout_s is None else monotonic() + timeout_s
        event.clear()
        with self.woken(event.set):
            while not event.wait(max(0.0, min(_WAIT_S, deadline - monotonic()))):
                if monotonic() >= deadline:
                    return False
        return True
