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

    `now()` may repeat; `UniqueTimes` never do, they order what happens within one reading.
    """

    def __init__(self, source: Clock, *, floor: float = 0.0) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._floor = floor

    def now(self) -> float:
        """Epoch seconds, at least the latest reading before; held there when the source jumps back or gives NaN."""
        reading = self._source.now()
        with self._lock:
            if self._floor < reading <= LATEST_S:
                self._floor = reading
            return self._floor


class UniqueTimes:
    """Times of their own for what happens within one reading of the clock. One thread's (a shard has one).

    A commit stores the latest `mark`, so that the order survives restarts.
    """

    def __init__(self, mark: float = 0.0) -> None:
        self.mark = mark
        self.now = mark

    def next(self) -> float:
        """Return `now`, or the next representable time after the last one given out."""
        mark = self.mark
        self.mark = mark = self.now if self.now > mark else math.nextafter(mark, math.inf)
        return mark
