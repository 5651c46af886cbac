"""Metrics over many matches, for tuning the game."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, fsum
from typing import Final, NamedTuple, Self

from pictact_actors.model.commands import RecordAnalytics
from pictact_actors.model.records import Analytics, camel
from pictact_actors.model.validate import Number

METRICS: Final = RecordAnalytics.METRICS
_SHOWN: Final = tuple(camel(name) for name in METRICS)
PERCENTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


class MatchMeans(NamedTuple):
    """What a summary needs of a match: its means, one for each of `METRICS`, and the samples behind them.

    `changed_at` (epoch s) is when the last observation was folded in.
    """

    post_id: str
    subreddit: str | None
    changed_at: Number
    means: tuple[Number | None, ...]
    samples: tuple[int, ...]

    @classmethod
    def of(cls, analytics: Analytics, subreddit: str | None = None) -> Self:
        """Return those of a record."""
        means = tuple(getattr(analytics, name) for name in METRICS)
        samples = tuple(analytics.samples.get(name, 0) for name in _SHOWN)
        return cls(analytics.post_id, subreddit, analytics.updated_at, means, samples)


@dataclass(frozen=True, slots=True)
class AnalyticsSummary:
    """Means over matches, each weighted by its samples; None where nothing was observed. Times in seconds.

    `percentiles` are of the matches' means, each match once, by metric (camelCase): `p50` is what half of the matches
    stay below; between two matches it is interpolated.
    """

    matches: int
    invalid_rate: Number | None = None
    avg_solve_time: Number | None = None
    mod_responsiveness: Number | None = None
    participation_rate: Number | None = None
    samples: Mapping[str, int] = field(default_factory=dict)
    percentiles: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """All fields with their camelCase names."""
        means = {shown: getattr(self, name) for name, shown in zip(METRICS, _SHOWN, strict=True)}
        percentiles = {name: dict(values) for name, values in self.percentiles.items()}
        return {"matches": self.matches, **means, "samples": dict(self.samples), "percentiles": percentiles}


def summarize(chosen: Iterable[MatchMeans]) -> AnalyticsSummary:
    """Combine the means of matches."""
    listed = list(chosen)
    means: dict[str, Number] = {}
    samples: dict[str, int] = {}
    percentiles: dict[str, Mapping[str, Number]] = {}
    for place, (name, shown) in enumerate(zip(METRICS, _SHOWN, strict=True)):
        pairs = [(match.means[place], match.samples[place]) for match in listed]
        observed = [(mean, count) for mean, count in pairs if count and mean is not None]
        if observed:
            total = samples[shown] = sum(count for _, count in observed)
            means[name] = fsum(mean * (count / total) for mean, count in observed)
            ordered = sorted(mean for mean, _ in observed)
            percentiles[shown] = {label: percentile(ordered, share) for label, share in PERCENTILES.items()}
    return AnalyticsSummary(len(listed), **means, samples=samples, percentiles=percentiles)


def percentile(ordered: Sequence[Number], share: float) -> Number:
    """Return the value that a share (0 to 1) of the ordered values stays below, interpolated between its neighbours."""
    at = share * (len(ordered) - 1)
    below = floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)
