"""How the target and this process are while a load runs: looked at often, kept once an interval."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from bench.load.arrivals import NS
from bench.load.recorder import Interval, Latency, Recorder
from bench.load.target import Glance, Target

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Moment:
    """One interval. `at_s` is its end, counted from the end of the warm-up; ages and rows are the largest seen."""

    at_s: float
    reads_rate: float
    writes_rate: float
    reads: Latency
    writes: Latency
    group_size: float
    """Commits that shared a sync, on average."""
    queue_age_ms: float
    in_flight: int
    memory_mb: float
    """What the process holds of the machine's memory."""
    cpu: float
    """Processors that it kept busy."""
    disk_mb: float


@dataclass(slots=True)
class _Worst:
    """The largest values since the interval began."""

    queue_age_s: float = 0.0
    in_flight: int = 0


class Vitals:
    """Owned by the thread that watches the run."""

    def __init__(self, target: Target, recorder: Recorder, interval_s: float) -> None:
        self.moments: list[Moment] = []
        self.cpu_s = 0.0
        """Processor time of the whole run, load included."""
        self.last: Glance = target.glance()
        self._target = target
        self._recorder = recorder
        self._interval_ns = int(interval_s * NS)
        self._process = psutil.Process()
        self._worst = _Worst()
        self._began = self._opened = 0
        self._first = self._before = self.last
        self._cpu_first = self._cpu_before = 0.0

    def begin(self, now: int) -> None:
        """Begin the first interval."""
        self._began = self._opened = now
        self._first = self._before = self._target.glance()
        self._cpu_first = self._cpu_before = self._cpu_s()

    def look(self, now: int) -> None:
        """Look, and close the interval if it is over."""
        self.last = glance = self._target.glance()
        self._worst.queue_age_s = max(self._worst.queue_age_s, glance.queue_age_s)
        self._worst.in_flight = max(self._worst.in_flight, glance.in_flight)
        if now - self._opened >= self._interval_ns:
            self._close(now)

    def end(self, now: int) -> None:
        """Close what is left, if it is long enough to mean something."""
        self.look(now)
        if now - self._opened >= self._interval_ns // 2 or not self.moments:
            self._close(now)
        self.cpu_s = self._cpu_s() - self._cpu_first

    @property
    def group_size(self) -> float:
        """Commits that shared a sync, on average over the run."""
        return _group_size(self._first, self.last)

    def line(self) -> str:
        """The last interval in words."""
        if not self.moments:
            return "measuring"
        now = self.moments[-1]
        return (
            f"{now.reads_rate + now.writes_rate:,.0f} calls/s, p99 of reads {now.reads.p99_ms:.1f} ms, "
            f"of writes {now.writes.p99_ms:.1f} ms, {now.memory_mb:.0f} MB"
        )

    def _close(self, now: int) -> None:
        seconds = max(1, now - self._opened) / NS
        cpu_s = self._cpu_s()
        self.moments.append(self._moment(self._recorder.turn(), now, seconds, cpu_s))
        self._opened, self._before, self._cpu_before, self._worst = now, self.last, cpu_s, _Worst()

    def _moment(self, interval: Interval, now: int, seconds: float, cpu_s: float) -> Moment:
        reads, writes = Latency.of(interval.reads), Latency.of(interval.writes)
        return Moment(
            at_s=(now - self._began) / NS,
            reads_rate=reads.count / seconds,
            writes_rate=writes.count / seconds,
            reads=reads,
            writes=writes,
            group_size=_group_size(self._before, self.last),
            queue_age_ms=self._worst.queue_age_s * 1e3,
            in_flight=self._worst.in_flight,
            memory_mb=self._process.memory_info().rss / MIB,
            cpu=(cpu_s - self._cpu_before) / seconds,
            disk_mb=self.last.size_bytes / MIB,
        )

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


def _group_size(before: Glance, after: Glance) -> float:
    groups = after.groups - before.groups
    return (after.commits - before.commits) / groups if groups else 0.0
