"""`python -m bench recovery`: how long a store takes to serve again, by what happened to it.

A store is filled with scores by a process of its own, which is killed then, and opened by another one: after the kill,
after a clean close, without its state, with a damaged state, and with a damaged journal. Everything is
counted afterwards.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pictact_actors import Score, Store

RECORDS = 1_000_000
STEP = 4_000
PER_POST = 10_000
FRAME_BYTE = 300
"""Somewhere in the first frame of a segment."""
KILLED_S_MAX = 2.0


class Opening(NamedTuple):
    """One opening: what was done to the store before, and how long it took until the first read was answered (s)."""

    case: str
    seconds: float
    records: int
    healed: str

    @property
    def per_second(self) -> float:
        return self.records / self.seconds


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.fill:
        _fill(options.fill, options.records)
    if options.measure:
        print(json.dumps(_opened(options.measure)))
        return 0
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.dir) as place:
        found = _openings(Path(place) / "store", options.records)
    _show(found)
    return int(found[0].seconds > KILLED_S_MAX)


def _openings(path: Path, records: int) -> list[Opening]:
    _fill_and_kill(path, records)
    cases: dict[str, Callable[[], object]] = {
        "killed": lambda: None,
        "closed": lambda: None,
        "state lost": lambda: shutil.rmtree(path / "state"),
        "state damaged": lambda: _harm(max((path / "state").glob("*.ldb"), key=_size)),
        "journal damaged": lambda: _harm(min((path / "journal").glob("*.journal")), FRAME_BYTE),
    }
    found = []
    for case, harm in cases.items():
        harm()
        seconds, there, healed = _measured(path)
        if there != records:
            raise AssertionError(f"{case}: {there:,} of {records:,} records are there")
        found.append(Opening(case, seconds, there, healed))
    return found


def _size(path: Path) -> int:
    return path.stat().st_size


def _harm(path: Path, at: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 0xFF
    path.write_bytes(content)


def _fill_and_kill(path: Path, records: int) -> None:
    command = [*_command(), "--fill", str(path.resolve()), "--records", str(records)]
    with subprocess.Popen(command, cwd=_home(), stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - ourselves
        if child.stdout is None or child.stdout.readline().strip() != "full":
            raise AssertionError("the store was not filled")
        child.send_signal(signal.SIGKILL)


def _fill(path: Path, records: int) -> None:
    """Fill a store and wait to be killed."""
    with Store.open(path) as store:
        for first in range(0, records, STEP):
            step = [_score(number) for number in range(first, min(first + STEP, records))]
            store.put_many({one.key: one for one in step})
        print("full", flush=True)
        signal.pause()


def _score(number: int) -> Score:
    return Score(f"t3_{number // PER_POST}", f"u{number * 7_919 % 1_000_003:07d}", number % 100)


def _measured(path: Path) -> tuple[float, int, str]:
    command = [*_command(), "--measure", str(path.resolve())]
    told = subprocess.run(command, cwd=_home(), check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
    seconds, records, healed = json.loads(told.stdout)
    return float(seconds), int(records), str(healed)


def _opened(path: Path) -> tuple[float, int, str]:
    began = perf_counter()
    with Store.open(path, create=False) as store:
        store.get(_score(0).key)
        seconds = perf_counter() - began
        recoveries = store.statistics().recoveries
        return seconds, sum(1 for _ in store.scan("score:")), recoveries[-1].case if recoveries else ""


def _command() -> list[str]:
    return [sys.executable, "-m", "bench", "recovery"]


def _home() -> Path:
    return Path(__file__).resolve().parents[1]


def _show(found: Sequence[Opening]) -> None:
    table = Table("what happened before", box=SIMPLE_HEAD)
    for title in ("seconds", "records a second", "last healed"):
        table.add_column(title, justify="right" if title != "last healed" else "left")
    for opening in found:
        table.add_row(opening.case, f"{opening.seconds:.2f}", f"{opening.per_second:,.0f}", opening.healed)
    console = Console() if sys.stdout.isatty() else Console(width=100)
    console.print(table)
    if found[0].seconds > KILLED_S_MAX:
        console.print(f"Beyond its limit: {KILLED_S_MAX:g} s after a kill.", style="bold red")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench recovery", description="Openings, by what happened before.")
    parser.add_argument("--records", type=int, default=RECORDS, help="in the store (%(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(), help="on the disk to measure (the current directory)")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser
