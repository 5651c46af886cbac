"""When calls are due: at a fixed rate (open loop), or as soon as somebody asks (closed loop). All times are ns."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from time import perf_counter_ns as now_ns
from typing import NamedTuple

from bench.load.mix import Operation

NS = 1_000_000_000


class Arrival(NamedTuple):
    """A call, and when it is due."""

    operation: Operation
    due: int


class Arrivals:
    """Hands out calls in order, each to one host, for `seconds` or until there are none. Any thread.

    In an open loop the n-th is due n / `rate` seconds after the start, whatever happened to those before. Hosts that
    are busy take it late, which is part of its latency. Calls that nobody has taken `overrun_s` after the last was due
    are left, and `left` says how many.
    """

    def __init__(self, operations: Iterator[Operation], rate: float | None, seconds: float, overrun_s: float) -> None:
        self.began = now_ns()
        self.seconds = seconds
        self._lock = Lock()
        self._operations = operations
        self._rate = rate
        self._due = 0 if rate is None else max(1, round(rate * seconds))
        self._ends = self.began + int((seconds if rate is None else seconds + overrun_s) * NS)
        self._taken = 0
        self.stopped = False

    def take(self) -> Arrival | None:
        """Return the next call, or None when there are no more."""
        with self._lock:
            now = now_ns()
            if self.stopped or now >= self._ends:
                return None
            if self._rate is None:
                due = now
            elif self._taken < self._due:
                due = self.began + int(self._taken * NS / self._rate)
            else:
                return None
            operation = next(self._operations, None)
            if operation is None:
                return None
            self._taken += 1
            return Arrival(operation, due)

    def stop(self) -> None:
        """Hand out no more."""
        self.stopped = True

    @property
    def left(self) -> int:
        """Calls that were due and that nobody took."""
        return max(0, self._due - self._taken)
