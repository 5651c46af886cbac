"""Durable awards by 1,000 asyncio tasks. Everybody is called in 64 threads, as asyncio advises,
and through the own asyncio face where there is one; the better way counts."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from time import perf_counter_ns as now_ns

from bench.sample import Case, Sample, require, sample_of
from bench.subjects.protocol import AwardTask, Subject, Tasking
from bench.trials.awards import WARM_UP
from bench.trials.players import POSTS, USERS, draws
from bench.trials.trial import Effort, Found, Trial, Turn

TASKS, THREADS = 1_000, 64
CASE = Case("asyncio", "awards, 1,000 asyncio tasks")


class Tasks(Trial):
    """The same awards, from one event loop."""

    name = "asyncio"

    @property
    def cases(self) -> Sequence[Case]:
        return (CASE,)

    def able(self, subject: type[Subject]) -> bool:
        return self.name not in subject.LACKS

    def start(self, subject: type[Subject], directory: Path, effort: Effort) -> Turn:
        return TasksTurn(subject, directory, effort.seconds)


class TasksTurn(Turn):
    """One loop for each way, and every award counted. An asyncio face need not be the faster way, so both are tried."""

    def __init__(self, subject: type[Subject], directory: Path, seconds: float) -> None:
        self._kind, self._directory, self._seconds = subject, directory, seconds
        self._ways = ["asyncio", "threads"] if issubclass(subject, Tasking) else ["threads"]
        self._acknowledged = 0

    def measure(self, seed: int) -> Iterator[Found]:
        for way in self._ways:
            place = self._directory / way
            place.mkdir()
            title = "" if way == "asyncio" else f"{THREADS} threads"
            yield CASE, title, asyncio.run(self._loop(self._awarding(way, place), seed))
            self._acknowledged += len(POSTS) * len(USERS)

    def close(self) -> int:
        stored = sum(self._kind.stored(self._directory / way).points for way in self._ways)
        require(stored == self._acknowledged, f"{self._kind.TITLE}: {self._acknowledged:,} awards, {stored:,} held")
        return stored

    async def _loop(self, awarding: AbstractAsyncContextManager[AwardTask], seed: int) -> Sample:
        async with awarding as award:
            await self._run(award, seed, self._seconds * WARM_UP)
            return await self._run(award, seed, self._seconds)

    def _awarding(self, way: str, place: Path) -> AbstractAsyncContextManager[AwardTask]:
        load = dict.fromkeys(USERS, 1)
        if way == "asyncio" and issubclass(self._kind, Tasking):
            return self._kind.tasks(place, POSTS, load)
        return _in_threads(self._kind, place, load)

    async def _run(self, award: AwardTask, seed: int, seconds: float) -> Sample:
        drawn = draws(seed, 0)  # one loop: tasks take from it in turns
        latencies, began = array("Q"), now_ns()
        deadline = began + int(seconds * 1e9)

        async def task() -> None:
            ended = 0
            while ended < deadline:
                sent = now_ns()
                await award(*next(drawn))
                ended = now_ns()
                latencies.append(ended - sent)

        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(task())
        self._acknowledged += len(latencies)
        return sample_of([latencies], len(latencies), now_ns() - began)


@asynccontextmanager
async def _in_threads(kind: type[Subject], directory: Path, load: Mapping[str, int]) -> AsyncIterator[AwardTask]:
    loop, subject = asyncio.get_running_loop(), kind(directory)
    try:
        subject.create(POSTS)
        for post in POSTS:
            subject.load(post, load)
        with ThreadPoolExecutor(THREADS) as pool:
            yield lambda post, user: loop.run_in_executor(pool, subject.award, post, user)
    finally:
        subject.close()
