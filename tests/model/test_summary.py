"""Metrics over many matches: each weighs as much as was observed of it."""

from __future__ import annotations

from statistics import fmean
from types import MappingProxyType

import pytest
from generated import analytics
from hypothesis import given
from hypothesis import strategies as st
from world import World

from pictact_actors.model.commands import RecordAnalytics
from pictact_actors.model.records import Analytics
from pictact_actors.model.summary import AnalyticsSummary, summarize


def test_without_observations_there_is_nothing_to_tell() -> None:
    assert summarize([]) == AnalyticsSummary(0)
    assert summarize([Analytics("t3_a")]) == AnalyticsSummary(1)


@given(st.lists(st.lists(st.floats(0, 1e6), max_size=8), max_size=8))
def test_the_mean_of_all_matches_is_the_mean_of_all_observations(matches: list[list[float]]) -> None:
    world = World()
    for number, observed in enumerate(matches):
        world.create(f"t3_{number}")
        for value in observed:
            world.do(RecordAnalytics(f"t3_{number}", invalid_rate=value))
    found = summarize(record for record in world.scan("analytics:") if isinstance(record, Analytics))
    everything = [value for observed in matches for value in observed]
    assert found.matches == sum(map(bool, matches))
    if everything:
        assert found.invalid_rate == pytest.approx(fmean(everything), rel=1e-9, abs=1e-9)
        assert found.samples == {"invalidRate": len(everything)}


def test_a_summary_shows_every_metric_by_its_name() -> None:
    observed = Analytics("t3_a", 0.5, samples=MappingProxyType({"invalidRate": 2}))
    assert summarize([observed]).to_dict() == {
        "matches": 1,
        "invalidRate": 0.5,
        "avgSolveTime": None,
        "modResponsiveness": None,
        "participationRate": None,
        "samples": {"invalidRate": 2},
    }


@given(st.lists(analytics, max_size=5))
def test_any_record_that_can_be_stored_can_be_summed_up(records: list[Analytics]) -> None:
    assert summarize(records).matches == len(records)
