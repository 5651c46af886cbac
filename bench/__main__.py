"""`python -m bench`: the canonical workload, in about two minutes.

`python -m bench scale`: boards of millions. `python -m bench recovery`: opening after a kill, and after damage.

To profile one path: `python -m bench --only store --case pipelined --seconds 5`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine, recovery, report, scale
from bench.series import Plan, Series, run_series
from bench.subjects import SUBJECTS
from bench.workload import CASES

ROUNDS = 5


def main() -> int:
    if sys.argv[1:2] == ["scale"]:
        return scale.main(sys.argv[2:])
    if sys.argv[1:2] == ["recovery"]:
        return recovery.main(sys.argv[2:])
    options = _parser().parse_args()
    subjects = [subject for subject in SUBJECTS if not options.only or subject.NAME in options.only]
    cases = [case for case in CASES if not options.case or case.name in options.case]
    rounds = options.rounds or (ROUNDS if len(subjects) > 1 else 1)
    plan = Plan(subjects=subjects, cases=cases, rounds=rounds, seconds=options.seconds, seed=options.seed)
    console = Console() if sys.stdout.isatty() else Console(width=report.WIDTH)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.dir) as place:
        where = machine.describe(Path(place))
        series = _run(plan, Path(place))
    report.show(series, where, console)
    if options.json:
        options.json.write_text(json.dumps(report.as_data(series, where), indent=2) + "\n", encoding="utf-8")
    return 0


def _run(plan: Plan, directory: Path) -> Series:
    columns = BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    # No refreshing by itself: its thread would take the interpreter from those who are measured.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=plan.runs)
        done = iter(range(plan.runs))

        def tell(doing: str) -> None:
            progress.update(task, description=doing, completed=next(done, plan.runs), refresh=True)

        return run_series(plan, directory, tell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Durable awards and cached reads, compared.")
    parser.add_argument("--only", action="append", choices=[subject.NAME for subject in SUBJECTS], help="this subject")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="this case")
    parser.add_argument("--seconds", type=_positive, default=0.75, help="length of a run (%(default)s)")
    parser.add_argument("--rounds", type=_count, help=f"runs of each ({ROUNDS}; 1 for one subject alone)")
    parser.add_argument("--seed", type=int, default=1, help="which players are drawn (%(default)s)")
    parser.add_argument("--dir", type=_directory, default=Path(), help="on the disk to measure (the current directory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as data")
    return parser


def _directory(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError("must be a directory")
    return Path(text)


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


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
