"""The only module that reads the time.

Wall time (epoch seconds) says when things happened and comes through one injected `Clock`; monotonic time measures
waits and deadlines and never leaves the process.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol

monotonic = time.monotonic
"""Seconds on a clock that only measures intervals: deadlines, latencies."""

LATEST_S = 2.0**50
"""Readings past this (36 million years, infinity) are a broken clock: times and their sums must fit in a record."""


class Clock(Protocol):
    """A source of wall time."""

    def now(self) -> float:
        """Epoch seconds."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()


class StoreClock:
    """The store's view of an injected clock: it never runs backwards, not even across restarts.

    `now()` may repeat; `unique()` never does, so it orders what happened within one reading.
    """

    def __init__(self, source: Clock, *, floor: float = 0.0, mark: float = 0.0) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._floor = floor
        self._mark = mark

    def now(self) -> float:
        """Epoch seconds, at least the latest reading before; held there when the source jumps back or gives NaN."""
        reading = self._source.now()
        with self._lock:
            if self._floor < reading <= LATEST_S:
                self._floor = reading
            return self._floor

    def unique(self, now: float) -> float:
        """Return a time of its own: `now`, or the next representable one after the last unique time."""
        with self._lock:
            self._mark = max(now, math.nextafter(self._mark, math.inf))
            return self._mark

    @property
    def mark(self) -> float:
        """The latest unique time given out; a commit stores it so that order survives restarts."""
        return self._mark
