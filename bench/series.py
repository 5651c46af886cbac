"""Rounds of runs: subjects take turns, each in a new directory, and each must still hold what it acknowledged."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bench.subjects import Subject
from bench.workload import CASES, Case, Load, Sample, fill, run

WARM_UP = 0.1
"""Part of a run's seconds that goes before it, uncounted."""
QUERY = 0.25
"""Part of a run's seconds that a load of queries takes: its figures settle sooner."""


class Cheated(Exception):
    """A subject does not hold what it acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. `seconds` is the length of one run of a writing load."""

    subjects: Sequence[type[Subject]]
    cases: Sequence[Case] = CASES
    rounds: int = 5
    seconds: float = 0.75
    seed: int = 1

    def loads(self, subject: type[Subject]) -> list[Load]:
        """Each load once, in the order of the cases."""
        return list(dict.fromkeys(load for case in self.cases for load in case.loads(subject)))

    @property
    def runs(self) -> int:
        return self.rounds * sum(len(self.loads(subject)) for subject in self.subjects)

    def turns(self) -> Iterable[tuple[int, type[Subject]]]:
        """Every subject once a round, and every round begun by another one."""
        for number in range(self.rounds):
            first = number % len(self.subjects)
            for subject in (*self.subjects[first:], *self.subjects[:first]):
                yield number, subject


@dataclass(slots=True)
class Series:
    """Every sample taken, by subject and load, and how many awards were found again on disk."""

    plan: Plan
    samples: dict[tuple[type[Subject], Load], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    verified: int = 0


def run_series(plan: Plan, directory: Path, progress: Callable[[str], None]) -> Series:
    """Run the whole plan. Raises `Cheated`."""
    series = Series(plan)
    for number, subject in plan.turns():
        with tempfile.TemporaryDirectory(prefix=f"{subject.NAME}-", dir=directory) as place:
            acknowledged = _run_turn(series, number, subject, Path(place), progress)
            series.verified += _verify(subject, Path(place), acknowledged)
    return series


def _run_turn(series: Series, number: int, subject: type[Subject], place: Path, progress: Callable[[str], None]) -> int:
    seed = series.plan.seed + number
    with closing(subject(place)) as instance:
        acknowledged = fill(instance)
        for load in series.plan.loads(subject):
            progress(f"round {number + 1}, {subject.TITLE}: {load.action}, {load}")
            seconds = series.plan.seconds * (1 if load.writes else QUERY)
            warm_up, sample = run(instance, load, seconds * WARM_UP, seed), run(instance, load, seconds, seed)
            series.samples[subject, load].append(sample)
            acknowledged += (warm_up.calls + sample.calls) if load.writes else 0
    return acknowledged


def _verify(subject: type[Subject], place: Path, acknowledged: int) -> int:
    stored = subject.stored_points(place)
    if stored != acknowledged:
        raise Cheated(f"{subject.TITLE} acknowledged {acknowledged:,} points and holds {stored:,}")
    return stored
