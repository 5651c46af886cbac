"""`python -m bench scale`: what a look at the boards of all players costs, from a thousand of them to five million.

One store grows from size to size, in steps of a few thousand players through `put_many`, as an import would. At each
size another process opens it, with the default configuration, asks for players drawn at random, and tells how long that
took and how much memory it had at its worst. Each answer is checked for what must be so at any size.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from statistics import quantiles
from time import perf_counter, perf_counter_ns
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pictact_actors import AlreadyExists, Lifetime, Standing, Store, StoreConfig
from pictact_actors.model.ranking import LIFETIME_ORDERS
from pictact_actors.model.records import Record

SIZES = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
STEP = 4_000
"""Players that are put in one step."""
CALLS = 2_000
"""Timed calls of each operation; writes a tenth of it."""
SPREAD = 2_654_435_761
"""Odd, so that numbers times this, modulo 2**32, are all different: names come in no order."""
TITLES = {
    "top": "top 10",
    "page": "10 lines, anywhere",
    "next": "10 after a player",
    "standing": "a player's rank",
    "around": "neighbours",
    "lifetime": "a player's record",
    "cached": "the same, cached",
    "write": "new totals, durably",
    "award": "an award, durably",
}
WRITES = ("write", "award")
GROWTH_MAX = 2.0
"""What an operation may take among the most players, over what it takes among the fewest."""
POST = "t3_live"
LIMITED = ("top", "standing", "around")
MEDIAN_US_MAX = 1_000
OPENING_S_MAX = 5.0
MEMORY_MB_MAX = 300 + StoreConfig().cache_bytes_max / 2**20
WIDTH = 100


class Cost(NamedTuple):
    """Microseconds of one operation."""

    p50: float
    p95: float
    p99: float


class Figures(NamedTuple):
    """What was measured at one size."""

    players: int
    costs: dict[str, Cost]
    opening_s: float
    memory_mb: float
    disk_mb: float
    building_s: float = 0.0

    def misses(self) -> Iterator[str]:
        """What is beyond its limit."""
        for name in LIMITED:
            if self.costs[name].p50 > MEDIAN_US_MAX:
                yield f"{TITLES[name]}: {self.costs[name].p50:.0f} µs at the median"
        if self.opening_s > OPENING_S_MAX:
            yield f"opening: {self.opening_s:.1f} s"
        if self.memory_mb > MEMORY_MB_MAX:
            yield f"memory: {self.memory_mb:.0f} MB"


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.measure:
        print(json.dumps(_measured(options.measure, options.players, options.calls)))
        return 0
    sizes = [size for size in SIZES if size <= options.players]
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.dir) as place:
        found = _series(Path(place), sizes or [options.players], options.calls)
    _show(found, Console() if sys.stdout.isatty() else Console(width=WIDTH))
    if options.json:
        options.json.write_text(json.dumps([_as_data(figures) for figures in found], indent=2) + "\n", encoding="utf-8")
    return int(any(any(figures.misses()) for figures in found))


def name_of(number: int) -> str:
    return f"player{number * SPREAD % 2**32:010d}"


def player(number: int) -> Lifetime:
    """Somebody: most win little and play now and then, a few do little else."""
    drawn = random.Random(number)
    wins, played = int(drawn.expovariate(0.3)), 1 + int(drawn.expovariate(0.05))
    return Lifetime(name_of(number), wins, played, drawn.randrange(-100, 20_000) / 2)


def grow(store: Store, numbers: range, tell: Callable[[int], None] = lambda _: None) -> None:
    """Put players into a store."""
    for first in range(numbers.start, numbers.stop, STEP):
        step = [player(number) for number in range(first, min(first + STEP, numbers.stop))]
        records: dict[str, Record] = {one.key: one for one in step}
        store.put_many(records)
        tell(len(step))


def _series(directory: Path, sizes: Sequence[int], calls: int) -> list[Figures]:
    found: list[Figures] = []
    columns = BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=sizes[-1])
        for before, size in zip((0, *sizes), sizes, strict=False):
            progress.update(task, description=f"up to {size:,} players")
            began = perf_counter()
            with Store.open(directory / "store") as store:
                grow(store, range(before, size), lambda count: progress.advance(task, count))
            built = perf_counter() - began
            progress.update(task, description=f"asking among {size:,} players")
            found.append(_asked(directory / "store", size, calls)._replace(building_s=built))
    return found


def _asked(directory: Path, players: int, calls: int) -> Figures:
    """Measure in a process of its own: what building took of memory is not there."""
    command = [sys.executable, "-m", "bench", "scale", "--measure", str(directory.resolve())]
    command += ["--players", str(players), "--calls", str(calls)]
    home = Path(__file__).resolve().parents[1]
    told = subprocess.run(command, cwd=home, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
    data = json.loads(told.stdout)
    return Figures(**{**data, "costs": {name: Cost(*cost) for name, cost in data["costs"].items()}})


def _measured(directory: Path, players: int, calls: int) -> dict[str, object]:
    began = perf_counter()
    with Store.open(directory, create=False) as store:
        opening_s = perf_counter() - began
        costs = {
            name: _cost(act, calls // 10 if name in WRITES else calls) for name, act in _operations(store, players)
        }
        disk_mb = store.statistics().size_bytes / 2**20
    return Figures(players, costs, opening_s, _peak_mb(), disk_mb)._asdict()


def _operations(store: Store, players: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each operation, for somebody at random and in any of the orders."""
    drawn = random.Random(players)

    def user() -> str:
        return name_of(drawn.randrange(players))

    def by() -> str:
        return drawn.choice(LIFETIME_ORDERS)

    def standing() -> None:
        _require(1 <= store.lifetime_standing(user(), by()).rank <= players)

    def around() -> None:
        name = user()
        _require(name in {line.user for line in store.lifetime_around(name, by())})

    def write() -> None:
        one = player(drawn.randrange(players))
        store.put_many({one.key: Lifetime(one.user, one.total_wins, one.matches_played + 1, one.total_points)})

    yield "top", lambda: _require_page(store.lifetime_leaderboard(by()))
    yield "page", lambda: _require_page(store.lifetime_leaderboard(by(), offset=drawn.randrange(max(1, players - 10))))
    yield "next", lambda: store.lifetime_leaderboard(by(), after=user())
    yield "standing", standing
    yield "around", around
    yield "lifetime", lambda: store.lifetime(user())
    known = user()
    yield "cached", lambda: store.lifetime(known)
    yield "write", write
    with suppress(AlreadyExists):
        store.create_match(POST, subreddit="pics", rounds_total=1, theme="sunsets", created_by="mod")
    yield "award", lambda: store.award_points(POST, user(), 1)


def _cost(act: Callable[[], object], calls: int) -> Cost:
    took: list[float] = []
    for _ in range(calls):
        began = perf_counter_ns()
        act()
        took.append((perf_counter_ns() - began) / 1_000)
    percentiles = quantiles(took, n=100)
    return Cost(percentiles[49], percentiles[94], percentiles[98])


def _require_page(page: list[Standing]) -> None:
    _require(len(page) == 10)
    _require(all(before.rank <= line.rank for before, line in zip(page, islice(page, 1, None), strict=False)))


def _require(condition: bool) -> None:  # noqa: FBT001 - the condition itself
    if not condition:
        raise AssertionError("that is not what a board looks like")


def _peak_mb() -> float:
    """The most memory that this process has had, files that it has mapped included."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("nobody says how much memory this takes")


def _show(found: Sequence[Figures], console: Console) -> None:
    table = Table(box=SIMPLE_HEAD, padding=0, width=WIDTH)
    table.add_column("µs, p50 / p95", ratio=1, no_wrap=True)
    for figures in found:
        table.add_column(f"{figures.players:,}", width=13, justify="right", no_wrap=True)
    table.add_column("growth", width=6, justify="right", no_wrap=True)
    growths = {name: found[-1].costs[name].p50 / found[0].costs[name].p50 for name in TITLES}
    for name, title in TITLES.items():
        table.add_row(title, *(_pair(figures.costs[name]) for figures in found), f"{growths[name]:.1f}")
    table.add_section()
    table.add_row("opening, s", *(f"{figures.opening_s:.2f}" for figures in found))
    table.add_row("memory at most, MB", *(f"{figures.memory_mb:.0f}" for figures in found))
    table.add_row("disk, MB", *(f"{figures.disk_mb:,.0f}" for figures in found))
    table.add_row("put there in, s", *(f"{figures.building_s:.0f}" for figures in found))
    console.print(table)
    for name, growth in growths.items():
        if growth > GROWTH_MAX:
            console.print(f"NOT REACHED   {TITLES[name]}: {growth:.1f} times as long, the aim is {GROWTH_MAX:g}")
    for figures in found:
        for miss in figures.misses():
            console.print(f"Beyond its limit among {figures.players:,} players: {miss}.", style="bold red")


def _pair(cost: Cost) -> str:
    return f"{cost.p50:,.0f} / {cost.p95:,.0f}"


def _as_data(figures: Figures) -> dict[str, object]:
    return {**figures._asdict(), "costs": {name: cost._asdict() for name, cost in figures.costs.items()}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench scale", description="Boards of all players, by their number."
    )
    parser.add_argument("--players", type=int, default=SIZES[-1], help="up to so many (%(default)s)")
    parser.add_argument("--calls", type=int, default=CALLS, help="timed calls of each operation (%(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(), help="on the disk to measure (the current directory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as data")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser
