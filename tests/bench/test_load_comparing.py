"""What changed beyond noise: found where it is, and not where it is not."""

from __future__ import annotations

import random

import pytest

from bench.load.comparing import RUNS_MIN, Change, changes, left_out


def runs(seed: str, count: int = RUNS_MIN, factor: float = 1.0, noise: float = 0.15) -> list[dict[str, float]]:
    drawn = random.Random(seed)
    return [{"writes p99 ms": factor * drawn.lognormvariate(1.0, noise)} for _ in range(count)]


def compared(seed: int, count: int = RUNS_MIN, factor: float = 1.0, noise: float = 0.15) -> Change:
    (found,) = changes(runs(f"{seed}/before", count, noise=noise), runs(f"{seed}/after", count, factor, noise))
    return found


@pytest.mark.parametrize(("count", "expected"), [(5, 0), (6, 2), (7, 4), (8, 7), (9, 11), (10, 16)])
def test_as_many_ratios_are_left_out_as_mann_and_whitney_s_tables_say(count: int, expected: int) -> None:
    assert left_out(count, count) == expected


@pytest.mark.parametrize("count", [5, 10])
def test_equal_runs_are_told_apart_once_in_a_hundred_times_at_most(count: int) -> None:
    assert sum(compared(seed, count).is_real for seed in range(1_000)) <= 20


def test_a_figure_that_doubled_is_found_and_called_worse() -> None:
    assert all(compared(seed, factor=2.0, noise=0.1).verdict == "worse" for seed in range(100))


def test_a_small_change_is_found_with_more_runs() -> None:
    few, many = ([compared(seed, count, factor=1.25).is_real for seed in range(100)] for count in (5, 15))
    assert sum(few) < 60
    assert sum(many) > 85


def test_the_interval_holds_the_true_ratio() -> None:
    found = [compared(seed, 8, factor=1.7) for seed in range(300)]
    assert sum(change.low <= 1.7 <= change.high for change in found) >= 290


def test_what_is_real_but_tiny_is_not_worth_a_word() -> None:
    assert not compared(1, factor=1.02, noise=0.0001).is_real
    assert compared(1, factor=1.05, noise=0.0001).is_real


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "better"), (0.5, "worse")])
def test_more_calls_a_second_are_better(factor: float, verdict: str) -> None:
    before = [{"calls/s": run["writes p99 ms"]} for run in runs("before")]
    (found,) = changes(before, [{"calls/s": run["calls/s"] * factor} for run in before])
    assert found.verdict == verdict


def test_four_runs_are_not_enough() -> None:
    with pytest.raises(ValueError, match="4 runs against 5"):
        changes(runs("a", 4), runs("b"))


def test_a_figure_that_one_run_lacks_is_left_out() -> None:
    before = runs("before")
    assert changes(before, [*runs("after"), {"writes p99 ms": 0.0}]) == []
