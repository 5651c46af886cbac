"""What changed between two results, beyond noise.

Every later run is divided by every earlier one; the middle of these ratios is the change (Hodges and Lehmann). The
ratios at both ends are left out as far as the test of Mann and Whitney allows at `CHANCE`: what remains is an interval
that holds the true ratio, whatever the distribution of the figures. Something changed if 1 is outside of it. With five
runs on either side nothing is left out: every run after must be on the same side of every run before.

Runs of different days also differ by what the machine did. So each run measures a sync and some Python alone, and
where these changed, the comparison says that the machine did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from statistics import median

RUNS_MIN = 5
"""With fewer, no difference could be told from chance."""
CHANCE = 0.01
"""How often, at most, a figure is said to have changed that did not."""
WORTH = 0.03
"""Changes of less than this are not worth a word."""
RISING_IS_GOOD = ("calls/s",)


@dataclass(frozen=True, slots=True)
class Change:
    """One figure before and after. `ratio` is after / before, between `low` and `high` but for chance."""

    name: str
    before: float
    after: float
    ratio: float
    low: float
    high: float

    @property
    def is_real(self) -> bool:
        return not self.low <= 1 <= self.high and abs(self.ratio - 1) >= WORTH

    @property
    def is_better(self) -> bool:
        return (self.ratio > 1) == (self.name in RISING_IS_GOOD)

    @property
    def verdict(self) -> str:
        return ("better" if self.is_better else "worse") if self.is_real else "no change"


def changes(before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]]) -> list[Change]:
    """Compare every figure that both sides have, and that is never 0. Needs `RUNS_MIN` runs on either side."""
    if min(len(before), len(after)) < RUNS_MIN:
        raise ValueError(f"{len(before)} runs against {len(after)}: at least {RUNS_MIN} on either side")
    names = [name for name in before[0] if all(run.get(name, 0) > 0 for run in (*before, *after))]
    return [_change(name, [run[name] for run in before], [run[name] for run in after]) for name in names]


def _change(name: str, before: Sequence[float], after: Sequence[float]) -> Change:
    ratios = sorted(late / early for early in before for late in after)
    out = left_out(len(before), len(after))
    return Change(name, median(before), median(after), median(ratios), ratios[out], ratios[-1 - out])


def left_out(runs_before: int, runs_after: int) -> int:
    """How many ratios may be left out at either end: the largest u with P(U <= u) <= CHANCE / 2."""
    orders = comb(runs_before + runs_after, runs_before)
    below = count = 0
    while (below := below + _orders(runs_before, runs_after, count)) / orders <= CHANCE / 2:
        count += 1
    return count - 1 if count else 0


@cache
def _orders(before: int, after: int, pairs: int) -> int:
    """In how many orders of the runs exactly so many pairs have the later run first (Mann and Whitney's recurrence)."""
    if pairs < 0:
        return 0
    if not before or not after:
        return int(pairs == 0)
    return _orders(before - 1, after, pairs - after) + _orders(before, after - 1, pairs)
