"""Short loads for tests, and runs that nobody measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opening import MEMORY

from bench.load.ledger import Ledger, Verified, compare
from bench.load.plan import LoadPlan
from bench.load.recorder import READS, WRITES, Latency
from bench.load.result import Row, Run
from bench.load.running import measure
from bench.load.target import EmbeddedStore
from bench.load.vitals import Moment

YARDSTICKS = {"sync_us": 200.0, "python_ms": 20.0}
FOUND = Verified(
    acknowledged=12_345_678,
    points=9_876_543.5,
    matches=1_234,
    completed=1_200,
    removed=1_100,
    uncertain=0,
    differences=(),
    problems=(),
)


class StoreInMemory(EmbeddedStore):
    """Without a disk, and not opened again: quickly there and quickly gone. For hosts that are threads."""

    def __init__(self, _directory: Path, plan: LoadPlan) -> None:
        super().__init__(MEMORY, plan)

    def verify(self, ledger: Ledger) -> Verified:
        return compare(ledger, self._store, [str(problem) for problem in self._store.check()])


def short(**options: Any) -> LoadPlan:
    """A plan of half a second, with rounds that end in it."""
    return LoadPlan(
        **{"seconds": 0.5, "rate": 600.0, "threads": 4, "tasks": 4, "players": 30, "matches": 3, "round_calls": 24}
        | options
    )


def measured_on(directory: Path, plan: LoadPlan, kind: type[EmbeddedStore] = EmbeddedStore) -> Run:
    """One run on a store of a kind."""
    target = kind(directory, plan)
    try:
        return measure(plan, target, YARDSTICKS, lambda _doing, _share: None)
    finally:
        target.close()


def made_up(p99_ms: float = 1.0, rate: float = 2_000.0, left: int = 0, **others: Any) -> Run:
    """A run as if it had been measured."""
    latency = Latency(1_234_567, p99_ms / 2, p99_ms, p99_ms, p99_ms)
    rows = [Row(name, kind, latency, latency) for name, kind in ((READS, READS), (WRITES, WRITES))]
    rows += [Row("lifetime_leaderboard", READS, latency, latency), Row("record_analytics", WRITES, latency, latency)]
    moments = [
        Moment(at, 1_800.0, 200.0, latency, latency, 3.5, 12.0, 7, 100.0, 0.7, 40.0) for at in (1.0, 2.0, 3.0, 4.0)
    ]
    run: dict[str, Any] = {
        "plan": LoadPlan(rate=rate),
        "seconds": 4.0,
        "rate": rate,
        "left": left,
        "rows": tuple(rows),
        "curves": {READS: [(0.0, 0.1), (99.0, p99_ms)], WRITES: [(0.0, 0.1), (99.0, p99_ms)]},
        "lag": latency,
        "moments": tuple(moments),
        "group_size": 3.5,
        "cpu_us": 120.0,
        "absent": 0,
        "refused": {},
        "verified": FOUND,
        "backups": True,
        "yardsticks": YARDSTICKS,
    }
    return Run(**(run | others))
