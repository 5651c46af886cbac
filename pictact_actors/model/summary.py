"""Metrics over many matches, for tuning the game."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pictact_actors.model.commands import RecordAnalytics
from pictact_actors.model.records import Analytics, camel
from pictact_actors.model.validate import Number


@dataclass(frozen=True, slots=True)
class AnalyticsSummary:
    """Means over matches, each weighted by its samples; None where nothing was observed. Times in seconds."""

    matches: int
    invalid_rate: Number | None = None
    avg_solve_time: Number | None = None
    mod_responsiveness: Number | None = None
    participation_rate: Number | None = None
    samples: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """All fields with their camelCase names."""
        means = {camel(name): getattr(self, name) for name in RecordAnalytics.METRICS}
        return {"matches": self.matches, **means, "samples": dict(self.samples)}


def summarize(observed: Iterable[Analytics]) -> AnalyticsSummary:
    """Combine the running means of matches in one pass."""
    matches = 0
    means: dict[str, Number] = {}
    samples: dict[str, int] = {}
    for analytics in observed:
        matches += 1
        for name in RecordAnalytics.METRICS:
            observation, count = getattr(analytics, name), analytics.samples.get(camel(name), 0)
            if count and observation is not None:
                total = samples[camel(name)] = samples.get(camel(name), 0) + count
                mean = means.get(name, 0.0)
                means[name] = mean + (observation - mean) * count / total
    return AnalyticsSummary(matches, **means, samples=samples)
