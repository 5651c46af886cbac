"""Who calls: threads and asyncio tasks, which take calls from the same arrivals. All times are ns."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from time import perf_counter_ns as now_ns
from time import sleep

from bench.load.arrivals import NS, Arrivals
from bench.load.mix import Operation
from bench.load.recorder import BATCH, Done, Recorder
from bench.load.target import Target
from pictact_actors import StoreError

NAP_NS = NS // 20
"""The longest sleep of a host whose call is not due yet."""


class Hosts:
    """All hosts of one load. What a host fails with beyond the store's own errors ends the load."""

    def __init__(self, target: Target, arrivals: Arrivals, recorder: Recorder) -> None:
        self._target = target
        self._arrivals = arrivals
        self._recorder = recorder
        self._failed = Event()
        self._failure: BaseException | None = None

    @contextmanager
    def running(self, threads: int, tasks: int) -> Iterator[Callable[[], bool]]:
        """Run hosts; what is yielded tells whether all have ended. They are stopped at the end of the block.

        Raises what one of them failed with.
        """
        running = [self._thread(self._serve) for _ in range(threads)]
        if tasks:
            running.append(self._thread(partial(self._serve_tasks, tasks, running.copy())))
        for thread in running:
            thread.start()
        try:
            yield lambda: self._failed.is_set() or not any(thread.is_alive() for thread in running)
        finally:
            self._arrivals.stop()
            for thread in running:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _thread(self, work: Callable[[], None]) -> Thread:
        return Thread(target=self._guarded, args=(work,), daemon=True, name="load-host")

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again by who started the hosts
            self._failure = error
            self._failed.set()
            self._arrivals.stop()

    def _serve(self) -> None:
        call, reports = self._target.call, _Reports(self._recorder)
        while (arrival := self._arrivals.take()) is not None:
            waited = now_ns() < arrival.due
            while (ahead := arrival.due - now_ns()) > 0 and not self._arrivals.stopped:
                sleep(min(ahead, NAP_NS) / NS)
            begun, error = now_ns(), None
            try:
                call(arrival.operation)
            except StoreError as refused:
                error = refused
            reports.add(Done(arrival.operation, arrival.due, begun, now_ns(), waited, error))
        reports.hand_in()

    def _serve_tasks(self, tasks: int, others: Sequence[Thread]) -> None:
        with asyncio.Runner(loop_factory=_punctual_loop) as runner:
            runner.run(self._serve_together(tasks, others))

    async def _serve_together(self, tasks: int, others: Sequence[Thread]) -> None:
        async with self._target.awaitable() as call:
            async with asyncio.TaskGroup() as group:
                for _ in range(tasks):
                    group.create_task(self._serve_task(call))
            for thread in others:  # they may still be calling, and the end of this block is the end of the target
                await asyncio.to_thread(thread.join)

    async def _serve_task(self, call: Callable[[Operation], Awaitable[object]]) -> None:
        reports = _Reports(self._recorder)
        while (arrival := self._arrivals.take()) is not None:
            waited = now_ns() < arrival.due
            await asyncio.sleep(0)  # a call may be answered without a pause: other tasks have their turn
            while (ahead := arrival.due - now_ns()) > 0 and not self._arrivals.stopped:  # noqa: ASYNC110 - for a time
                await asyncio.sleep(min(ahead, NAP_NS) / NS)
            begun, error = now_ns(), None
            try:
                await call(arrival.operation)
            except StoreError as refused:
                error = refused
            reports.add(Done(arrival.operation, arrival.due, begun, now_ns(), waited, error))
        reports.hand_in()


class _Reports:
    """What one host has not reported yet."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._done: list[Done] = []

    def add(self, done: Done) -> None:
        self._done.append(done)
        if len(self._done) == BATCH:
            self.hand_in()

    def hand_in(self) -> None:
        self._recorder.add(self._done)
        self._done.clear()


def _punctual_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose timers are exact to microseconds; the usual one rounds up to the next millisecond."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
