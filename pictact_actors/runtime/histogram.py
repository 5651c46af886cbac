"""How often values fell between fixed bounds. Adding one costs 0.2 us: a look-up in a sorted list and a count.

The bounds are preferred numbers (ISO 3, series R10: ten steps a decade), so a percentile read from them is within 13 %.
Any thread may add and read: a count is added in one go under the interpreter lock.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Final, NamedTuple

_STEPS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
_COARSE = (1.0, 2.0, 5.0)
_DECADES = range(-6, 1)


class Scale(NamedTuple):
    """Upper bounds of buckets, and the places of those that are shown to people and to Prometheus."""

    bounds: tuple[float, ...]
    shown: tuple[int, ...]


def _seconds() -> Scale:
    steps = [(step, round(step * 10.0**decade, 9)) for decade in _DECADES for step in _STEPS]
    shown = tuple(at for at, (step, _) in enumerate(steps) if step in _COARSE)
    return Scale(tuple(bound for _, bound in steps), shown)


def _powers(count: int) -> Scale:
    return Scale(tuple(float(2**power) for power in range(count)), tuple(range(count)))


SECONDS: Final = _seconds()
"""From 1 us to 8 s."""
COMMITS: Final = _powers(13)
"""From 1 to 4,096."""


class Histogram:
    """Counts by bucket since the beginning, and of late: since the last `turn` but one."""

    __slots__ = ("_before", "_bounds", "_since", "counts", "scale", "total")

    def __init__(self, scale: Scale = SECONDS) -> None:
        self.scale = scale
        self.counts = [0] * (len(scale.bounds) + 1)
        self.total = 0.0
        """Sum of all values."""
        self._bounds = scale.bounds
        self._since = self._before = self.counts.copy()

    def add(self, value: float, count: int = 1) -> None:
        """Count a value, or one that stands for several."""
        at = bisect_left(self._bounds, value)
        self.counts[at] += count
        self.total += value * count

    def turn(self) -> None:
        """Begin another period. What is recent are this one and the one before."""
        self._before, self._since = self._since, self.counts.copy()

    def recent(self) -> list[int]:
        """Return the counts of late."""
        return [count - before for count, before in zip(self.counts, self._before, strict=True)]

    def percentile(self, part: float) -> float | None:
        """Return a percentile of late."""
        return percentile(self.scale, self.recent(), part)

    def shown(self) -> list[tuple[float, int]]:
        """Return how many values there were up to each bound that is shown, all of them up to infinity at the end."""
        sums = list(accumulate(self.counts))
        bounds = self._bounds
        return [*((bounds[at], sums[at]) for at in self.scale.shown), (float("inf"), sums[-1])]


def percentile(scale: Scale, counts: list[int], part: float) -> float | None:
    """Return a value that this part of all is not above, at most the last bound; None if there are none.

    >>> percentile(COMMITS, [0, 0, 10, *[0] * 11], 0.5)
    3.0
    """
    wanted = part * sum(counts)
    seen = 0
    low = 0.0
    for high, count in zip(scale.bounds, counts, strict=False):
        if count and seen + count >= wanted:
            return low + (high - low) * (wanted - seen) / count
        seen += count
        low = high
    return low if any(counts) else None
