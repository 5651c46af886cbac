"""The curves of a result, as SVG to be put into a page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.load.comparing import Change
from bench.load.ramp import Limits, Step
from bench.load.recorder import READS, WRITES
from bench.load.result import Run
from bench.load.vitals import Moment

BLUE, ORANGE, GREEN, RED, GREY = "#1f5fa8", "#d9730d", "#2a8a57", "#c0392b", "#8a8f98"
TINTS = {READS: ("#a9c8ea", "#5b93cf", BLUE), WRITES: ("#f7cfa5", "#ec9c4d", ORANGE)}
PERCENTILES: tuple[tuple[str, str], ...] = (("p50_ms", "p50"), ("p99_ms", "p99"), ("p999_ms", "p99.9"))
STYLE: dict[Any, object] = {  # the keys are literals of Matplotlib's own type
    "svg.hashsalt": "load",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#b8bdc6",
    "axes.labelcolor": "#4a505a",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": "#e8eaee",
    "xtick.color": "#4a505a",
    "ytick.color": "#4a505a",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
}
WIDTH_IN, HEIGHT_IN = 10.0, 2.9

Draw = Callable[[Axes], None]


def latency_over_time(run: Run) -> str:
    """Percentiles of reads and of writes, interval by interval, on the same scale."""
    moments = run.moments

    def draw(kind: str) -> Draw:
        def onto(axes: Axes) -> None:
            seen = [moment for moment in moments if getattr(moment, kind).count]
            for (name, label), tint in zip(PERCENTILES, TINTS[kind], strict=True):
                values = [getattr(getattr(moment, kind), name) for moment in seen]
                axes.plot([moment.at_s for moment in seen], values, color=tint, label=label)
            axes.set_title(f"{kind.capitalize()}: latency, ms")
            _logarithmic(axes)
            _legend(axes)
            _from_zero(axes, moments)

        return onto

    return _svg([draw(READS), draw(WRITES)], sharey=True)


def distribution(run: Run) -> str:
    """Every percentile up to the slowest call; the axis gives each nine the same room."""

    def onto(axes: Axes) -> None:
        for kind, colour in ((READS, BLUE), (WRITES, ORANGE)):
            points = [(1 / (1 - percent / 100), ms) for percent, ms in run.curves[kind] if percent < 100]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, label=kind, marker=".", markersize=4)
        axes.set_xscale("log")
        nines = {1: "0 %", 2: "50 %", 10: "90 %", 100: "99 %", 1_000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}
        axes.set_xticks(list(nines), list(nines.values()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title("Latency by percentile, ms")
        _logarithmic(axes)
        _legend(axes)

    return _svg([onto])


def throughput(run: Run) -> str:
    """Calls that ended, a second; with the rate that was due."""
    at = [moment.at_s for moment in run.moments]

    def onto(axes: Axes) -> None:
        rates = [moment.reads_rate for moment in run.moments], [moment.writes_rate for moment in run.moments]
        axes.stackplot(at, *rates, labels=(READS, WRITES), colors=("#bcd3ec", "#f2b176"))
        if run.plan.rate:
            axes.axhline(run.plan.rate, color="#4a505a", linestyle="--", linewidth=1, label="due")
        axes.set_title("Throughput, calls/s")
        axes.set_ylim(bottom=0)
        axes.margins(y=0.2)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        _legend(axes)
        _from_zero(axes, run.moments)

    return _svg([onto])


def groups_and_queues(run: Run) -> str:
    """How many commits share a sync, and how old the oldest message in flight was."""
    return _svg([
        _line(run, "group_size", "Commits that share a sync", GREEN),
        _line(run, "queue_age_ms", "Oldest message in a queue, ms", RED),
    ])  # fmt: skip


def memory_and_processor(run: Run) -> str:
    """What the process takes of the machine."""
    return _svg([
        _line(run, "memory_mb", "Memory of the process, MB", BLUE),
        _line(run, "cpu", "Processors kept busy", GREY),
        _line(run, "disk_mb", "Disk, MB", GREEN),
    ])  # fmt: skip


def ramp(steps: Sequence[Step], limits: Limits) -> str:
    """p99 by rate, with its limits."""
    ordered = sorted(steps, key=lambda step: step.rate)
    shown = [(READS, "reads_p99_ms", limits.reads_ms, BLUE), (WRITES, "writes_p99_ms", limits.writes_ms, ORANGE)]

    def onto(axes: Axes) -> None:
        for kind, name, limit, colour in shown:
            axes.plot(
                [step.rate for step in ordered], [getattr(step, name) for step in ordered], color=colour, label=kind
            )
            axes.axhline(limit, color=colour, linestyle=":", linewidth=1)
            for step in ordered:
                filled = "white" if step.missed else colour
                axes.plot(step.rate, getattr(step, name), "o", color=colour, markerfacecolor=filled)
        axes.set_title("p99 by rate, ms; hollow: the rate is too high; dotted: the limits")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("calls/s due")
        _logarithmic(axes)
        _legend(axes)

    return _svg([onto])


def changes(found: Sequence[Change]) -> str:
    """The ratio after / before of every figure, with its interval."""
    colours = {"better": GREEN, "worse": RED, "no change": GREY}

    def onto(axes: Axes) -> None:
        for at, change in enumerate(found):
            colour = colours[change.verdict]
            axes.plot([change.low, change.high], [at, at], color=colour, linewidth=3, solid_capstyle="round", alpha=0.5)
            axes.plot(change.ratio, at, "o", color=colour)
        axes.axvline(1, color="#4a505a", linewidth=1)
        axes.set_yticks(range(len(found)), [change.name for change in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
        axes.set_title("After / before, with the interval that holds the true ratio")

    return _svg([onto], height_in=0.9 + 0.28 * len(found))


def _line(run: Run, name: str, title: str, colour: str) -> Draw:
    def onto(axes: Axes) -> None:
        values = [getattr(moment, name) for moment in run.moments]
        axes.plot([moment.at_s for moment in run.moments], values, color=colour)
        axes.fill_between([moment.at_s for moment in run.moments], values, color=colour, alpha=0.12, linewidth=0)
        axes.set_title(title)
        axes.set_ylim(0, max(*values, 1e-3) * 1.15)
        _from_zero(axes, run.moments)

    return onto


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _legend(axes: Axes) -> None:
    """On the line of the title, where no curve is."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.985), ncols=3, borderaxespad=0)


def _from_zero(axes: Axes, moments: Sequence[Moment]) -> None:
    axes.set_xlim(0, max(moment.at_s for moment in moments))
    axes.set_xlabel("seconds")


def _svg(panels: Sequence[Draw], *, sharey: bool = False, height_in: float = HEIGHT_IN) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False, sharey=sharey)[0], strict=True):
            panel(axes)
        paper = io.StringIO()
        figure.savefig(paper, format="svg", metadata={"Date": None})
    return paper.getvalue().partition("<svg")[1] + paper.getvalue().partition("<svg")[2]
