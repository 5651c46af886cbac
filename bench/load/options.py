"""The options of `python -m bench load`, and the plan that they make."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bench.load import result, soak
from bench.load.comparing import RUNS_MIN
from bench.load.plan import LoadPlan
from bench.load.ramp import Limits
from bench.load.result import Earlier, Unusable

PLAN = LoadPlan()
LIMITS = Limits()
STEP_S = 5.0
"""How long a ramp tries each rate."""
RAMP_FROM = 500.0
"""The first rate of a ramp, calls/s."""
HOSTS_MAX = 512
"""Threads, and tasks; the calls of a mix tolerate about so many at a time."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the user wants."""

    plan: LoadPlan
    ramps: bool
    """Whether the highest rate has to be found, first or only."""
    soaks: bool
    runs: int
    step_s: float
    limits: Limits
    earlier: Earlier | None
    disk: Path
    out: Path | None

    @property
    def title(self) -> str:
        if self.soaks:
            return "Soak at half the highest rate" if self.ramps else "Soak"
        return "The highest rate" if self.ramps else "Load"


def parsed(arguments: Sequence[str]) -> Order:
    """Return what the user wants. Exits with status 2 and a message if that cannot be."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    try:
        earlier = result.load(given["against"]) if given["against"] else None
    except Unusable as error:
        parser.error(f"--against: {error}")
    if earlier is not None and (given["ramp"] or given["soak"]):
        parser.error("--against compares runs at one rate: leave out --ramp and --soak")
    chosen = {field.name: given[field.name] for field in fields(LoadPlan) if field.name in given}
    plan = replace(_base(earlier, soaks=given["soak"], ramps=given["ramp"], step_s=given["step"]), **chosen)
    if earlier is not None:
        _require_comparable(parser, earlier, plan, given["runs"])
    if not plan.threads + plan.tasks:
        parser.error("--threads and --tasks: somebody has to call")
    if plan.rate is None and (given["ramp"] or given["soak"]):
        parser.error("--closed has no rate to raise or to hold: leave it out")
    return Order(
        plan=plan,
        ramps=given["ramp"] or (given["soak"] and "rate" not in chosen),
        soaks=given["soak"],
        runs=given["runs"] or (RUNS_MIN if earlier else 1),
        step_s=given["step"],
        limits=Limits(given["read_limit"], given["write_limit"]),
        earlier=earlier,
        disk=given["dir"],
        out=given["out"],
    )


def _base(earlier: Earlier | None, *, soaks: bool, ramps: bool, step_s: float) -> LoadPlan:
    """What holds where the user says nothing."""
    if earlier is not None:
        return earlier.plan
    if soaks:
        return replace(PLAN, seconds=soak.SECONDS, backup_interval_s=soak.BACKUP_INTERVAL_S)
    return replace(PLAN, seconds=step_s, rate=RAMP_FROM) if ramps else PLAN


def _require_comparable(parser: argparse.ArgumentParser, earlier: Earlier, plan: LoadPlan, runs: int | None) -> None:
    differing = [field.name for field in fields(plan) if getattr(plan, field.name) != getattr(earlier.plan, field.name)]
    if differing:
        parser.error(f"--against repeats the plan of the earlier result: {', '.join(differing)} would differ")
    for side, count in (("the earlier result has", len(earlier.figures)), ("this one would have", runs or RUNS_MIN)):
        if count < RUNS_MIN:
            parser.error(f"--against: {side} {count} run(s): at least {RUNS_MIN} are needed, use --runs {RUNS_MIN}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench load",
        description="A game's load on one store: how long calls take, and that nothing acknowledged is lost.",
        epilog=f"To see what a change did: --runs {RUNS_MIN} --out before, change it, then --against before.",
    )
    _add_modes(parser)
    _add_plan(parser)
    where = parser.add_argument_group("where")
    where.add_argument(
        "--out", type=Path, metavar="DIR", help="a new directory for result.json, report.html and events"
    )
    where.add_argument("--dir", type=_directory, default=Path(), help="on the disk to measure (the current directory)")
    return parser


def _add_modes(parser: argparse.ArgumentParser) -> None:
    modes = parser.add_argument_group("what to find out")
    mode = modes.add_mutually_exclusive_group()
    mode.add_argument("--ramp", action="store_true", help="the highest rate at which p99 stays within its limits")
    mode.add_argument("--soak", action="store_true", help=f"{soak.SECONDS / 60:g} minutes at half the highest rate (or "
                      "at --rate), with cleanup and backups, and a verdict")  # fmt: skip
    modes.add_argument("--runs", type=_count, metavar="N", help=f"of the same plan (1; {RUNS_MIN} with --against)")
    modes.add_argument("--against", type=Path, metavar="DIR", help="repeat an earlier result and say what changed")
    modes.add_argument("--read-limit", type=_positive, default=LIMITS.reads_ms, metavar="MS",
                       help="for p99 of reads in a ramp (%(default)g)")  # fmt: skip
    modes.add_argument("--write-limit", type=_positive, default=LIMITS.writes_ms, metavar="MS",
                       help="for p99 of writes in a ramp (%(default)g)")  # fmt: skip
    modes.add_argument(
        "--step", type=_positive, default=STEP_S, metavar="S", help="a ramp's time at a rate (%(default)g)"
    )


def _add_plan(parser: argparse.ArgumentParser) -> None:
    """Options of the plan are absent where they are not given: what holds then depends on the mode."""
    plan = parser.add_argument_group("the load")

    def add(name: str, kind: Callable[[str], float], dest: str, metavar: str, text: str) -> None:
        usual = getattr(PLAN, dest)
        told = f"{text} ({'never' if usual is None else format(usual, 'g')})"
        plan.add_argument(name, type=kind, dest=dest, metavar=metavar, default=argparse.SUPPRESS, help=told)

    add("--seconds", _positive, "seconds", "S", "measured time of a run")
    add("--rate", _positive, "rate", "N", "calls that are due in a second, answered or not")
    plan.add_argument("--closed", dest="rate", action="store_const", const=None, default=argparse.SUPPRESS,
                      help="no rate: hosts call again as soon as they have an answer")  # fmt: skip
    add("--threads", _hosts, "threads", "N", "hosts that are threads")
    add("--tasks", _hosts, "tasks", "N", "hosts that are asyncio tasks")
    add("--players", _count, "players", "N", "players, drawn by Zipf's law")
    add("--matches", _count, "matches", "N", "matches at a time, one of them viral")
    add("--round-calls", _round, "round_calls", "N", "calls while a round is open")
    add("--expiry", _positive, "expiry_s", "S", "how long completed matches stay until cleanup")
    add("--backup", _positive, "backup_interval_s", "S", "time from backup to backup")
    add("--seed", int, "seed", "N", "which calls are drawn; the n-th run takes the n-th from here")


def _directory(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError("must be a directory")
    return Path(text)


def _positive(text: str) -> float:
    return _within(text, float(text), 0.01, 1e6)


def _count(text: str) -> int:
    return int(_within(text, int(text), 1, 1_000_000))


def _hosts(text: str) -> int:
    return int(_within(text, int(text), 0, HOSTS_MAX))


def _round(text: str) -> int:
    return int(_within(text, int(text), 8, 1_000_000))


def _within(text: str, number: float, least: float, most: float) -> float:
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text}: must be between {least:g} and {most:,.0f}")
    return number
