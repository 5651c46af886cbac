"""What a series found, for people and for programs: medians over its rounds, the better of several ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.series import Series
from bench.subjects import SUBJECTS, Subject
from bench.workload import MATCHES, PLAYERS, Case, Load, Sample

STORE = SUBJECTS[0]
WIDTH = 98
MEMORY_SYNC_US = 10
"""A sync faster than this never reached a disk."""


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


def rows(series: Series, case: Case) -> list[Row]:
    """One row for each title, by the way that did best."""
    best: dict[str, Row] = {}
    for row in _candidates(series, case):
        if row.title not in best or row.rate > best[row.title].rate:
            best[row.title] = row
    return list(best.values())


def _candidates(series: Series, case: Case) -> Iterator[Row]:
    for subject in series.plan.subjects:
        for load in case.loads(subject):
            yield _row(subject, load, case, series.samples[subject, load])


def _row(subject: type[Subject], load: Load, case: Case, samples: list[Sample]) -> Row:
    rates = [sample.rate for sample in samples]
    rate = median(rates)
    way = ", ".join(filter(None, (subject.SETUP, "" if load == case.load else str(load))))
    p50, p95, p99 = (median(getattr(sample, name) for sample in samples) / 1e3 for name in ("p50", "p95", "p99"))
    return Row(subject.NAME, subject.TITLE, way, rate, (max(rates) - min(rates)) / 2 / rate, p50, p95, p99)


def as_data(series: Series, machine: Mapping[str, object]) -> dict[str, object]:
    """Everything, ready for JSON."""
    plan = series.plan
    return {
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds, "seed": plan.seed},
        "machine": machine,
        "verified": series.verified,
        "cases": [
            {"case": case.name, "title": case.title, "rows": [asdict(row) for row in rows(series, case)]}
            for case in plan.cases
        ],
        "runs": [
            {"subject": subject.NAME, **asdict(load), "samples": [asdict(sample) for sample in samples]}
            for (subject, load), samples in series.samples.items()
        ],
    }


def show(series: Series, machine: Mapping[str, object], console: Console) -> None:
    """Print one table with a section for each case, and what the figures mean."""
    plan, sync_us = series.plan, machine["sync_us"]
    console.print(_table({case.title: rows(series, case) for case in plan.cases}))
    console.print(
        f"Rounds: {plan.rounds}, of {plan.seconds:g} s, in turns. Figures are medians, ± half the range of the rounds. "
        f"{MATCHES} matches of {PLAYERS} players. Every durable award was acknowledged only after a sync (one alone: "
        f"{sync_us} µs), and all {series.verified:,} were found again on disk.",
        f"{machine['processors']} processors, {machine['system']}, {_versions(machine['versions'])}.",
        sep="\n",
        style="dim",
        highlight=False,
        width=WIDTH,
    )
    if isinstance(sync_us, int) and sync_us < MEMORY_SYNC_US:
        console.print("This file system does not sync to a disk: choose another with --dir.", style="bold red")


def _table(sections: Mapping[str, list[Row]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, width=WIDTH)
    table.add_column("", ratio=1, no_wrap=True)
    for name, width in (("per second", 10), ("±", 5), ("p50", 8), ("p95", 8), ("p99", 8), ("store is", 9)):
        table.add_column(name, width=width, justify="right", no_wrap=True)
    for title, found in sections.items():
        table.add_row(f"[bold cyan]{title}")
        store = next((row.rate for row in found if row.subject == STORE.NAME), None)
        for row in found:
            table.add_row(*_cells(row, store), style="bold" if row.subject == STORE.NAME else "")
        table.add_section()
    return table


def _cells(row: Row, store: float | None) -> Iterator[str]:
    yield f"  {row.title}  [dim]{row.way}[/]"
    yield f"{row.rate:,.0f}"
    yield f"{row.spread:.0%}"
    yield from map(_time, (row.p50_us, row.p95_us, row.p99_us))
    yield f"{store / row.rate:.2f}x" if store and row.subject != STORE.NAME else ""


def _time(us: float) -> str:
    value, unit = (us / 1000, "ms") if us >= 1000 else (us, "µs")
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def _versions(versions: object) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items()) if isinstance(versions, dict) else ""
