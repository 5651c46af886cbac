"""Where the calls go: a store in this process, or whatever else can answer them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.load.ledger import Ledger, Verified, compare
from bench.load.mix import Operation, Query
from bench.load.plan import LoadPlan
from pictact_actors import AsyncStore, Store, StoreConfig


@dataclass(frozen=True, slots=True)
class Glance:
    """What a target says about itself: counts since it was opened, and how things are now."""

    commits: int
    groups: int
    in_flight: int
    queue_age_s: float
    cache_hit_rate: float | None
    size_bytes: int
    backup_seq: int | None


class Target(Protocol):
    """Answers calls from any number of threads and of asyncio tasks."""

    def call(self, operation: Operation) -> object:
        """Carry out one call. Raises the store's errors."""

    def awaitable(self) -> AbstractAsyncContextManager[Callable[[Operation], Awaitable[object]]]:
        """Return what carries out the calls of the running event loop's tasks."""

    def glance(self) -> Glance:
        """Look at what it is doing. Takes a fraction of a millisecond."""

    def verify(self, ledger: Ledger) -> Verified:
        """Close, open again, check, and compare what is stored with what was acknowledged."""


class EmbeddedStore:
    """A store in a directory of this process. Defaults, but for how long completed matches stay and for backups."""

    def __init__(self, directory: Path | str, plan: LoadPlan) -> None:
        self._directory = directory
        self._config = StoreConfig(match_expiry_s=plan.expiry_s, backup_interval_s=plan.backup_interval_s)
        self._store = Store.open(directory, config=self._config)

    def call(self, operation: Operation) -> object:
        if isinstance(operation, Query):
            return getattr(self._store, operation.name)(*operation.arguments)
        return self._store.ask(operation).get()

    @asynccontextmanager
    async def awaitable(self) -> AsyncIterator[Callable[[Operation], Awaitable[object]]]:
        async with AsyncStore(self._store) as store:  # its end closes the store: hosts that are threads end first

            def call(operation: Operation) -> Awaitable[object]:
                if isinstance(operation, Query):
                    answer: Awaitable[object] = getattr(store, operation.name)(*operation.arguments)
                    return answer
                return store.ask(operation)

            yield call

    def glance(self) -> Glance:
        now = self._store.statistics()
        return Glance(
            commits=now.commits,
            groups=now.groups,
            in_flight=sum(shard.in_flight for shard in now.shards),
            queue_age_s=max(shard.queue_age_s for shard in now.shards),
            cache_hit_rate=now.cache_hit_rate,
            size_bytes=now.size_bytes,
            backup_seq=now.backup_seq,
        )

    def verify(self, ledger: Ledger) -> Verified:
        self.close()
        with Store.open(self._directory, create=False) as store:  # nothing is due by default, so nothing goes meanwhile
            return compare(ledger, store, [str(problem) for problem in store.check()])

    def close(self) -> None:
        self._store.close()
