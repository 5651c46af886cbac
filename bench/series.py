"""Rounds of turns: subjects alternate, each in its own directory, and each must still hold what it acknowledged."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.sample import Sample
from bench.subjects.protocol import Subject
from bench.trials.trial import Effort, Trial, Turn

Key = tuple[type[Subject], str, str]
"""Who, in which case, in what way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run."""

    subjects: Sequence[type[Subject]]
    trials: Sequence[Trial]
    effort: Effort
    seed: int = 1

    @property
    def runs(self) -> int:
        return self.effort.rounds * sum(len(self.able(trial)) for trial in self.trials)

    def able(self, trial: Trial) -> list[type[Subject]]:
        """Return who takes part in a trial."""
        return [subject for subject in self.subjects if trial.able(subject)]

    def turns(self, trial: Trial) -> Iterator[tuple[int, type[Subject]]]:
        """Yield every subject once a round, and every round begun by another one."""
        able = self.able(trial)
        for number in range(self.effort.rounds if able else 0):
            first = number % len(able)
            for subject in (*able[first:], *able[:first]):
                yield number, subject


@dataclass(slots=True)
class Series:
    """Every sample taken, and how much was found again on disk: points, records, lifetimes."""

    plan: Plan
    samples: dict[Key, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    verified: int = 0


def run_series(plan: Plan, directory: Path, progress: Callable[[str], None]) -> Series:
    """Run the whole plan. Raises `Cheated`, and whatever a subject met."""
    series = Series(plan)
    for trial in plan.trials:
        open_turns: dict[type[Subject], Turn] = {}
        for number, subject in plan.turns(trial):
            progress(f"round {number + 1}, {trial.cases[0].title}: {subject.TITLE}")
            turn = open_turns.pop(subject, None) or _started(trial, subject, directory, plan.effort)
            for case, way, sample in turn.measure(plan.seed + number):
                series.samples[subject, case.name, way].append(sample)
            if trial.lasting and number + 1 < plan.effort.rounds:
                open_turns[subject] = turn
            else:
                series.verified += turn.close()
                shutil.rmtree(directory / subject.NAME)
    return series


def _started(trial: Trial, subject: type[Subject], directory: Path, effort: Effort) -> Turn:
    place = directory / subject.NAME
    place.mkdir()
    return trial.start(subject, place, effort)
