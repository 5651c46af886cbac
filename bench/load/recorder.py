"""How long calls took, kept as histograms: by call for the whole run, and for readers and writers by interval.

`response` counts from the moment a call was due, `service` from the moment its host began with it. In a closed loop
they are the same. `lag` is how late a host came that was free when the call was due: what timers and the interpreter
lock add before the target even hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from hdrh.histogram import HdrHistogram

from bench.load.ledger import Ledger
from bench.load.mix import Operation, Query, name_of

LOWEST_NS, HIGHEST_NS = 100, 600_000_000_000
DIGITS, INTERVAL_DIGITS = 3, 2
BATCH = 16
"""Calls that a host keeps to itself before it reports them."""
CURVE = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.995, 99.999, 100)
READS, WRITES = "reads", "writes"


class Done(NamedTuple):
    """A call that ended. Times are ns of the same clock; `waited`: its host was there before it was due."""

    operation: Operation
    due: int
    begun: int
    ended: int
    waited: bool
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds; all 0 where nothing was counted."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    @classmethod
    def of(cls, histogram: HdrHistogram) -> Latency:
        count = histogram.get_total_count()
        if not count:
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        found = histogram.get_percentile_to_value_dict([50, 99, 99.9, 100])
        return cls(count, *(found[percent] / 1e6 for percent in (50, 99, 99.9, 100)))


class Interval(NamedTuple):
    """What ended in one interval: responses to reads and writes."""

    reads: HdrHistogram
    writes: HdrHistogram


class Recorder:
    """Takes what hosts report. Any thread; everything is owned by who holds the lock."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lag = _histogram()
        self.from_ns = 0
        """Calls that were due before are not timed: the warm-up."""
        self.ended_ns = 0
        """When the last timed call ended."""
        self._lock = Lock()
        self._response: dict[str, HdrHistogram] = {}
        self._service: dict[str, HdrHistogram] = {}
        self._writes: set[str] = set()
        self._open_interval()

    def add(self, calls: Iterable[Done]) -> None:
        """Count calls that ended."""
        with self._lock:
            for call in calls:
                self.ledger.enter(call.operation, call.error)
                if call.due >= self.from_ns:
                    self._time(call)

    def turn(self) -> Interval:
        """End an interval and begin the next. Returns the one that ended."""
        with self._lock:
            ended = Interval(self._reads_now, self._writes_now)
            self._open_interval()
            return ended

    def begin(self, now: int) -> None:
        """Begin to time what is due from now on."""
        with self._lock:
            self.from_ns = now
            self._open_interval()

    def _open_interval(self) -> None:
        self._reads_now, self._writes_now = _histogram(INTERVAL_DIGITS), _histogram(INTERVAL_DIGITS)

    def _time(self, call: Done) -> None:
        name = name_of(call.operation)
        response = self._response.get(name)
        if response is None:
            response, self._service[name] = _histogram(), _histogram()
            self._response[name] = response
            if not isinstance(call.operation, Query):
                self._writes.add(name)
        self.ended_ns = max(self.ended_ns, call.ended)
        took = max(LOWEST_NS, call.ended - call.due)
        response.record_value(took)
        self._service[name].record_value(max(LOWEST_NS, call.ended - call.begun))
        (self._writes_now if name in self._writes else self._reads_now).record_value(took)
        if call.waited:
            self.lag.record_value(max(LOWEST_NS, call.begun - call.due))

    # -- after the run

    @property
    def seconds(self) -> float:
        """From the beginning of what was timed to the end of its last call."""
        return max(1, self.ended_ns - self.from_ns) / 1e9

    def names(self, kind: str) -> list[str]:
        """The calls of a kind (reads or writes), the most frequent first."""
        chosen = [name for name in self._response if (name in self._writes) == (kind == WRITES)]
        return sorted(chosen, key=lambda name: -self._response[name].get_total_count())

    def response(self, names: Sequence[str]) -> HdrHistogram:
        """The responses to some calls together."""
        return _together(self._response[name] for name in names)

    def service(self, names: Sequence[str]) -> HdrHistogram:
        """The service times of some calls together."""
        return _together(self._service[name] for name in names)


def curve(histogram: HdrHistogram) -> list[tuple[float, float]]:
    """Return (percentile, ms) from the fastest to the slowest; empty where nothing was counted."""
    if not histogram.get_total_count():
        return []
    found = histogram.get_percentile_to_value_dict(CURVE)
    return [(percent, found[percent] / 1e6) for percent in CURVE]


def _histogram(digits: int = DIGITS) -> HdrHistogram:
    return HdrHistogram(LOWEST_NS, HIGHEST_NS, digits)


def _together(histograms: Iterable[HdrHistogram]) -> HdrHistogram:
    total = _histogram()
    for histogram in histograms:
        total.add(histogram)
    return total
