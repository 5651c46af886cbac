"""Histograms: what is counted where, and what is read from it."""

from __future__ import annotations

import doctest
import random
from statistics import quantiles

import pytest

from pictact_actors.runtime import histogram
from pictact_actors.runtime.histogram import COMMITS, SECONDS, Histogram, percentile


def test_the_examples_hold() -> None:
    assert doctest.testmod(histogram).failed == 0


def test_the_limits_of_the_game_are_bounds_that_are_shown() -> None:
    shown = {SECONDS.bounds[at] for at in SECONDS.shown}
    assert {0.1, 0.2, 5.0, 0.000_001} <= shown
    assert list(SECONDS.bounds) == sorted(set(SECONDS.bounds))


def test_a_bound_belongs_to_its_own_bucket() -> None:
    found = Histogram()
    found.add(0.2)
    found.add(0.2000001)
    assert dict(found.shown())[0.2] == 1
    assert dict(found.shown())[0.5] == 2


def test_what_is_shown_adds_up_to_all() -> None:
    found = Histogram(COMMITS)
    for value, count in ((0, 1), (3, 2), (1e9, 4)):
        found.add(value, count)
    counts = [count for _, count in found.shown()]
    assert counts == sorted(counts)
    assert (counts[-1], found.total) == (7, 6 + 4e9)


@pytest.mark.parametrize("part", [0.5, 0.95, 0.99])
def test_a_percentile_is_within_a_seventh_of_the_exact_one(part: float) -> None:
    rng = random.Random(1)
    values = [rng.lognormvariate(-8, 1) for _ in range(5_000)]
    found = Histogram()
    for value in values:
        found.add(value)
    exact = quantiles(values, n=100)[round(part * 100) - 1]
    assert found.percentile(part) == pytest.approx(exact, rel=1 / 7)


def test_what_is_longer_than_every_bound_is_at_least_the_last() -> None:
    found = Histogram()
    found.add(1_000.0)
    assert found.percentile(0.5) == SECONDS.bounds[-1]


def test_without_values_there_is_no_percentile() -> None:
    assert percentile(SECONDS, Histogram().recent(), 0.5) is None
    assert percentile(SECONDS, [], 0.5) is None


def test_what_is_recent_are_this_period_and_the_one_before() -> None:
    found = Histogram()
    seen = []
    for _ in range(4):
        found.add(0.001)
        seen.append(sum(found.recent()))
        found.turn()
    assert seen == [1, 2, 2, 2]
    assert sum(found.counts) == 4
    found.turn()
    assert sum(found.recent()) == 0
