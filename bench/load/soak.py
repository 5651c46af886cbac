"""What must hold for minutes at half the highest rate, with cleanup and backups running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.load.recorder import READS, WRITES
from bench.load.result import Run
from bench.load.vitals import Moment

SECONDS = 600.0
BACKUP_INTERVAL_S = 5.0
PART = 0.5
"""Of the highest rate."""
WRITES_P999_MS = 20.0
READS_P999_MS = 1.0
GROWTH_MAX = 1.05
"""Memory in the last third of a run over that in the middle third, where all caches have filled."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that must hold, what was found, and whether it does."""

    what: str
    limit: str
    found: str
    holds: bool


def claims(run: Run) -> list[Claim]:
    """Judge a run."""
    reads, writes = run.row(READS), run.row(WRITES)
    growth, verified = _growth(run.moments), run.verified
    wrong = len(verified.differences) + len(verified.problems)
    return [
        Claim("p99.9 of writes", f"< {WRITES_P999_MS:g} ms", _ms(writes.response.p999_ms, writes.service.p999_ms),
              writes.response.p999_ms < WRITES_P999_MS),
        Claim("p99.9 of reads", f"< {READS_P999_MS:g} ms", _ms(reads.response.p999_ms, reads.service.p999_ms),
              reads.response.p999_ms < READS_P999_MS),
        Claim("growth of memory", f"<= {GROWTH_MAX:g}", f"{growth:.3f}, the last third over the middle third",
              growth <= GROWTH_MAX),
        Claim("calls that nobody took", "0", f"{run.left:,}", not run.left),
        Claim("matches removed by cleanup", "some", f"{verified.removed:,} of {verified.completed:,}",
              verified.removed > 0),
        Claim("a backup was taken", "yes", "yes" if run.backups else "no", run.backups),
        Claim("writes lost, and problems", "0", f"{wrong}", verified.is_good),
    ]  # fmt: skip


def _ms(response_ms: float, service_ms: float) -> str:
    return f"{response_ms:.2f} ms; {service_ms:.2f} ms served"


def _growth(moments: Sequence[Moment]) -> float:
    third = max(1, len(moments) // 3)
    before, after = moments[-2 * third : -third] or moments, moments[-third:]
    return median(moment.memory_mb for moment in after) / median(moment.memory_mb for moment in before)
