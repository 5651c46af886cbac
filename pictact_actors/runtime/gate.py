"""The bounded door of a shard: how many writes may be in flight."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pictact_actors.clock import monotonic


class Gate:
    """Counts writes in flight. Senders `enter`, whoever answers lets them `leave`."""

    def __init__(self, in_flight_max: int) -> None:
        self._max = in_flight_max
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._callbacks: list[Callable[[], None]] = []
        self._waiting = 0
        self.in_flight = 0

    def enter(self, count: int, deadline: float) -> bool:
        """Admit `count` writes, waiting for room until `deadline` (monotonic); False if there was none."""
        with self._lock:  # the lock itself: a condition's `with` is a call in Python
            if self.in_flight + count > self._max and not self._has_room(count, deadline):
                return False
            self.in_flight += count
            return True

    def take(self, count: int) -> int:
        """Admit as many of `count` writes as there is room for now; return how many."""
        with self._room:
            admitted = max(0, min(count, self._max - self.in_flight))
            self.in_flight += admitted
            return admitted

    def leave(self, count: int) -> None:
        """Make room after `count` writes were answered."""
        with self._lock:
            self.in_flight -= count
            if self._waiting:
                self._room.notify_all()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call back once: now if there is room, else when the next write leaves (from the thread that answered it)."""
        with self._room:
            if self.in_flight >= self._max:
                self._callbacks.append(callback)
                return
        callback()

    def wait_empty(self, deadline: float) -> bool:
        """Wait until nothing is in flight; False if `deadline` (monotonic) came first."""
        with self._room:
            self._waiting += 1
            try:
                return self._room.wait_for(lambda: not self.in_flight, max(0.0, deadline - monotonic()))
            finally:
                self._waiting -= 1

    def _has_room(self, count: int, deadline: float) -> bool:
        wait_s = deadline - monotonic()
        if wait_s <= 0.0:
            return False
        self._waiting += 1
        try:
            return self._room.wait_for(lambda: self.in_flight + count <= self._max, wait_s)
        finally:
            self._waiting -= 1
