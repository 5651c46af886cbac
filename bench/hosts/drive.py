"""Load on a host, reads and writes side by side and timed apart: by wrk, or by our own client where there is no wrk.

Both keep a number of connections busy, each with one request at a time (closed loop): latencies are those of a host
that is as busy as it can be.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from string import Template
from time import perf_counter
from typing import NamedTuple

import aiohttp
from hdrh.histogram import HdrHistogram

from bench.hosts.dialect import READS, Dialect, Request
from bench.hosts.process import PATIENCE_S

SCRIPT = Path(__file__).with_name("game.lua")
PLAYERS = 100
US_MAX = 60_000_000
KINDS = ("writes", "reads")


class Figures(NamedTuple):
    """What one side of the game met. Latencies in seconds; `failed` counts all that was not answered with 200."""

    calls: int
    seconds: float
    failed: int
    p50: float
    p95: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.calls / self.seconds


def wrk() -> str | None:
    """Return where wrk is, if it is installed."""
    return shutil.which("wrk")


def drive(url: str, dialect: Dialect, connections: int, seconds: float) -> Mapping[str, Figures]:
    """Keep a host busy with writes and reads at once, on `connections` each."""
    tool = wrk()
    if tool is None:
        return asyncio.run(_driven(url, dialect, connections, seconds))
    begun = {kind: _begun(tool, url, dialect, kind, connections, seconds) for kind in KINDS}
    try:
        said = {kind: process.communicate(timeout=seconds + PATIENCE_S)[0] for kind, process in begun.items()}
    finally:
        for process in begun.values():
            process.kill()
    return {kind: Figures(**json.loads(text.splitlines()[-1])) for kind, text in said.items()}


def _begun(tool: str, url: str, dialect: Dialect, kind: str, connections: int, seconds: float) -> subprocess.Popen[str]:
    award = dialect.award
    game = ["POST", award.body, award.path] if kind == "writes" else ["GET", "", *READS]
    how = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT)]  # wrk counts whole seconds
    command = [tool, *how, url, "--", f"wrk-{kind}", str(PLAYERS), *game]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - what the user installed


async def _driven(url: str, dialect: Dialect, connections: int, seconds: float) -> Mapping[str, Figures]:
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:
        sides = [_side(session, dialect, kind, connections, seconds) for kind in KINDS]
        return dict(zip(KINDS, await asyncio.gather(*sides), strict=True))


async def _side(
    session: aiohttp.ClientSession, dialect: Dialect, kind: str, connections: int, seconds: float
) -> Figures:
    taken = HdrHistogram(1, US_MAX, 3)
    failed, number, began = 0, count(), perf_counter()

    async def connection() -> None:
        nonlocal failed
        while (sent := perf_counter()) < began + seconds:
            turn = next(number)
            user = f"player{turn % PLAYERS}"
            if kind == "writes":
                status = await post(session, dialect.awarding(user, f"own-{turn}"))
            else:
                async with session.get(Template(READS[turn % len(READS)]).substitute(user=user)) as answer:
                    await answer.read()
                    status = answer.status
            failed += status != 200
            taken.record_value(max(1, round((perf_counter() - sent) * 1e6)))

    await asyncio.gather(*(connection() for _ in range(connections)))
    p50, p95, p99 = (taken.get_value_at_percentile(percent) / 1e6 for percent in (50, 95, 99))
    return Figures(taken.get_total_count(), perf_counter() - began, failed, p50, p95, p99)


async def post(session: aiohttp.ClientSession, request: Request) -> int:
    """Post a request and return the status of its answer."""
    async with session.post(request.path, data=request.body, headers={"Idempotency-Key": request.key}) as answer:
        await answer.read()
        return answer.status
