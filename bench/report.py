"""What a series found, for people and for programs: medians over its rounds, the better of several ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.sample import Case, Sample
from bench.series import Series
from bench.subjects import MISSING
from bench.trials.boards import OPERATIONS
from bench.trials.players import MATCHES, PLAYERS

WIDTH = 138
ROUNDED = 0.9995
"""What rounds up to the next unit is told in it."""
WAYS_SHOWN = 6
"""Cases whose ways are printed, from the first on; all are in the data."""
MEMORY_SYNC_US = 10
"""A sync faster than this never reached a disk."""
COLUMNS = {
    "pictact_actors": "store",
    "bare parts": "bare",
    "bare parts, in bulk": "bare, bulk",
    "plyvel, striped locks": "plyvel",
    "SQLite FULL": "SQLite",
    "LMDB": "LMDB",
    "diskcache FULL": "diskcache",
    "Redis always": "Redis",
}
"""How the titles are called at the head of a column."""
STORE = "pictact_actors"


@dataclass(frozen=True, slots=True)
class Row:
    """A subject's figures in a case. `spread` is half the distance from its slowest round to its fastest, relative."""

    subject: str
    title: str
    way: str
    rate: float
    spread: float
    p50_us: float
    p95_us: float
    p99_us: float
    beside: float | None

    def times(self, other: Row, case: Case) -> float:
        """How many times as fast this is as another one."""
        return other.p50_us / self.p50_us if case.by_time else self.rate / other.rate


Rows = Mapping[str, Row]
"""The rows of a case by title."""


def cases(series: Series) -> list[Case]:
    """Every case of the plan, in order."""
    return [case for trial in series.plan.trials for case in trial.cases]


def rows(series: Series, case: Case) -> dict[str, Row]:
    """One row for each title, by the way that did best."""
    best: dict[str, Row] = {}
    for (subject, name, way), samples in series.samples.items():
        if name == case.name:
            row = _row(subject.NAME, subject.TITLE, ", ".join(filter(None, (subject.SETUP, way))), samples)
            if row.title not in best or row.times(best[row.title], case) > 1:
                best[row.title] = row
    return best


def _row(name: str, title: str, way: str, samples: list[Sample]) -> Row:
    rates = [sample.rate for sample in samples]
    rate = median(rates)
    p50, p95, p99 = (median(getattr(sample, part) for sample in samples) / 1e3 for part in ("p50", "p95", "p99"))
    beside = [sample.beside for sample in samples if sample.beside is not None]
    spread = (max(rates) - min(rates)) / 2 / rate
    return Row(name, title, way, rate, spread, p50, p95, p99, median(beside) if beside else None)


def as_data(series: Series, machine: Mapping[str, object]) -> dict[str, object]:
    """Everything, ready for JSON."""
    return {
        "effort": asdict(series.plan.effort),
        "seed": series.plan.seed,
        "machine": machine,
        "missing": dict(MISSING),
        "verified": series.verified,
        "cases": [
            {**asdict(case), "rows": [asdict(row) for row in rows(series, case).values()]} for case in cases(series)
        ],
        "runs": [
            {"subject": subject.NAME, "case": case, "way": way, "samples": [asdict(sample) for sample in samples]}
            for (subject, case, way), samples in series.samples.items()
        ],
    }


def show(series: Series, machine: Mapping[str, object], console: Console) -> None:
    """Print one table with a line for each case, and what the figures mean."""
    sync_us = machine["sync_us"]
    console.print(_table(series))
    console.print(*_notes(series, machine), sep="\n", style="dim", highlight=False, width=WIDTH)
    for title, reason in MISSING.items():
        console.print(f"MISSING, not compared: {title}: {reason}.", style="bold red")
    if isinstance(sync_us, int) and sync_us < MEMORY_SYNC_US:
        console.print("This file system does not sync to a disk: choose another with --dir.", style="bold red")


def _table(series: Series) -> Table:
    titles = list(dict.fromkeys(subject.TITLE for subject in series.plan.subjects))
    table = Table(box=SIMPLE_HEAD, padding=0, width=WIDTH)
    table.add_column("a second, p50/p99; or p50/p99 alone", ratio=1, no_wrap=True)
    for title in titles:
        table.add_column(COLUMNS[title], width=11, justify="right", no_wrap=True)
    for case in cases(series):
        found = rows(series, case)
        cells = [_cell(found.get(title), case) for title in titles]
        table.add_row(case.title, *cells, style="bold" if not cells[0] else "")
    return table


def _cell(row: Row | None, case: Case) -> str:
    if row is None:
        return "-"
    latencies = f"{_time(row.p50_us)}/{_time(row.p99_us)}"
    return latencies if case.by_time else f"[bold]{short(row.rate)}[/]\n[dim]{latencies}[/]"


def _notes(series: Series, machine: Mapping[str, object]) -> Iterator[str]:
    effort = series.plan.effort
    yield (
        f"Rounds: {effort.rounds}, of {effort.seconds:g} s, in turns; medians. Awards: {MATCHES} matches of {PLAYERS} "
        f"players. Durable means acknowledged after a sync (one alone: {machine['sync_us']} µs), and all that was "
        f"acknowledged was found again on disk: {series.verified:,} points, records and lifetimes."
    )
    for title, parts in (
        ("Where there are several ways, the better", list(_ways(series))),
        ("Awards a second beside the boards", list(_beside(series))),
        ("A dash", list(_absences(series))),
    ):
        if parts:
            yield f"{title}: {'; '.join(parts)}."
    yield f"{machine['processors']} processors, {machine['system']}, {_versions(machine['versions'])}."


def _absences(series: Series) -> Iterator[str]:
    reasons = {reason: COLUMNS[subject.TITLE] for subject in series.plan.subjects for reason in subject.LACKS.values()}
    return (f"{title}: {reason}" for reason, title in reasons.items())


def _ways(series: Series) -> Iterator[str]:
    for case in cases(series)[:WAYS_SHOWN]:
        found = [f"{COLUMNS[row.title]} {row.way}" for row in rows(series, case).values() if row.way]
        if found:
            yield f"{case.name}: {', '.join(found)}"


def _beside(series: Series) -> Iterator[str]:
    for case in cases(series):
        if case.name.startswith(next(iter(OPERATIONS))):
            found = rows(series, case).values()
            yield f"{case.name}: " + ", ".join(f"{COLUMNS[row.title]} {row.beside or 0:,.0f}" for row in found)


def short(number: float) -> str:
    """Three figures: 1.23M, 45.6k, 789."""
    value, unit = next(
        ((number / size, unit) for size, unit in ((1e6, "M"), (1e3, "k")) if number >= size), (number, "")
    )
    return f"{value:.{2 if value < 10 and unit else 1 if value < 100 and unit else 0}f}{unit}"


def _time(us: float) -> str:
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if us >= size * ROUNDED:
            return f"{us / size:.{1 if us < 9.95 * size else 0}f}{unit}"
    return f"{us:.0f}µ"


def _versions(versions: object) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items()) if isinstance(versions, dict) else ""
