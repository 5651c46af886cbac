"""What is asked and what was found: cases, samples, and the reckoning between them. Times are nanoseconds."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

HOUR_NS = 3_600_000_000_000


class Cheated(Exception):
    """A subject does not hold what it acknowledged, or answers wrongly."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the reader wants to know. `by_time` compares medians of the latency, otherwise rates."""

    name: str
    title: str
    by_time: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one case. `rate` is calls per second; `beside` is what else was written meanwhile, per second."""

    calls: int
    rate: float
    p50: int
    p95: int
    p99: int
    beside: float | None = None


def sample_of(latencies: Iterable[array[int]], calls: int, elapsed_ns: int, beside: float | None = None) -> Sample:
    """Make a sample of the calls that were timed, among all that were made."""
    histogram = HdrHistogram(1, HOUR_NS, 3)
    for some in latencies:
        for latency in some:
            histogram.record_value(latency)
    p50, p95, p99 = (histogram.get_value_at_percentile(percent) for percent in (50, 95, 99))
    return Sample(calls, calls / elapsed_ns * 1e9, p50, p95, p99, beside)


def require(condition: bool, what: str) -> None:  # noqa: FBT001 - the condition itself
    """Raise `Cheated` unless it is so."""
    if not condition:
        raise Cheated(what)
