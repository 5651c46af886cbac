"""`python -m bench peers`: the store beside what a user would pick instead, and beside the parts it is made of.

The same work with the same promise in one run, all subjects in turns. `--quick` takes a minute or two and all of it a
quarter of an hour. To profile one path: `python -m bench peers --only store --case pipelined --seconds 5`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine, report, targets
from bench.series import Plan, Series, run_series
from bench.subjects import SUBJECTS
from bench.trials import trials
from bench.trials.openings import act
from bench.trials.trial import FULL, QUICK, Effort, Trial


def main(arguments: Sequence[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.act:
        what, name, directory, records = options.act
        act(what, name, Path(directory), int(records))
        return 0
    effort = _effort(options)
    chosen = _chosen(options.case, effort)
    if not chosen:
        parser.error(f"no such case; there are {', '.join(_names(effort))}")
    subjects = [subject for subject in SUBJECTS if not options.only or subject.NAME in options.only]
    plan = Plan(subjects=subjects, trials=chosen, effort=effort, seed=options.seed)
    console = Console() if sys.stdout.isatty() else Console(width=report.WIDTH)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.dir) as place:
        where = machine.describe(Path(place))
        series = _run(plan, Path(place))
    _tell(series, where, console, options)
    return 0


def _tell(series: Series, where: dict[str, object], console: Console, options: argparse.Namespace) -> None:
    reached = targets.targets(series)
    report.show(series, where, console)
    targets.show_targets(reached, console)
    if options.picture:
        import_module("bench.picture").draw(series, options.picture)
    if options.json:
        data = report.as_data(series, where)
        data["targets"] = [
            {"text": one.text, "found": one.found, "aim": one.aim, "reached": one.reached} for one in reached
        ]
        options.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _run(plan: Plan, directory: Path) -> Series:
    columns = BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    # No refreshing by itself: its thread would take the interpreter from those who are measured.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=plan.runs)
        done = iter(range(plan.runs))

        def tell(doing: str) -> None:
            progress.update(task, description=doing, completed=next(done, plan.runs), refresh=True)

        return run_series(plan, directory, tell)


def _effort(options: argparse.Namespace) -> Effort:
    effort = QUICK if options.quick else FULL
    changes = {"rounds": options.rounds, "seconds": options.seconds}
    return replace(effort, **{name: value for name, value in changes.items() if value is not None})


def _chosen(names: Sequence[str] | None, effort: Effort) -> list[Trial]:
    return [
        trial
        for trial in trials(effort)
        if not names or trial.name in names or any(case.name in names for case in trial.cases)
    ]


def _names(effort: Effort) -> list[str]:
    return list(
        dict.fromkeys(name for trial in trials(effort) for name in (trial.name, *(c.name for c in trial.cases)))
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench peers", description="The store beside its peers.")
    parser.add_argument("--quick", action="store_true", help="one round, short, small: a first look")
    parser.add_argument("--only", action="append", choices=[subject.NAME for subject in SUBJECTS], help="this subject")
    parser.add_argument("--case", action="append", metavar="CASE", help=f"this: {', '.join(_names(FULL))}")
    parser.add_argument(
        "--seconds", type=_positive, help=f"length of a run ({FULL.seconds:g}; quick: {QUICK.seconds:g})"
    )
    parser.add_argument("--rounds", type=_count, help=f"runs of each ({FULL.rounds}; quick: {QUICK.rounds})")
    parser.add_argument("--seed", type=int, default=1, help="which players are drawn (%(default)s)")
    parser.add_argument("--dir", type=_directory, default=Path(), help="on the disk to measure (the current directory)")
    parser.add_argument("--json", type=_writable, metavar="FILE", help="write everything as data")
    parser.add_argument("--picture", type=_picture, metavar="FILE", help="draw all cases, as .svg or .png")
    parser.add_argument("--act", nargs=4, help=argparse.SUPPRESS)
    return parser


def _directory(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError("must be a directory")
    return Path(text)


def _writable(text: str) -> Path:
    if not Path(text).absolute().parent.is_dir():
        raise argparse.ArgumentTypeError("must be in a directory that exists")
    return Path(text)


def _picture(text: str) -> Path:
    if Path(text).suffix not in {".svg", ".png"}:
        raise argparse.ArgumentTypeError("must end in .svg or .png")
    if find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("needs matplotlib: pip install -e '.[bench]'")
    return _writable(text)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be a positive number")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
