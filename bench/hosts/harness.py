"""`python -m bench hosts`: a web game and a bot on the store, each a process of its own, driven over real HTTP.

Each host is kept busy with awards and leaderboards at once, then killed (`kill -9`) while players are awarded points.
It is started again: every award that was acknowledged must be there, and those without an answer are repeated with
their request ids, so that in the end each counts exactly once. At last it is asked to end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import aiohttp
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from bench.hosts.crowd import Aftermath, Crowd, Lost
from bench.hosts.dialect import DIALECTS, POST_ID, Dialect
from bench.hosts.drive import PLAYERS, Figures, drive, post, wrk
from bench.hosts.process import HostFailed, running

WIDTH = 98
NO_WRK = "wrk is not installed (apt-get install wrk): our own client drives, and most of the time measured is its own."


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything: `connections` for reads and as many for writes, a kill after `awards`."""

    connections: int
    seconds: float
    awards: int


@dataclass(frozen=True, slots=True)
class Life:
    """What a host went through. `ready_s` is how long it took to serve after the kill, `stop_s` to end."""

    title: str
    figures: Mapping[str, Figures]
    aftermath: Aftermath
    ready_s: float
    stop_s: float


class Tell(Protocol):
    """Says what is going on."""

    def __call__(self, *, description: str) -> object: ...


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    if wrk() is None:
        console.print(NO_WRK, style="bold red")
    plan = Plan(options.connections, options.seconds, options.awards)
    dialects = [dialect for dialect in DIALECTS if options.only in (None, dialect.host)]
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".bench-", dir=options.dir) as place,
            Progress(TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as progress,
        ):
            tell = partial(progress.update, progress.add_task(""))
            lives = [live(dialect, Path(place) / dialect.host, plan, tell) for dialect in dialects]
    except (HostFailed, Lost, aiohttp.ClientError) as error:
        console.print(f"{error}", style="bold red")
        return 1
    _show(lives, plan, console)
    if options.json:
        options.json.write_text(json.dumps([_plain(one) for one in lives], indent=2) + "\n", encoding="utf-8")
    return int(any(figures.failed for one in lives for figures in one.figures.values()))


def live(dialect: Dialect, directory: Path, plan: Plan, tell: Tell) -> Life:
    """Take one host through everything. Raises `HostFailed`, `Lost`."""
    crowd = Crowd(dialect, plan.connections)
    tell(description=f"{dialect.title}: a match begins")
    with running(dialect.host, directory) as host:
        asyncio.run(_begin(host.url, dialect))
        tell(description=f"{dialect.title}: under load")
        figures = drive(host.url, dialect, plan.connections, plan.seconds)
        tell(description=f"{dialect.title}: about to be killed")
        crowd.play(host.url, host.kill, plan.awards)
    with running(dialect.host, directory) as host:
        tell(description=f"{dialect.title}: what is there")
        aftermath = crowd.verify(host.url)
        asyncio.run(_require_all(host.url, figures["writes"], plan.connections))
        return Life(dialect.title, figures, aftermath, host.ready_s, host.stop())


async def _begin(url: str, dialect: Dialect) -> None:
    """Begin the match and give every player a point, so that all reads find something."""
    firsts = [dialect.awarding(f"player{number}", f"first-{number}") for number in range(PLAYERS)]
    async with aiohttp.ClientSession(url) as session:
        for request in (*dialect.begin, *firsts):
            if (status := await post(session, request)) != 200:
                raise HostFailed(f"{request.path} was answered with {status}")


async def _require_all(url: str, writes: Figures, in_flight: int) -> None:
    """Find every award that the load was acknowledged, and at most those beside that it did not wait for at its end."""
    there = -PLAYERS
    async with aiohttp.ClientSession(url) as session:
        for number in range(PLAYERS):
            async with session.get(f"/matches/{POST_ID}/scores/player{number}") as answer:
                there += (await answer.json())["points"]
    acknowledged = writes.calls - writes.failed
    if not acknowledged <= there <= writes.calls + in_flight:
        raise Lost(f"{acknowledged:,} of {writes.calls:,} awards were acknowledged under load, {there:,} are there")


def _show(lives: Sequence[Life], plan: Plan, console: Console) -> None:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("")
    for title in ("requests/s", "p50 ms", "p95 ms", "p99 ms", "failed"):
        table.add_column(title, justify="right")
    for one in lives:
        for kind, found in one.figures.items():
            latencies = (f"{seconds * 1e3:,.1f}" for seconds in (found.p50, found.p95, found.p99))
            table.add_row(f"{one.title}: {kind}", f"{found.per_second:,.0f}", *latencies, f"{found.failed:,}")
    console.print(table)
    client = "our own client" if wrk() is None else "wrk"
    console.print(
        f"By {client}, reads and writes at once, {plan.connections} connections each. A write is an award on disk, a "
        "read a leaderboard or a score.",
        style="dim",
    )
    for one in lives:
        console.print(_told(one), highlight=False)


def _told(one: Life) -> str:
    after = one.aftermath
    return (
        f"{one.title}: killed (-9) after {after.acknowledged:,} acknowledged awards, served again in "
        f"{one.ready_s:.2f} s: all were there. {after.unanswered} awards had no answer, {after.stored} of them were "
        f"stored; repeated with their ids, each counts once. Asked to end, it did in {one.stop_s:.2f} s."
    )


def _plain(one: Life) -> dict[str, object]:
    figures = {kind: {**found._asdict(), "per_second": found.per_second} for kind, found in one.figures.items()}
    return {**asdict(one), "figures": figures, "aftermath": one.aftermath._asdict()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench hosts", description="Game hosts on the store, over HTTP.")
    parser.add_argument("--only", choices=[dialect.host for dialect in DIALECTS], help="this host (both)")
    parser.add_argument("--connections", type=_count, default=16, help="for reads, and for writes (%(default)s)")
    parser.add_argument("--seconds", type=_count, default=5, help="of load (%(default)s)")
    parser.add_argument("--awards", type=_count, default=1000, help="acknowledged before the kill (%(default)s)")
    parser.add_argument("--dir", type=_directory, default=Path(), help="on the disk to measure (the current directory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as data")
    return parser


def _directory(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError("must be a directory")
    return Path(text)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
