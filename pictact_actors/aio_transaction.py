"""Transactions for asyncio: the methods of `Transaction`, awaitable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from pictact_actors.aio_verbs import AsyncVerbs
from pictact_actors.clock import monotonic
from pictact_actors.model.commands import Command
from pictact_actors.model.records import Record
from pictact_actors.model.validate import check_page
from pictact_actors.retrying import async_retrying
from pictact_actors.runtime.port import LoopPort
from pictact_actors.runtime.runtime import Runtime, check_timeout
from pictact_actors.runtime.transaction import Errand, Operation

T = TypeVar("T")
CHUNK = 256
"""Records that a scan fetches at once."""

OffLoop = Callable[..., Awaitable[Any]]
"""Runs a function on a thread that may wait for the disk."""


class _Done(NamedTuple, Generic[T]):
    """What an operation came to."""

    value: T


class AsyncTransaction(AsyncVerbs):
    """`Transaction` for one task at a time. Waits for locks and for the commit leave the loop free.

    A task that is cancelled in the block gives its locks back at once; cancelled while it commits, it may have
    committed.
    """

    def __init__(self, runtime: Runtime, port: LoopPort, off_loop: OffLoop, timeout_s: float) -> None:
        self._port = port
        self._off_loop = off_loop
        self._running = runtime.transactions.begin(timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._running.roll_back()
            return
        try:
            await self._await(self._running.committing())
        except asyncio.CancelledError as cancelled:  # perhaps before any of it was done
            self._running.roll_back(cancelled)
            raise

    async def get(self, key: str) -> Record:
        """Return the record under a key, locking its group. Raises `NotFound`, `InvalidKey`."""
        return await self._await(self._running.reading(key))

    async def get_many(self, wanted: Iterable[str]) -> dict[str, Record]:
        """Return the records that exist among these keys, locking their groups."""
        return await self._await(self._running.reading_many(wanted))

    async def put(self, key: str, record: Record) -> None:
        """Write a record under its key. Raises `InvalidKey`, `InvalidValue`."""
        await self._await(self._running.writing(key, record))

    async def delete(self, key: str) -> None:
        """Delete the record under a key; none is fine. Raises `InvalidKey`."""
        await self._await(self._running.deleting(key))

    async def scan(
        self, prefix: str, *, limit: int | None = None, after: str | None = None
    ) -> AsyncIterator[tuple[str, Record]]:
        """Yield `(key, record)` under a prefix in key order, as they are now; nothing can appear there meanwhile."""
        check_page(prefix, limit, after)
        pairs = islice(await self._await(self._running.scanning(prefix, after)), limit)
        while chunk := await self._off_loop(lambda: list(islice(pairs, CHUNK))):
            for pair in chunk:
                yield pair

    def count_retry(self) -> None:
        """Count that it is tried again by another one."""
        self._running.count(retries=1)

    def _do(self, command: Command, timeout: float | None) -> Awaitable[object]:
        return self._await(self._running.doing(command), timeout)

    async def _await(self, operation: Operation[T], timeout_s: float | None = None) -> T:
        """Do an operation: its work on a reading thread, since it may need the disk, its waits in the loop."""
        timeout_s = self._running.timeout_s if timeout_s is None else check_timeout(timeout_s)
        step: Errand | _Done[T] = await self._off_loop(_go_on, partial(next, operation))
        while isinstance(step, Errand):
            try:
                answer = await self._port.run(step, timeout_s)
            except BaseException as error:  # noqa: BLE001 - the operation decides what it means
                step = operation.throw(error)
            else:
                step = await self._off_loop(_go_on, partial(operation.send, answer))
        return step.value


def _go_on(operation: Callable[[], Errand]) -> Errand | _Done[Any]:
    """Go on with an operation; return its next errand, or what it came to."""
    try:
        return operation()
    except StopIteration as done:
        return _Done(done.value)


async def async_transact(
    begin: Callable[[float], AsyncTransaction],
    fn: Callable[[AsyncTransaction], Awaitable[T]],
    timeout_s: float,
) -> T:
    """Run `fn` in transactions until one commits, or the time is over; return what it returned."""
    until = monotonic() + timeout_s
    attempts: list[AsyncTransaction] = []

    async def attempt() -> T:
        attempts[:] = [begin(max(0.0, until - monotonic()))]
        async with attempts[0] as transaction:
            return await fn(transaction)

    def count() -> None:
        attempts[0].count_retry()

    return await async_retrying(timeout_s, count)(attempt)
