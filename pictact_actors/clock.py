"""The only module that reads the time.

Wall time (epoch seconds) says when things happened and comes through one injected `Clock`; monotonic time measures
waits and deadlines and never leaves the process.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from pictact_actors import log

monotonic = time.monotonic
"""Seconds on a clock that only measures intervals: deadlines, latencies."""

LATEST_S = 2.0**50
"""Readings past this (36 million years, infinity) are a broken clock: times and their sums must fit in a record."""
LOOK_S = 1.0
"""How often the system clock is held against the wall clock."""
BACK_S = 1.0
"""A clock that is set back by less is held as well, but not worth a word."""


class Clock(Protocol):
    """A source of wall time."""

    def now(self) -> float:
        """Epoch seconds."""
        ...


class SystemClock:
    """The machine's wall clock, as far as it agrees with the time that this process has seen pass.

    Time goes on by the monotonic clock; a look at the wall clock now and then sets it right. What is ahead by more than
    `jump_max_s` at once is believed only when the wall clock still says so `confirm_s` later: a clock that is set wrong
    and back again within that time makes nothing expire. A machine that slept (the monotonic clock stands still then)
    has its time confirmed in the same way. A wall clock that was set back is followed at once; `StoreClock` waits.

    >>> abs(SystemClock().now() - time.time()) < 1
    True
    """

    def __init__(
        self,
        jump_max_s: float = 3_600.0,
        confirm_s: float = 60.0,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._jump_max_s = jump_max_s
        self._confirm_s = confirm_s
        self._wall = wall
        self._steady = steady
        self._looking = threading.Lock()
        now = steady()
        self._lead_s = wall() - now
        self._next_look = now + LOOK_S
        self._doubt: _Doubt | None = None

    def now(self) -> float:
        """Epoch seconds."""
        steady = self._steady()
        if steady >= self._next_look and self._looking.acquire(blocking=False):
            try:
                self._next_look = steady + LOOK_S
                self._look(steady, self._wall() - steady)
            finally:
                self._looking.release()
        return self._lead_s + steady

    def _look(self, steady: float, lead_s: float) -> None:
        """Compare with the wall clock, which is ahead of the monotonic one by `lead_s`."""
        ahead_s = lead_s - self._lead_s
        doubt = self._doubt
        if ahead_s <= self._jump_max_s:
            self._lead_s, self._doubt = lead_s, None
            if doubt is not None:
                log.info(log.CLOCK_CAME_BACK, ahead_s=doubt.ahead_s, after_s=steady - doubt.since)
        elif doubt is None or abs(lead_s - doubt.lead_s) > self._jump_max_s:
            self._doubt = _Doubt(steady, lead_s, ahead_s)
            log.warning(log.CLOCK_JUMPED, ahead_s=ahead_s, confirm_s=self._confirm_s)
        elif steady - doubt.since >= self._confirm_s:
            self._lead_s, self._doubt = lead_s, None
            log.warning(log.CLOCK_CONFIRMED, ahead_s=ahead_s, after_s=steady - doubt.since)


class _Doubt(NamedTuple):
    """A jump ahead that is not confirmed yet: since when, what the wall clock said, and by how much (s)."""

    since: float
    lead_s: float
    ahead_s: float


class StoreClock:
    """The store's view of an injected clock: it never runs backwards, not even across restarts.

    `now()` may repeat; `UniqueTimes` never do, they order what happens within one reading.
    """

    def __init__(self, source: Clock, *, floor: float = 0.0) -> None:
        self._source = source
        self.reading = source.now
        """What the source says, for comparisons that may be a moment off."""
        self._lock = threading.Lock()
        self._floor = floor
        self._expected = floor if isinstance(source, SystemClock) else -math.inf
        self._held = False

    def now(self) -> float:
        """Epoch seconds, at least the latest reading before; held there when the source jumps back or gives NaN.

        That is told once, and of the machine's clock also if it is behind the last commit from the beginning.
        """
        reading = self._source.now()
        with self._lock:
            if self._floor < reading <= LATEST_S:
                self._floor = self._expected = reading
                self._held = False
                return reading
            floor = self._floor
            jumped = reading < self._expected - BACK_S and not self._held
            self._held = self._held or jumped
        if jumped:
            log.warning(log.CLOCK_HELD, behind_s=floor - reading, held_at=floor)
        return floor


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
