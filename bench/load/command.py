"""`python -m bench load`: modes, progress, and where everything goes."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine
from bench.load import console as terminal
from bench.load import result, soak
from bench.load.comparing import changes
from bench.load.options import RAMP_FROM, Order, parsed
from bench.load.plan import LoadPlan
from bench.load.ramp import highest, ramp
from bench.load.result import Result, Run
from bench.load.running import run
from bench.load.session import Session

EVENTS = "events.jsonl"
"""What the store itself had to say, one JSON object a line."""
REFRESH_S = 0.5
"""Seldom: drawing progress takes the interpreter from those who are measured."""

Measure = Callable[[LoadPlan, str], Run]


def main(arguments: Sequence[str]) -> int:
    """Measure, show, and write. Returns 1 if something was lost, missed or got worse, else 0."""
    order = parsed(arguments)
    out = order.out or Path("load-results") / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    try:
        out.mkdir(parents=True)
    except OSError as error:
        print(f"{out}: {error.strerror}: name a new directory with --out", file=sys.stderr)
        return 2
    try:
        with _events(out), tempfile.TemporaryDirectory(prefix=".bench-", dir=order.disk) as place:
            where = machine.describe(Path(place))
            session = _measured(order, where, Path(place).resolve())
    except BaseException:
        shutil.rmtree(out)
        raise
    from bench.load import page  # noqa: PLC0415 - its libraries would count as memory of the store that is measured

    result.save(session.result, out)
    page.save(session, out)
    _show(session, Console() if sys.stdout.isatty() else Console(width=terminal.WIDTH))
    print(
        f"\n{out / page.FILE} has the curves, {out / result.FILE} all figures, {out / EVENTS} the store's own events."
    )
    return int(not session.is_good)


def _measured(order: Order, where: dict[str, object], place: Path) -> Session:
    with _measuring(place) as measure:
        plan = order.plan
        if order.ramps:
            start = plan.rate if plan.rate and not order.soaks else RAMP_FROM
            steps, runs = ramp(start, order.limits, lambda rate: measure(_step(order, rate), f"{rate:,.0f} calls/s"))
            best = highest(steps)
            borne = next((one for one, step in zip(runs, steps, strict=True) if step.rate == best), runs[-1])
            if not order.soaks or not best:
                found = Result(order.title, borne.plan, where, (borne,))
                return Session(found, order.limits, steps)
            plan = replace(plan, rate=round(best * soak.PART))
        else:
            steps = []
        numbers = range(order.runs)
        runs = [measure(replace(plan, seed=plan.seed + number), f"run {number + 1}") for number in numbers]
    session = Session(Result(order.title, plan, where, tuple(runs)), order.limits, steps)
    if order.soaks:
        session = replace(session, claims=soak.claims(session.result.typical()))
    if order.earlier is not None:
        session = replace(
            session,
            changes=changes(order.earlier.figures, [one.figures() for one in runs]),
            machine_changes=changes(order.earlier.yardsticks, [one.yardsticks for one in runs]),
        )
    return session


def _step(order: Order, rate: float) -> LoadPlan:
    """One rate of a ramp. Without backups: their cost comes and goes, and would decide which rate is the highest."""
    return replace(order.plan, rate=rate, seconds=order.step_s, backup_interval_s=None)


def _show(session: Session, console: Console) -> None:
    typical = session.result.typical()
    terminal.show_run(session.result, typical, console)
    if session.steps:
        terminal.show_ramp(session.steps, session.limits, console)
    if session.claims:
        terminal.show_claims(session.claims, console)
    if session.changes:
        terminal.show_changes(session.changes, session.machine_changes, console)


@contextmanager
def _measuring(place: Path) -> Iterator[Measure]:
    """Yield what measures one run in a directory of its own, and shows how far it is."""
    columns = BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    stores = count()
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=1.0)
        drawn = -REFRESH_S

        def measure(plan: LoadPlan, title: str) -> Run:
            def tell(doing: str, share: float) -> None:
                nonlocal drawn
                if monotonic() - drawn >= REFRESH_S:
                    drawn = monotonic()
                    progress.update(task, description=f"{title}: {doing}", completed=share, refresh=True)

            directory = place / f"store{next(stores)}"
            try:
                return run(plan, directory, tell)
            finally:
                shutil.rmtree(directory, ignore_errors=True)

        yield measure


@contextmanager
def _events(out: Path) -> Iterator[None]:
    """Write what the store logs into the directory of the result instead of between the lines of the progress."""
    logger, handler = logging.getLogger("pictact_actors"), logging.FileHandler(out / EVENTS, encoding="utf-8")
    level, logger.level = logger.level, logging.INFO
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
