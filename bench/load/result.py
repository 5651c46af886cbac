"""What was measured, as values and as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from bench.load.ledger import Verified
from bench.load.plan import LoadPlan
from bench.load.recorder import READS, WRITES, Latency, Recorder, curve
from bench.load.vitals import Moment, Vitals

FILE = "result.json"
FORMAT = 1
"""Of the file; another number is refused."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of call, or all reads or writes together. `response` counts from when a call was due."""

    name: str
    kind: str
    response: Latency
    service: Latency


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `left`: calls that were due and that no host ever took, so that nothing about them is in the figures."""

    plan: LoadPlan
    seconds: float
    rate: float
    """Calls that ended, a second."""
    left: int
    rows: tuple[Row, ...]
    """Reads and writes together, then each call."""
    curves: dict[str, list[tuple[float, float]]]
    """Of reads and of writes: percentile and milliseconds."""
    lag: Latency
    """How late free hosts came: the load's own part of every response."""
    moments: tuple[Moment, ...]
    group_size: float
    cpu_us: float
    """Processor time for a call, with what the load itself takes."""
    absent: int
    refused: dict[str, int]
    verified: Verified
    backups: bool
    """Whether the last backup is known."""
    yardsticks: dict[str, float]

    def row(self, name: str) -> Row:
        """Reads, writes, or one call."""
        return next(row for row in self.rows if row.name == name)

    @property
    def memory_mb(self) -> float:
        """The most that was seen."""
        return max(moment.memory_mb for moment in self.moments)

    def figures(self) -> dict[str, float]:
        """What runs are compared by."""
        found = {"calls/s": self.rate, "processor µs/call": self.cpu_us, "memory MB": self.memory_mb}
        for kind in (READS, WRITES):
            response = self.row(kind).response
            found[f"{kind} p50 ms"] = response.p50_ms
            found[f"{kind} p99 ms"] = response.p99_ms
            found[f"{kind} p99.9 ms"] = response.p999_ms
        return found


@dataclass(frozen=True, slots=True)
class Result:
    """Runs of one plan, where they were measured, and what they say together."""

    title: str
    plan: LoadPlan
    machine: dict[str, object]
    runs: tuple[Run, ...]

    def typical(self) -> Run:
        """The run in the middle, by the p99 of its writes."""
        ordered = sorted(self.runs, key=lambda run: run.row(WRITES).response.p99_ms)
        return ordered[len(ordered) // 2]


class Earlier(NamedTuple):
    """What is needed of a result that is compared with."""

    plan: LoadPlan
    figures: list[dict[str, float]]
    yardsticks: list[dict[str, float]]


class Unusable(Exception):
    """A directory holds no result that can be compared with; the message says why, and what to do."""


def measured(
    plan: LoadPlan,
    recorder: Recorder,
    vitals: Vitals,
    verified: Verified,
    left: int,
    yardsticks: dict[str, float],
) -> Run:
    """Put together what a run found."""
    names = {kind: recorder.names(kind) for kind in (READS, WRITES)}
    rows = [_row(recorder, kind, kind, names[kind]) for kind in (READS, WRITES)]
    calls = sum(row.response.count for row in rows)
    rows += [_row(recorder, name, kind, [name]) for kind in (READS, WRITES) for name in names[kind]]
    return Run(
        plan=plan,
        seconds=recorder.seconds,
        rate=calls / recorder.seconds,
        left=left,
        rows=tuple(rows),
        curves={kind: curve(recorder.response(names[kind])) for kind in (READS, WRITES)},
        lag=Latency.of(recorder.lag),
        moments=tuple(vitals.moments),
        group_size=vitals.group_size,
        cpu_us=vitals.cpu_s / max(1, calls) * 1e6,
        absent=recorder.ledger.absent,
        refused=dict(recorder.ledger.refused),
        verified=verified,
        backups=vitals.last.backup_seq is not None,
        yardsticks=yardsticks,
    )


def _row(recorder: Recorder, name: str, kind: str, names: Sequence[str]) -> Row:
    return Row(name, kind, Latency.of(recorder.response(names)), Latency.of(recorder.service(names)))


def save(result: Result, directory: Path) -> Path:
    """Write the result as JSON into a directory, which is made."""
    runs = [{**asdict(run), "figures": run.figures()} for run in result.runs]
    written = {"format": FORMAT, "title": result.title, "plan": asdict(result.plan), "machine": result.machine}
    path = directory / FILE
    path.write_text(json.dumps({**written, "runs": runs}, indent=1) + "\n", encoding="utf-8")
    return path


def load(directory: Path) -> Earlier:
    """Read what to compare with. Raises `Unusable`."""
    try:
        found = json.loads((directory / FILE).read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise Unusable(f"{directory / FILE} has another format ({found['format']}): measure it again")
        runs = found["runs"]
        return Earlier(LoadPlan(**found["plan"]), [run["figures"] for run in runs], [run["yardsticks"] for run in runs])
    except OSError as error:
        raise Unusable(f"there is no result in {directory} ({error.strerror}): name the directory of one") from error
    except (ValueError, TypeError, KeyError) as error:
        raise Unusable(f"{directory / FILE} is no result of a load ({error!r}): measure it again") from error
