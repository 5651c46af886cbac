"""Durable awards and cached reads: the canonical workload.

Latency is what the caller sees, from handing an award over to holding its acknowledgement.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Barrier
from time import perf_counter_ns as now_ns
from typing import NamedTuple

from bench.sample import Case, Sample, require, sample_of
from bench.subjects.protocol import Batching, Draw, Pipelining, Subject
from bench.trials.players import draws, fill
from bench.trials.trial import Effort, Found, Trial, Turn

WARM_UP = 0.1
"""Part of a run's seconds that goes before it, uncounted."""
EVERYBODY = {"award", "score"}
"""What every subject can do."""


@dataclass(frozen=True, slots=True)
class Load:
    """`threads` callers, each with `window` calls in flight, and `untimed` calls between two that are timed."""

    action: str
    threads: int
    window: int = 1
    untimed: int = 0

    def __str__(self) -> str:
        if self.window > 1:
            return f"{self.threads} x {self.window}"
        return f"{self.threads} threads" if self.threads > 1 else "one thread"

    @property
    def writes(self) -> bool:
        return self.action != "score"

    def suits(self, subject: type[Subject]) -> bool:
        return self.action in EVERYBODY or hasattr(subject, self.action)


PIPELINE = Load("submit", threads=8, window=64)
BATCH = Load("batch", threads=8, window=64)
FEW = Load("award", threads=8)
HERD = Load("award", threads=64)
LONE = Load("award", threads=1)
READ = Load("score", threads=1, untimed=128)  # a look at the clock costs as much as a cached read
PIPELINED = Case("pipelined", "awards, 8 senders x 64 in flight")
BATCHED = Case("batched", "awards, 8 senders, 64 at once")
BLOCKING = Case("blocking", "awards, 64 blocking callers")
ALONE = Case("lone", "awards, one lone caller", by_time=True)
READS = Case("reads", "cached reads, one thread")
LOADS: dict[Case, tuple[tuple[Load, ...], ...]] = {
    PIPELINED: ((PIPELINE,), (FEW, HERD)),
    BATCHED: ((BATCH,), (PIPELINE,)),
    BLOCKING: ((HERD,),),
    ALONE: ((LONE,),),
    READS: ((READ,),),
}
"""What a subject is asked for in each case: the first of these that it can do, the better where there are several."""


def loads(case: Case, subject: type[Subject]) -> tuple[Load, ...]:
    """Return the ways in which a subject does a case."""
    return next(some for some in LOADS[case] if all(load.suits(subject) for load in some))


class Awards(Trial):
    """All that happens to a few matches while they are played, by threads."""

    name = "awards"

    @property
    def cases(self) -> Sequence[Case]:
        return tuple(LOADS)

    def able(self, subject: type[Subject]) -> bool:
        return bool(subject)

    def start(self, subject: type[Subject], directory: Path, effort: Effort) -> Turn:
        return AwardsTurn(subject, directory, effort)


class AwardsTurn(Turn):
    """Each load once on one instance, and every award counted."""

    def __init__(self, subject: type[Subject], directory: Path, effort: Effort) -> None:
        self._kind, self._directory, self._seconds = subject, directory, effort.seconds
        self._subject = subject(directory)
        self._acknowledged = fill(self._subject)

    def measure(self, seed: int) -> Iterator[Found]:
        taken: dict[Load, Sample] = {}
        for case in LOADS:
            for load in loads(case, self._kind):
                if load not in taken:
                    warm_up, taken[load] = (self._run(load, part, seed) for part in (WARM_UP, 1.0))
                    self._acknowledged += (warm_up.calls + taken[load].calls) if load.writes else 0
                yield case, "" if load == LOADS[case][0][0] else str(load), taken[load]

    def close(self) -> int:
        self._subject.close()
        stored = self._kind.stored(self._directory).points
        told = f"{self._kind.TITLE} acknowledged {self._acknowledged:,} points and holds {stored:,}"
        require(stored == self._acknowledged, told)
        return stored

    def _run(self, load: Load, part: float, seed: int) -> Sample:
        return run(self._subject, load, self._seconds * part * (1 if load.writes else 0.5), seed)


class Tally(NamedTuple):
    """What one sender did, and when it began and ended."""

    calls: int
    latencies: array[int]
    began: int
    ended: int


def run(subject: Subject, load: Load, seconds: float, seed: int) -> Sample:
    """Keep the subject busy for `seconds`. Raises whatever a caller met."""
    lasting = int(seconds * 1e9)
    send = sending(subject, load)
    return together(load.threads, lambda number, began: send(draws(seed, number), began + lasting))


def together(threads: int, work: Callable[[int, int], tuple[int, array[int]]]) -> Sample:
    """Have threads work at the same time: `work(number, began)` returns calls and latencies."""
    start = Barrier(threads)

    def sender(number: int) -> Tally:
        start.wait()
        began = now_ns()
        return Tally(*work(number, began), began, now_ns())

    gc.collect()
    with ThreadPoolExecutor(threads) as pool:
        try:
            tallies = list(pool.map(sender, range(threads)))
        finally:
            start.abort()  # an interrupt may have come before all had started
    elapsed = max(tally.ended for tally in tallies) - min(tally.began for tally in tallies)
    return sample_of((tally.latencies for tally in tallies), sum(tally.calls for tally in tallies), elapsed)


def sending(subject: Subject, load: Load) -> Callable[[Iterator[Draw], int], tuple[int, array[int]]]:
    """Return what a sender of a load does until its deadline."""
    if load.action == "submit" and isinstance(subject, Pipelining):
        return lambda drawn, deadline: _submit(subject, load.window, drawn, deadline)
    if load.action == "batch" and isinstance(subject, Batching):
        return lambda drawn, deadline: _batch(subject, load.window, drawn, deadline)
    return lambda drawn, deadline: _call(getattr(subject, load.action), load.untimed, drawn, deadline)


def _submit(subject: Pipelining, window: int, drawn: Iterator[Draw], deadline: int) -> tuple[int, array[int]]:
    latencies = array("Q")
    while (sent := now_ns()) < deadline or not latencies:
        for reply in subject.submit(list(islice(drawn, window))):
            reply.get()
            latencies.append(now_ns() - sent)
    return len(latencies), latencies


def _batch(subject: Batching, window: int, drawn: Iterator[Draw], deadline: int) -> tuple[int, array[int]]:
    latencies = array("Q")
    while (sent := now_ns()) < deadline or not latencies:
        subject.batch(list(islice(drawn, window)))
        latencies.append(now_ns() - sent)
    return len(latencies) * window, latencies


def _call(
    call: Callable[[str, str], object], untimed: int, drawn: Iterator[Draw], deadline: int
) -> tuple[int, array[int]]:
    latencies = array("Q")
    while (sent := now_ns()) < deadline or not latencies:
        call(*next(drawn))
        latencies.append(now_ns() - sent)
        for post, user in islice(drawn, untimed):
            call(post, user)
    return len(latencies) * (1 + untimed), latencies
