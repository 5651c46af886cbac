"""Tools for hosts that test their games: `Store.open(":memory:", clock=ManualClock(now))` has the same rules."""

from __future__ import annotations

import threading

from pictact_actors.errors import InvalidValue


class ManualClock:
    """A clock that moves when it is told to.

    >>> clock = ManualClock(1_000.0)
    >>> clock.advance(60)
    >>> clock.now()
    1060.0
    """

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._now = now

    def now(self) -> float:
        """Epoch seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward. Raises `InvalidValue` for negative seconds."""
        if seconds < 0:
            raise InvalidValue("seconds", seconds, "must not be negative; set() can jump back")
        with self._lock:
            self._now += seconds

    def set(self, ts: float) -> None:
        """Jump to a time; a store holds its own clock when this one jumps back."""
        with self._lock:
            self._now = ts
