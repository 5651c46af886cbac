"""The canonical workload: who calls what, how many at once, and how it is timed.

A load is one way to keep a subject busy; a case is a question that one or more loads answer. Latency is what the
caller sees, from handing an award over to holding its acknowledgement. All times are nanoseconds.
"""

from __future__ import annotations

import gc
import random
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice, product
from threading import Barrier
from time import perf_counter_ns as now_ns
from typing import NamedTuple

from hdrh.histogram import HdrHistogram

from bench.subjects import Draw, Pipelining, Subject

MATCHES, PLAYERS = 16, 256
POSTS = [f"t3_match{n}" for n in range(MATCHES)]
USERS = [f"player{n}" for n in range(PLAYERS)]
DRAWS = 4096
"""Players drawn in advance for each sender, so that drawing is not timed."""
OPTIONAL = {"submit", "top"}
"""What a subject need not be able to do."""
HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """`threads` callers, each with `window` calls in flight, and `untimed` calls between two that are timed."""

    action: str
    threads: int
    window: int = 1
    untimed: int = 0

    def __str__(self) -> str:
        if self.window > 1:
            return f"{self.threads} x {self.window} in flight"
        return f"{self.threads} threads" if self.threads > 1 else "one thread"

    @property
    def writes(self) -> bool:
        return self.action in {"submit", "award"}

    def suits(self, subject: type[Subject]) -> bool:
        return self.action not in OPTIONAL or hasattr(subject, self.action)


PIPELINE = Load("submit", threads=8, window=64)
FEW = Load("award", threads=8)
HERD = Load("award", threads=64)
LONE = Load("award", threads=1)
READ = Load("score", threads=1, untimed=128)  # a look at the clock costs as much as a cached read
TOP = Load("top", threads=1)


@dataclass(frozen=True, slots=True)
class Case:
    """What the reader wants to know. A subject that `load` does not suit does its best under `instead`."""

    name: str
    title: str
    load: Load
    instead: tuple[Load, ...] = ()

    def loads(self, subject: type[Subject]) -> tuple[Load, ...]:
        return tuple(load for load in self._offered(subject) if load.suits(subject))

    def _offered(self, subject: type[Subject]) -> tuple[Load, ...]:
        return (self.load,) if self.load.suits(subject) else self.instead


CASES = (
    Case("pipelined", f"Durable awards, {PIPELINE}", PIPELINE, instead=(FEW, HERD)),
    Case("blocking", "Durable awards, 64 blocking callers", HERD),
    Case("lone", "Durable awards, one lone caller", LONE),
    Case("reads", "Reading a score, one thread", READ),
    Case("boards", f"Top 10 of {PLAYERS} players, one thread", TOP),
)


class Tally(NamedTuple):
    """What one sender did, and when it began and ended."""

    calls: int
    latencies: array[int]
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one load. `rate` is calls per second; p50, p95 and p99 are nanoseconds."""

    calls: int
    rate: float
    p50: int
    p95: int
    p99: int


def draws(seed: int, sender: int) -> Iterator[Draw]:
    """Players to award, uniform over all matches, the same for every subject."""
    source = random.Random(f"{seed}/{sender}")
    return cycle([(source.choice(POSTS), source.choice(USERS)) for _ in range(DRAWS)])


def fill(subject: Subject) -> int:
    """Give every player a first point, so that all reads find something. Returns how many."""
    subject.create(POSTS)
    pairs = list(product(POSTS, USERS))
    if isinstance(subject, Pipelining):
        for reply in subject.submit(pairs):
            reply.get()
    else:
        with ThreadPoolExecutor(FEW.threads) as pool:
            for _ in pool.map(lambda pair: subject.award(*pair), pairs):
                pass
    return len(pairs)


def run(subject: Subject, load: Load, seconds: float, seed: int) -> Sample:
    """Keep the subject busy for `seconds`. Raises whatever a caller met."""
    lasting = int(seconds * 1e9)
    start = Barrier(load.threads)

    def sender(number: int) -> Tally:
        drawn = draws(seed, number)
        start.wait()
        began = now_ns()
        if isinstance(subject, Pipelining) and load.window > 1:
            calls, latencies = _submit(subject, load.window, drawn, began + lasting)
        else:
            calls, latencies = _call(getattr(subject, load.action), load.untimed, drawn, began + lasting)
        return Tally(calls, latencies, began, now_ns())

    gc.collect()
    with ThreadPoolExecutor(load.threads) as pool:
        try:
            return _sample(list(pool.map(sender, range(load.threads))))
        finally:
            start.abort()  # an interrupt may have come before all had started


def _submit(subject: Pipelining, window: int, drawn: Iterator[Draw], deadline: int) -> tuple[int, array[int]]:
    latencies = array("Q")
    while (sent := now_ns()) < deadline or not latencies:
        for reply in subject.submit(list(islice(drawn, window))):
            reply.get()
            latencies.append(now_ns() - sent)
    return len(latencies), latencies


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


def _sample(tallies: list[Tally]) -> Sample:
    histogram = HdrHistogram(1, HOUR_NS, 3)
    for tally in tallies:
        for latency in tally.latencies:
            histogram.record_value(latency)
    calls = sum(tally.calls for tally in tallies)
    elapsed = max(tally.ended for tally in tallies) - min(tally.began for tally in tallies)
    p50, p95, p99 = (histogram.get_value_at_percentile(percent) for percent in (50, 95, 99))
    return Sample(calls, calls / elapsed * 1e9, p50, p95, p99)
