"""What the store is meant to reach beside the others, and whether it did. Nothing is met by weakening anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from bench.report import STORE, Row, Rows, cases, rows
from bench.series import Series

STRIPED, SQLITE, REDIS, BARE = "plyvel, striped locks", "SQLite FULL", "Redis always", "bare parts"
PEERS = (STRIPED, SQLITE, "LMDB", "diskcache FULL", REDIS)
TASKS_RATE_MIN = 40_000
READS_RATE_MIN = 1_000_000
BOARD_US_MAX = 50
BOARD_WRITES_MIN = 9_000
"""10,000 a second, less what a turn at its beginning and end misses."""
BOARD_PLAYERS = 100_000


@dataclass(frozen=True, slots=True)
class Target:
    """One line: what was aimed at, what was found (more is better), and where they come from."""

    text: str
    found: float | None
    aim: float
    figures: str = ""
    valid: bool = True
    """Whether what had to go on beside it did."""

    @property
    def reached(self) -> bool:
        """Whether it was; what could not be measured was not."""
        return self.valid and self.found is not None and self.found >= self.aim


def targets(series: Series) -> list[Target]:
    """Hold everything that was measured against what was aimed at."""
    found: dict[str, Rows] = {case.name: rows(series, case) for case in cases(series)}
    return [*_writes(found), *_reads(found), *_boards(found)]


def show_targets(found: Sequence[Target], console: Console) -> None:
    """Print a line for each."""
    for target in found:
        word = "reached    " if target.reached else "NOT MEASURED" if target.found is None else "NOT REACHED"
        ratio = "" if target.found is None else f"{_short(target.found)} of {_short(target.aim)}  "
        style = "green" if target.reached else "red"
        console.print(f"[{style}]{word:<12}[/]  {target.text}: {ratio}[dim]{target.figures}[/]", highlight=False)


def _writes(found: dict[str, Rows]) -> Iterator[Target]:
    pipelined, blocking, lone = (found.get(name, {}) for name in ("pipelined", "blocking", "lone"))
    for title, aim in ((BARE, 0.6), (STRIPED, 5), (SQLITE, 12), (REDIS, 2)):
        yield _rate("pipelined writes", pipelined, title, aim)
    for title, aim in ((STRIPED, 1.5), (SQLITE, 4), (REDIS, 2)):
        yield _rate("64 blocking callers", blocking, title, aim)
    for title in (STRIPED, SQLITE, REDIS):
        yield _p99("64 blocking callers", blocking, title)
    tasks, own = found.get("asyncio", {}).get(STORE), pipelined.get(STORE)
    aim = max(TASKS_RATE_MIN, own.rate / 2 if own else 0)
    yield Target(
        "1,000 asyncio tasks, writes a second (40,000 or half of pipelined)", tasks.rate if tasks else None, aim
    )
    store, striped = lone.get(STORE), lone.get(STRIPED)
    ratio = striped.p50_us * 1.3 / store.p50_us if store and striped else None
    text = "lone caller within 1.3x of a plyvel award with a synced put"
    yield Target(text, ratio, 1, f"{store.p50_us:.0f} / {striped.p50_us:.0f} µs" if store and striped else "")


def _reads(found: dict[str, Rows]) -> Iterator[Target]:
    reads = found.get("reads", {})
    store = reads.get(STORE)
    yield Target("cached reads a second, one thread", store.rate if store else None, READS_RATE_MIN)
    for title in PEERS:
        yield _rate("cached reads", reads, title, 5)
    yield _rate("uncached reads, beside plyvel get plus decode", found.get("uncached", {}), STRIPED, 0.5)


def _boards(found: dict[str, Rows]) -> Iterator[Target]:
    for name in ("top", "rank", "around"):
        here = found.get(f"{name}-{BOARD_PLAYERS}", {})
        store, redis = here.get(STORE), here.get(REDIS)
        text = f"board of {BOARD_PLAYERS:,}, {name}"
        figures = f"{store.p50_us:.0f} µs, {store.beside or 0:,.0f} writes a second" if store else ""
        kept = store is not None and (store.beside or 0) >= BOARD_WRITES_MIN
        within = BOARD_US_MAX / store.p50_us if store else None
        yield Target(f"{text} within {BOARD_US_MAX} µs", within, 1, figures, kept)
        ratio = redis.p50_us / store.p50_us if store and redis else None
        yield Target(
            f"{text}, x Redis", ratio, 10, f"{store.p50_us:.0f} / {redis.p50_us:.0f} µs" if store and redis else ""
        )


def _rate(text: str, here: Rows, title: str, aim: float) -> Target:
    store, other = here.get(STORE), here.get(title)
    both = store is not None and other is not None
    figures = f"{_figure(store)} / {_figure(other)} a second" if both else ""
    return Target(f"{text}, x {title}", store.rate / other.rate if store and other else None, aim, figures)


def _p99(text: str, here: Rows, title: str) -> Target:
    store, other = here.get(STORE), here.get(title)
    figures = f"{store.p99_us / 1e3:.1f} / {other.p99_us / 1e3:.1f} ms" if store and other else ""
    return Target(f"{text}, p99 below {title}", other.p99_us / store.p99_us if store and other else None, 1, figures)


def _figure(row: Row | None) -> str:
    return f"{row.rate:,.0f}" if row else ""


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 1_000 else f"{number:.3g}"
