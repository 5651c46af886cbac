"""The search for the highest rate, and the verdict of a soak."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loads import FOUND, made_up

from bench.load import soak
from bench.load.ramp import CLOSE, STEPS_MAX, Limits, highest, ramp
from bench.load.result import Run


@pytest.mark.parametrize("bears", [3.0, 700.0, 5_000.0, 123_456.0])
def test_the_highest_rate_is_found_from_below_and_from_above(bears: float) -> None:
    def measure(rate: float) -> Run:
        return made_up(p99_ms=10.0 if rate <= bears else 500.0, rate=rate)

    steps, runs = ramp(500.0, Limits(), measure)
    assert bears / CLOSE <= highest(steps) <= bears
    assert len(steps) == len(runs) <= STEPS_MAX


def test_a_store_that_bears_nothing_ends_the_search() -> None:
    steps, _ = ramp(500.0, Limits(), lambda rate: made_up(p99_ms=500.0, rate=rate))
    assert highest(steps) == 0


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (made_up(p99_ms=150.0), "reads p99 150 ms"),
        (made_up(left=1), "fell behind: 2,000 calls/s"),
        (replace(made_up(), rate=1_800.0), "fell behind: 1,800 calls/s"),
    ],
)
def test_a_rate_that_is_too_high_says_why(run: Run, why: str) -> None:
    steps, _ = ramp(2_000.0, Limits(), lambda rate: run if rate == 2_000 else made_up(rate=rate))
    assert why in {step.missed for step in steps}


def test_a_good_soak_keeps_every_claim() -> None:
    assert all(claim.holds for claim in soak.claims(made_up(p99_ms=0.9)))


@pytest.mark.parametrize(
    ("run", "missed"),
    [
        (made_up(p99_ms=1.1), "p99.9 of reads"),
        (made_up(p99_ms=0.9, left=1), "calls that nobody took"),
        (made_up(p99_ms=0.9, backups=False), "a backup was taken"),
        (made_up(p99_ms=0.9, verified=replace(FOUND, problems=("x",))), "writes lost, and problems"),
        (made_up(p99_ms=0.9, verified=replace(FOUND, removed=0)), "matches removed by cleanup"),
    ],
)
def test_a_claim_that_does_not_hold_is_named(run: Run, missed: str) -> None:
    assert [claim.what for claim in soak.claims(run) if not claim.holds] == [missed]


def test_memory_that_grows_to_the_end_is_not_level() -> None:
    run = made_up(p99_ms=0.9)
    growing = tuple(replace(moment, memory_mb=100.0 + 10 * at) for at, moment in enumerate(run.moments * 3))
    missed = [claim.what for claim in soak.claims(replace(run, moments=growing)) if not claim.holds]
    assert missed == ["growth of memory"]
