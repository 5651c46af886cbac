"""Transactions for threads: several reads, writes and commands over any keys as one atomic step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Self, TypeVar

from pictact_actors.clock import monotonic
from pictact_actors.model.commands import Command
from pictact_actors.model.records import Record
from pictact_actors.model.validate import check_page
from pictact_actors.retrying import retrying
from pictact_actors.runtime.runtime import Runtime, check_timeout
from pictact_actors.runtime.transaction import Operation
from pictact_actors.verbs import Verbs

T = TypeVar("T")


class Transaction(Verbs):
    """One attempt at a transaction; leaving its `with` block commits, an exception in it rolls back.

    It sees what is committed and, above it, its own writes; nobody else sees those before the commit. Each group (all
    keys of one post, or of one user) is locked at the first touch until the end, also for reading; a scan locks its
    group, or the whole store if its prefix spans groups. Locks last `StoreConfig.lease_s` at most.

    Every method may raise `ConflictAborted` (its locks took or lasted too long), `DeadlockAborted` (it gave way) or
    `ShardRestarted`, after which the transaction is over and can be run again. A command that is rejected (`NotFound`,
    `MatchClosed`, ...) writes nothing, and the transaction goes on. One thread at a time may use it.
    """

    def __init__(self, runtime: Runtime, timeout_s: float) -> None:
        self._runtime = runtime
        self._running = runtime.transactions.begin(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._await(self._running.committing())
        else:
            self._running.roll_back()

    def get(self, key: str) -> Record:
        """Return the record under a key, locking its group. Raises `NotFound`, `InvalidKey`."""
        return self._await(self._running.reading(key))

    def get_many(self, wanted: Iterable[str]) -> dict[str, Record]:
        """Return the records that exist among these keys, locking their groups."""
        return self._await(self._running.reading_many(wanted))

    def put(self, key: str, record: Record) -> None:
        """Write a record under its key. Raises `InvalidKey`, `InvalidValue`."""
        self._await(self._running.writing(key, record))

    def delete(self, key: str) -> None:
        """Delete the record under a key; none is fine. Raises `InvalidKey`."""
        self._await(self._running.deleting(key))

    def scan(self, prefix: str, *, limit: int | None = None, after: str | None = None) -> Iterator[tuple[str, Record]]:
        """Yield `(key, record)` under a prefix in key order, as they are now; nothing can appear there meanwhile."""
        check_page(prefix, limit, after)
        return islice(self._await(self._running.scanning(prefix, after)), limit)

    def count_retry(self) -> None:
        """Count that it is tried again by another one."""
        self._running.count(retries=1)

    def _do(self, command: Command, timeout: float | None) -> object:
        return self._await(self._running.doing(command), timeout)

    def _await(self, operation: Operation[T], timeout_s: float | None = None) -> T:
        """Do an operation, waiting for each of its errands."""
        timeout_s = self._running.timeout_s if timeout_s is None else check_timeout(timeout_s)
        try:
            errand = next(operation)
            while True:
                try:
                    answer = self._runtime.run(errand, timeout_s).get()
                except BaseException as error:  # noqa: BLE001 - the operation decides what it means
                    errand = operation.throw(error)
                else:
                    errand = operation.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # what the operation returns


def transact(runtime: Runtime, fn: Callable[[Transaction], T], timeout_s: float) -> T:
    """Run `fn` in transactions until one commits, or the time is over; return what it returned."""
    until = monotonic() + timeout_s
    attempts: list[Transaction] = []

    def attempt() -> T:
        attempts[:] = [Transaction(runtime, max(0.0, until - monotonic()))]
        with attempts[0] as transaction:
            return fn(transaction)

    def count() -> None:
        attempts[0].count_retry()

    return retrying(timeout_s, count)(attempt)
