"""Metrics over many matches: each weighs as much as was observed of it."""

from __future__ import annotations

from statistics import fmean, quantiles
from types import MappingProxyType

import pytest
from generated import analytics
from hypothesis import given
from hypothesis import strategies as st
from world import World

from pictact_actors.model.commands import RecordAnalytics
from pictact_actors.model.records import Analytics
from pictact_actors.model.summary import PERCENTILES, AnalyticsSummary, MatchMeans, percentile, summarize

rates = st.floats(0, 1e6)


def of(*records: Analytics) -> AnalyticsSummary:
    return summarize(map(MatchMeans.of, records))


def test_without_observations_there_is_nothing_to_tell() -> None:
    assert of() == AnalyticsSummary(0)
    assert of(Analytics("t3_a")) == AnalyticsSummary(1)


@given(st.lists(st.lists(rates, max_size=8), max_size=8))
def test_the_mean_of_all_matches_is_the_mean_of_all_observations(matches: list[list[float]]) -> None:
    world = World()
    for number, observed in enumerate(matches):
        world.create(f"t3_{number}")
        for value in observed:
            world.do(RecordAnalytics(f"t3_{number}", invalid_rate=value))
    found = of(*(record for record in world.scan("analytics:") if isinstance(record, Analytics)))
    everything = [value for observed in matches for value in observed]
    assert found.matches == sum(map(bool, matches))
    if everything:
        assert found.invalid_rate == pytest.approx(fmean(everything), rel=1e-9, abs=1e-9)
        assert found.samples == {"invalidRate": len(everything)}


@given(st.lists(rates, min_size=2, max_size=40))
def test_percentiles_are_of_the_means_of_the_matches_each_once(means: list[float]) -> None:
    """However many samples a match has: the usual percentiles, as spreadsheets and statistics packages give them."""
    counted = ((mean, MappingProxyType({"avgSolveTime": number + 1})) for number, mean in enumerate(means))
    found = of(*(Analytics(f"t3_{mean}", avg_solve_time=mean, samples=samples) for mean, samples in counted))
    usual = quantiles(means, n=100, method="inclusive")
    expected = {"p50": usual[49], "p90": usual[89], "p95": usual[94], "p99": usual[98]}
    assert found.percentiles == {"avgSolveTime": pytest.approx(expected, rel=1e-9, abs=1e-9)}


@given(st.lists(rates, min_size=1, max_size=20), st.floats(0, 1))
def test_a_percentile_lies_among_the_values(values: list[float], share: float) -> None:
    ordered = sorted(values)
    assert ordered[0] <= percentile(ordered, share) <= ordered[-1] * (1 + 1e-9)
    assert percentile(ordered, 0) == ordered[0]
    assert percentile(ordered, 1) == ordered[-1]


def test_one_match_is_every_percentile_and_its_own_mean() -> None:
    found = of(Analytics("t3_a", invalid_rate=0.1, samples=MappingProxyType({"invalidRate": 3})))
    assert found.invalid_rate == 0.1
    assert found.percentiles == {"invalidRate": dict.fromkeys(PERCENTILES, 0.1)}


def test_a_summary_shows_every_metric_by_its_name() -> None:
    observed = Analytics("t3_a", 0.5, samples=MappingProxyType({"invalidRate": 2}))
    assert of(observed).to_dict() == {
        "matches": 1,
        "invalidRate": 0.5,
        "avgSolveTime": None,
        "modResponsiveness": None,
        "participationRate": None,
        "samples": {"invalidRate": 2},
        "percentiles": {"invalidRate": {"p50": 0.5, "p90": 0.5, "p95": 0.5, "p99": 0.5}},
    }


@given(st.lists(analytics, max_size=5))
def test_any_record_that_can_be_stored_can_be_summed_up(records: list[Analytics]) -> None:
    assert of(*records).matches == len(records)
