"""The highest rate that a store bears: faster and faster until p99 leaves its limits, then halves of what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.load.recorder import READS, WRITES
from bench.load.result import Run

FACTOR = 2.0
"""From one rate to the next, while all goes well."""
CLOSE = 1.08
"""The search ends when the lowest rate that failed is at most so many times the highest that was borne."""
STEPS_MAX = 24
KEPT_UP = 0.95
"""Part of the rate that must have been reached."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What p99 must not exceed, in milliseconds from the moment a call was due."""

    reads_ms: float = 100.0
    writes_ms: float = 200.0


@dataclass(frozen=True, slots=True)
class Step:
    """One rate that was tried."""

    rate: float
    reached: float
    reads_p99_ms: float
    writes_p99_ms: float
    missed: str
    """Why the rate is too high; empty if it is not."""

    @classmethod
    def of(cls, rate: float, run: Run, limits: Limits) -> Step:
        reads, writes = (run.row(kind).response.p99_ms for kind in (READS, WRITES))
        return cls(rate, run.rate, reads, writes, _missed(rate, run, reads, writes, limits))


def ramp(start: float, limits: Limits, measure: Callable[[float], Run]) -> tuple[list[Step], list[Run]]:
    """Try rates from `start` on; return every step in the order it was tried, with its run."""
    steps: list[Step] = []
    runs: list[Run] = []
    borne, failed, rate = 0.0, float("inf"), start
    while len(steps) < STEPS_MAX and failed > max(borne, 1.0) * CLOSE:
        run = measure(rate)
        runs.append(run)
        steps.append(Step.of(rate, run, limits))
        if steps[-1].missed:
            failed = rate
        else:
            borne = rate
        rate = borne * FACTOR if failed == float("inf") else (borne * failed) ** 0.5 if borne else failed / FACTOR
    return steps, runs


def highest(steps: list[Step]) -> float:
    """Return the highest rate that was borne, 0 if none was."""
    return max((step.rate for step in steps if not step.missed), default=0.0)


def _missed(rate: float, run: Run, reads_ms: float, writes_ms: float, limits: Limits) -> str:
    if reads_ms > limits.reads_ms:
        return f"reads p99 {reads_ms:,.0f} ms"
    if writes_ms > limits.writes_ms:
        return f"writes p99 {writes_ms:,.0f} ms"
    if run.left or run.rate < KEPT_UP * rate:
        return f"fell behind: {run.rate:,.0f} calls/s"
    return ""
