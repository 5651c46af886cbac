"""How long operations took, without keeping every sample. The only importer of hdrhistogram."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

READ_LIMIT_MS = 100.0
WRITE_LIMIT_MS = 200.0
"""The game's limits for 95 % of its operations."""

_LOWEST_NS, _HIGHEST_NS = 100, 60_000_000_000
_DIGITS = 3
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Latency:
    """The latencies of one operation, in milliseconds, and the limit that its 95th percentile should keep."""

    operation: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    limit_ms: float

    @property
    def is_kept(self) -> bool:
        """Whether 95 % were within the limit."""
        return self.p95_ms <= self.limit_ms

    def to_dict(self) -> dict[str, object]:
        """All figures with their camelCase names."""
        return {
            "operation": self.operation,
            "count": self.count,
            "p50Ms": self.p50_ms,
            "p95Ms": self.p95_ms,
            "p99Ms": self.p99_ms,
            "maxMs": self.max_ms,
            "limitMs": self.limit_ms,
            "kept": self.is_kept,
        }


class Stopwatch:
    """Latencies by operation. Owned by one thread; `merged` sums up those of several, after they ended."""

    def __init__(self) -> None:
        self._histograms: dict[tuple[str, float], HdrHistogram] = {}

    def record(self, operation: str, limit_ms: float, elapsed_s: float) -> None:
        """Count one operation."""
        histogram = self._histograms.get((operation, limit_ms))
        if histogram is None:
            histogram = self._histograms[operation, limit_ms] = HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS)
        histogram.record_value(min(max(int(elapsed_s * 1e9), _LOWEST_NS), _HIGHEST_NS))

    def latencies(self) -> list[Latency]:
        """Return the latencies of every operation, the writes last."""
        return [_latency(*item) for item in sorted(self._histograms.items(), key=lambda item: item[0][::-1])]


def merged(watches: Iterable[Stopwatch]) -> Stopwatch:
    """Return the sum of several."""
    total = Stopwatch()
    for watch in watches:
        for key, histogram in watch._histograms.items():  # noqa: SLF001 - of the same class
            into = total._histograms.setdefault(key, HdrHistogram(_LOWEST_NS, _HIGHEST_NS, _DIGITS))  # noqa: SLF001 - the same
            into.add(histogram)
    return total


def _latency(key: tuple[str, float], histogram: HdrHistogram) -> Latency:
    operation, limit_ms = key
    p50, p95, p99 = (histogram.get_value_at_percentile(p) / _NS_PER_MS for p in (50, 95, 99))
    highest = histogram.get_max_value() / _NS_PER_MS
    return Latency(operation, histogram.get_total_count(), p50, p95, p99, highest, limit_ms)
