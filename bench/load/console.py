"""What a load found, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.load.comparing import CHANCE, Change
from bench.load.ramp import Limits, Step, highest
from bench.load.recorder import READS, WRITES
from bench.load.result import Result, Row, Run
from bench.load.soak import Claim

WIDTH = 98


def milliseconds(value: float) -> str:
    """A time in the unit that reads best."""
    shown, unit = (value, "ms") if value >= 1 else (value * 1e3, "µs")
    return f"{shown:,.{2 if shown < 10 else 1 if shown < 100 else 0}f} {unit}"


def times(ratio: float) -> str:
    """A ratio in as many digits as mean something."""
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}"


def show_run(result: Result, run: Run, console: Console) -> None:
    """Print a table of calls and what else was seen."""
    table = Table(box=SIMPLE_HEAD, padding=0, width=WIDTH)
    table.add_column("", ratio=1, no_wrap=True)
    for name, width in (("calls", 11), ("p50", 9), ("p99", 9), ("p99.9", 9), ("worst", 9), ("p99 served", 12)):
        table.add_column(name, width=width, justify="right", no_wrap=True)
    for kind in (READS, WRITES):
        for row in (row for row in run.rows if row.kind == kind):
            table.add_row(*_cells(row), style="bold" if row.name == kind else "")
        table.add_section()
    console.print(table)
    console.print(*notes(result, run), sep="\n", style="dim", highlight=False, width=WIDTH)
    for warning in warnings(run):
        console.print(warning, style="bold red", highlight=False, width=WIDTH)


def notes(result: Result, run: Run) -> Iterator[str]:
    """What one should know about the figures of a run."""
    plan, verified = run.plan, run.verified
    yield (
        f"{plan.loop.capitalize()}, {plan.hosts}: {run.rate:,.0f} calls/s for {run.seconds:.1f} s, seed {plan.seed}. "
        + ("Times count from the moment a call was due; " if plan.rate else "")
        + "“served” counts from the moment its host began."
    )
    if plan.rate:
        yield (
            f"Hosts that were free came {milliseconds(run.lag.p50_ms)} late at the median, "
            f"{milliseconds(run.lag.p99_ms)} at p99: timers and the interpreter lock, before the store is called."
        )
    yield (
        f"{run.group_size:.1f} commits shared a sync. Queues were at most "
        f"{max(moment.queue_age_ms for moment in run.moments):.0f} ms old. {run.memory_mb:.0f} MB of memory at most. "
        f"{run.cpu_us:.0f} µs of processor time a call, the load's own part included."
    )
    yield (
        f"{verified.acknowledged:,} acknowledged writes in {verified.matches:,} matches were held against what is "
        f"stored after opening again: {verified.points:,.1f} points, {verified.completed:,} matches completed, "
        f"{verified.removed:,} of them removed by cleanup."
    )
    if len(result.runs) > 1:
        yield f"Of {len(result.runs)} runs, this is the one in the middle by p99 of writes."


def warnings(run: Run) -> Iterator[str]:
    """What is wrong with a run."""
    verified = run.verified
    if run.left:
        yield f"Fell behind: {run.left:,} calls that were due were never made, so the figures look too good."
    if run.refused:
        yield "Refused: " + ", ".join(f"{what} {count:,}x" for what, count in sorted(run.refused.items())) + "."
    if verified.uncertain:
        yield f"{verified.uncertain:,} writes have an unknown outcome; their matches were not compared."
    yield from (f"Differs: {difference}." for difference in verified.differences)
    yield from (f"Check: {problem}." for problem in verified.problems)


def show_ramp(steps: Sequence[Step], limits: Limits, console: Console) -> None:
    """Print every rate that was tried, in order of rates."""
    table = Table(box=SIMPLE_HEAD, padding=0, width=WIDTH)
    for name in ("calls/s due", "reached", "reads p99", "writes p99"):
        table.add_column(name, justify="right", width=14)
    table.add_column("  too fast, because of", ratio=1)
    for step in sorted(steps, key=lambda step: step.rate):
        cells = (
            f"{step.rate:,.0f}",
            f"{step.reached:,.0f}",
            milliseconds(step.reads_p99_ms),
            milliseconds(step.writes_p99_ms),
        )
        table.add_row(*cells, f"  {step.missed}", style="red" if step.missed else "")
    console.print(table)
    console.print(
        f"Highest rate with p99 of reads within {limits.reads_ms:g} ms and of writes within {limits.writes_ms:g} ms: "
        f"[bold]{highest(list(steps)):,.0f} calls/s[/].",
        highlight=False,
        width=WIDTH,
    )


def show_claims(claims: Sequence[Claim], console: Console) -> None:
    """Print a verdict."""
    table = Table("", "must be", "found", box=SIMPLE_HEAD, padding=(0, 1), width=WIDTH)
    for claim in claims:
        table.add_row(f"{'kept  ' if claim.holds else 'MISSED'}  {claim.what}", claim.limit, claim.found,
                      style="green" if claim.holds else "bold red")  # fmt: skip
    console.print(table)


def show_changes(changes: Sequence[Change], machine: Sequence[Change], console: Console) -> None:
    """Print what changed and what did not."""
    table = Table(box=SIMPLE_HEAD, padding=0, width=WIDTH)
    table.add_column("", ratio=1, no_wrap=True)
    for name, width in (("before", 12), ("after", 12), ("after / before", 15), ("between", 19)):
        table.add_column(name, width=width, justify="right", no_wrap=True)
    table.add_column("", width=12, justify="right")
    styles = {"better": "bold green", "worse": "bold red", "no change": ""}
    for change in changes:
        table.add_row(
            change.name,
            f"{change.before:,.2f}",
            f"{change.after:,.2f}",
            times(change.ratio),
            f"{times(change.low)} to {times(change.high)}",
            change.verdict,
            style=styles[change.verdict],
        )
    console.print(table)
    console.print(
        f"Medians of the runs. “Between” holds the true ratio with {1 - CHANCE:.0%} certainty.",
        style="dim",
        highlight=False,
    )
    for change in machine:
        if change.is_real:
            console.print(machine_note(change), style="bold yellow", highlight=False, width=WIDTH)


def machine_note(change: Change) -> str:
    """What to say of a machine that is not what it was."""
    return (
        f"The machine itself changed: {change.name} alone is {change.ratio:.2f} times what it was. "
        "Measure both sides anew, close to each other, before you believe the table."
    )


def _cells(row: Row) -> Iterator[str]:
    response = row.response
    yield row.name if row.name == row.kind else f"  {row.name}"
    yield f"{response.count:,}"
    yield from map(milliseconds, (response.p50_ms, response.p99_ms, response.p999_ms, response.max_ms))
    yield milliseconds(row.service.p99_ms)
