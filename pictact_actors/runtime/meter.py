"""How long writes and reads take, and where the time goes.

A write notes a few times once a batch, which costs about a microsecond; the rest is done later. The phases of a batch,
in order:

    queue       its oldest command waits for the shard's actor
    locks       the same, and for a group that somebody had locked
    deciding    the actor decides the batch
    gathering   it waits for the committer, which syncs the group before
    sync        its group becomes durable
    answering   its group is shown, and its callers are answered
    travelling  a transaction's commit or a command over many groups: from sending to the committer, all in one

Waking up is the caller's: see `wake_lag_s`. Of a large batch a few commands are measured and stand for the others, and
of more than some hundred batches a second a few; so counts are about right (`Statistics.commits` is exact). So it is
with reads. Cached look-ups of one record take less time than measuring them, and are only counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pictact_actors.clock import monotonic
from pictact_actors.runtime.histogram import COMMITS, SECONDS, Histogram, percentile
from pictact_actors.runtime.statistics import LatencyStatistics

if TYPE_CHECKING:
    from pictact_actors.runtime.staging import Batch, Staged

PHASES: Final = ("queue", "locks", "deciding", "gathering", "sync", "answering", "travelling")
_QUEUE, _LOCKS, _TRAVELLING, _AT_ONCE = "queue", "locks", "travelling", "at once"
"""The ways that a batch may have gone; the last is that of answers without a commit."""
_MEASURED = 4
"""Commands of a batch that are measured, at the most."""
_NOTED_MAX = 4_096
"""Batches that wait to be added up."""
_ADDED = 128
"""Of more batches at once one of a few is added for all of them."""
_READS_FOR_ONE = 8
"""Reads that one measured read stands for; a power of two."""
_SLOW_MAX = 64
"""Slow ones that wait for the alarms to look at them; of more the latest are told."""


class Slow(NamedTuple):
    """What took longer than the game allows: how many together, and the slowest of them."""

    calls: int
    seconds: float
    name: str
    group: str | None
    phases: dict[str, float]


class Named(dict[str, Histogram]):
    """Latencies by name; one that is not there yet begins."""

    def __missing__(self, name: str) -> Histogram:
        return self.setdefault(name, Histogram(SECONDS))

    def turn(self) -> None:
        """Begin another period in all of them."""
        for histogram in tuple(self.values()):
            histogram.turn()

    def statistics(self) -> tuple[LatencyStatistics, ...]:
        """Return what is known of each name that anything happened to."""
        return tuple(_statistics(name, found) for name, found in tuple(self.items()) if any(found.counts))

    def percentile(self, part: float) -> float | None:
        """Return a percentile of late over all names."""
        recent = [histogram.recent() for histogram in tuple(self.values())]
        return percentile(SECONDS, [sum(counts) for counts in zip(*recent, strict=True)], part)


class _Batch(NamedTuple):
    """What is kept of an answered batch until it is added up: a few of its commands, and times (monotonic).

    `commits` is the size of its commit group in the first batch of that, 0 in the others.
    """

    measured: list[tuple[str, float]]
    step: int
    calls: int
    way: str
    sent: float
    began: float
    decided: float
    committing: float
    synced: float
    answered: float
    commits: int


class Meter:
    """Measures the writes of a store. The committer adds to it, and shards what they answer without a commit.

    They only note times; `add_up` does the rest, a few times a second.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.commands = Named()
        self.phases = Named((phase, Histogram(SECONDS)) for phase in PHASES)
        self.group_commits = Histogram(COMMITS)
        self.slow: deque[Slow] = deque(maxlen=_SLOW_MAX)
        self._batches: deque[_Batch] = deque()
        self._adding = threading.Lock()

    def committed(self, batches: Sequence[Batch], commits: int, began: float, synced: float) -> None:
        """Note a commit group that was answered just now, and was begun and durable at these times (monotonic)."""
        now = monotonic()
        for batch in batches:
            _, _, _, staged, _, _, holder, batch_began, decided, waited = batch
            way = (_LOCKS if waited else _QUEUE) if holder is None else _TRAVELLING
            noted = _noted(staged, way, batch_began, decided, began, synced, now, commits)
            self._batches.append(noted)
            if now - noted.sent >= self.limit_s:
                self._tell(staged, noted)
            commits = 0
        if len(self._batches) >= _NOTED_MAX:
            self.add_up()

    def answered(self, staged: Sequence[Staged], began: float) -> None:
        """Note commands that were answered just now without a commit, and begun to be decided at a time (monotonic)."""
        now = monotonic()
        noted = _noted(staged, _AT_ONCE, began, now, now, now, now, 0)
        self._batches.append(noted)
        if now - noted.sent >= self.limit_s:
            self._tell(staged, noted)
        if len(self._batches) >= _NOTED_MAX:
            self.add_up()

    def add_up(self) -> None:
        """Add what was noted since the last time; of very many batches some stand for the others. Any thread's."""
        with self._adding:
            noted = [self._batches.popleft() for _ in range(len(self._batches))]
            step = max(0, len(noted) - 1) // _ADDED + 1
            for at in range(0, len(noted), step):
                self._add(noted[at], min(step, len(noted) - at))

    def turn(self) -> None:
        """Begin another period."""
        self.commands.turn()
        self.phases.turn()

    def _add(self, batch: _Batch, weight: int) -> None:
        for place, (cause, sent) in enumerate(batch.measured):
            stands_for = min(batch.step, batch.calls - place * batch.step)
            self.commands[cause].add(batch.answered - sent, stands_for * weight)
        for phase, seconds in _phases_of(batch).items():
            self.phases[phase].add(seconds, weight)
        if batch.commits:
            self.group_commits.add(batch.commits, weight)

    def _tell(self, staged: Sequence[Staged], batch: _Batch) -> None:
        """Leave word of a slow batch for the alarms."""
        took = [batch.answered - item.call.deadline + item.call.timeout_s for item in staged]
        seconds = max(took)
        slowest = staged[took.index(seconds)]
        calls = sum(one >= self.limit_s for one in took)
        self.slow.append(Slow(calls, seconds, slowest.cause, slowest.call.command.group, _phases_of(batch)))


class ReadMeter:
    """Measures the reads of a store. Any thread adds to it."""

    __slots__ = ("_reads", "limit_s", "queries", "slow")

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.queries = Named()
        self.slow: deque[Slow] = deque(maxlen=_SLOW_MAX)
        self._reads = 0

    def add(self, query: str, began: float) -> None:
        """Add a read that ends now and began at a time (monotonic)."""
        seconds = monotonic() - began
        self._reads = reads = self._reads + 1
        if not reads & (_READS_FOR_ONE - 1):
            self.queries[query].add(seconds, _READS_FOR_ONE)
        if seconds >= self.limit_s:
            self.slow.append(Slow(1, seconds, query, None, {}))

    def turn(self) -> None:
        """Begin another period."""
        self.queries.turn()


def _noted(
    staged: Sequence[Staged],
    way: str,
    began: float,
    decided: float,
    committing: float,
    synced: float,
    answered: float,
    commits: int,
) -> _Batch:
    """Return what is kept of a batch. Made for every write of a lone caller, so past the constructor."""
    first = staged[0].call
    sent = first.deadline - first.timeout_s
    count = len(staged)
    if count == 1:
        step, measured = 1, [(staged[0].cause, sent)]
    else:
        step = (count - 1) // _MEASURED + 1
        measured = [(item.cause, item.call.deadline - item.call.timeout_s) for item in staged[::step]]
    times = (began, decided, committing, synced, answered)
    return tuple.__new__(_Batch, (measured, step, count, way, sent, *times, commits))


def _phases_of(batch: _Batch) -> dict[str, float]:
    """Return where the time of a batch's oldest command went, in seconds by phase."""
    if batch.way == _TRAVELLING:
        phases = {_TRAVELLING: batch.committing - batch.sent}
    else:
        waited = _QUEUE if batch.way == _AT_ONCE else batch.way
        phases = {waited: batch.began - batch.sent, "deciding": batch.decided - batch.began}
    if batch.way == _AT_ONCE:
        return phases
    if batch.way != _TRAVELLING:
        phases["gathering"] = batch.committing - batch.decided
    return {**phases, "sync": batch.synced - batch.committing, "answering": batch.answered - batch.synced}


def _statistics(name: str, histogram: Histogram) -> LatencyStatistics:
    recent, scale = histogram.recent(), histogram.scale
    found = (percentile(scale, recent, part) for part in (0.5, 0.95, 0.99))
    return LatencyStatistics(name, sum(histogram.counts), sum(recent), *found)
