"""A match completes: one atomic, durable step over everyone who took part."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns as now_ns

from bench.sample import Case, require, sample_of
from bench.subjects.protocol import Completing as Completes
from bench.subjects.protocol import Subject
from bench.trials.trial import Effort, Found, Trial, Turn

TIMES = {10: 20, 1_000: 3}
"""Matches of a size that are completed in one turn; one of the largest."""


class Completing(Trial):
    """Matches of one size, all with other players."""

    name = "completing"

    def __init__(self, participants: int) -> None:
        self._participants = participants
        self._case = Case(f"completing-{participants}", f"a match of {participants:,} completes", by_time=True)

    @property
    def cases(self) -> Sequence[Case]:
        return (self._case,)

    def able(self, subject: type[Subject]) -> bool:
        return issubclass(subject, Completes)

    def start(self, subject: type[Subject], directory: Path, effort: Effort) -> Turn:  # noqa: ARG002 - its own sizes
        return CompletingTurn(subject, directory, self._case, self._participants)


class CompletingTurn(Turn):
    """Matches that were played, and then are completed one after the other."""

    def __init__(self, subject: type[Subject], directory: Path, case: Case, participants: int) -> None:
        self._kind, self._directory, self._case, self._participants = subject, directory, case, participants
        self._posts = [f"t3_done{n}" for n in range(TIMES.get(participants, 1))]
        self._points = 0
        self._subject = subject(directory)
        self._subject.create(self._posts)
        for post in self._posts:
            scores = {f"{post}_{n:06d}": n * 7_919 % 1_009 for n in range(participants)}
            self._subject.load(post, scores)
            self._points += sum(scores.values())

    def measure(self, seed: int) -> Iterator[Found]:  # noqa: ARG002 - nothing is drawn
        if not isinstance(self._subject, Completes):
            raise TypeError(f"{self._kind.TITLE} completes no matches")
        latencies, began = array("Q"), now_ns()
        for post in self._posts:
            sent = now_ns()
            self._subject.complete(post)
            latencies.append(now_ns() - sent)
        participants = self._participants * len(self._posts)
        yield self._case, "", sample_of([latencies], participants, now_ns() - began)

    def close(self) -> int:
        self._subject.close()
        if not issubclass(self._kind, Completes):
            raise TypeError(f"{self._kind.TITLE} completes no matches")
        found, expected = self._kind.lifetimes(self._directory), self._participants * len(self._posts)
        require(found == (expected, self._points), f"{self._kind.TITLE}: {expected:,} took part, {found} held")
        return found.points
