"""Histories of random transactions are strictly serializable, whatever goes wrong meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from callers import Plan, look, record
from opening import MEMORY, Opener
from serializability import Kind, Outcome, anomalies, assert_strictly_serializable, with_aborted_reads
from test_histories import Chaos
from transactions import Bank, Lists, Recorded, Workload

from pictact_actors import Store
from pictact_actors.model.records import Record
from pictact_actors.storage.engine import Commit

LONG = 200
LEASE_S = 0.05
"""Short, so that what was left open holds others up for a moment only."""
COMMIT_S_MAX = 0.008
"""A slow disk: often longer than a hurried transaction waits."""
RESTARTS_MAX = 100_000
"""More than there are: no shard is to stay down."""


class SlowChaos(Chaos):
    """An engine that takes its time, and now and then finds no room or conflicts with another host."""

    def commit(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        threading.Event().wait(self._rng.uniform(0, COMMIT_S_MAX))
        return super().commit(commits, ts, mark)


def cancel_the_old(store: Store, _rng: random.Random) -> None:
    """End the transactions whose lease is over, wherever they are just now, also on their way to the disk."""
    store.runtime.transactions.expire()


def restart_a_shard(store: Store, rng: random.Random) -> None:
    store.runtime.supervisor.restart(rng.choice(store.runtime.links), "injected")


def cancel_or_restart(store: Store, rng: random.Random) -> None:
    rng.choice([cancel_the_old, cancel_the_old, restart_a_shard])(store, rng)


def explain(store: Store, plan: Plan) -> list[Recorded]:
    """Play, and check everything; return the history."""
    print(plan)  # noqa: T201 - pytest shows it when the test fails
    history = record(store, plan)
    check(history, plan)
    assert store.check() == []
    return history


def check(history: list[Recorded], plan: Plan) -> None:
    assert_strictly_serializable(history, f"seed {plan.seed}")
    assert_strictly_serializable(with_aborted_reads(history), f"seed {plan.seed}, with what was aborted")
    assert not isinstance(plan.workload, Bank) or plan.workload.flaws(history) == []


def share(history: list[Recorded], outcome: Outcome) -> float:
    return sum(one.outcome is outcome for one in history) / len(history)


@pytest.fixture(params=[Lists, Bank])
def workload(request: pytest.FixtureRequest) -> Workload:
    return request.param()


@pytest.mark.parametrize("shards", [1, 4])
def test_transactions_are_strictly_serializable(open_store: Opener, workload: Workload, shards: int) -> None:
    history = explain(open_store(MEMORY, shards=shards), Plan(seed=shards, workload=workload))
    assert share(history, Outcome.COMMITTED) > 0.5
    assert share(history, Outcome.UNKNOWN) == 0


def test_transactions_on_a_disk_are_strictly_serializable_and_still_there_later(
    open_store: Opener, workload: Workload
) -> None:
    plan = Plan(seed=1, workload=workload)
    store = open_store(cache_bytes_max=8_192)
    history = explain(store, plan)
    store.close()
    check([*history, look(open_store(), workload)], plan)


def test_transactions_that_give_up_are_strictly_serializable(open_store: Opener, workload: Workload) -> None:
    engine = SlowChaos(random.Random(1))
    history = explain(open_store(engine=engine), Plan(seed=1, workload=workload, turns=30, hurried=0.5))
    assert share(history, Outcome.UNKNOWN) > 0


def test_transactions_that_are_left_open_are_strictly_serializable(open_store: Opener, workload: Workload) -> None:
    store = open_store(MEMORY, lease_s=LEASE_S)
    explain(store, Plan(seed=1, workload=workload, turns=30, abandoned=0.05))


def test_transactions_that_are_cancelled_are_strictly_serializable(open_store: Opener, workload: Workload) -> None:
    store = open_store(engine=SlowChaos(random.Random(1)), lease_s=0.001)
    plan = Plan(seed=1, workload=workload, turns=30, disturbed=0.05, disturb=cancel_the_old)
    explain(store, plan)


def test_transactions_during_restarts_are_strictly_serializable(open_store: Opener, workload: Workload) -> None:
    store = open_store(MEMORY, restarts_max=RESTARTS_MAX)
    plan = Plan(seed=1, workload=workload, turns=30, disturbed=0.01, disturb=restart_a_shard)
    explain(store, plan)
    assert any(shard.epoch for shard in store.statistics().shards)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1000 + LONG))
def test_many_histories_of_transactions_are_strictly_serializable(open_store: Opener, seed: int) -> None:
    places: list[dict[str, Any]] = [{"path": MEMORY}, {}, {"engine": SlowChaos(random.Random(seed))}]
    trouble: dict[str, Any] = {} if seed % 4 == 0 else {"hurried": 0.2, "abandoned": 0.01, "disturbed": 0.01}
    plan = Plan(seed=seed, workload=[Lists, Bank][seed // 4 % 2](), disturb=cancel_or_restart, **trouble)
    limits = {"shards": 1 + seed % 5, "lease_s": LEASE_S, "restarts_max": RESTARTS_MAX}
    explain(open_store(**places[seed % 3], **limits), plan)


# -- whether a history would show it: a store that does without locks is found out


class Careless:
    """A transaction that reads what is committed, and writes everything at the end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writes: dict[str, Record] = {}

    def get(self, key: str) -> Record:
        return self._writes.get(key) or self._store.get(key)

    def get_many(self, wanted: Sequence[str]) -> dict[str, Record]:
        return self._store.get_many(wanted) | {key: self._writes[key] for key in wanted if key in self._writes}

    def scan(self, prefix: str) -> Iterator[tuple[str, Record]]:
        own = {key: record for key, record in self._writes.items() if key.startswith(prefix)}
        return iter((dict(self._store.scan(prefix)) | own).items())

    def put(self, key: str, record: Record) -> None:
        self._writes[key] = record

    def commit(self) -> None:
        self._store.put_many(self._writes)


class CarelessStore:
    """A store whose transactions lock nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def transact(self, fn: Callable[[Careless], None], *, timeout: float | None) -> None:  # noqa: ARG002 - the same face
        transaction = Careless(self._store)
        fn(transaction)
        transaction.commit()


def test_a_store_without_locks_is_found_out(open_store: Opener) -> None:
    bank = Bank()
    careless: Any = CarelessStore(open_store(MEMORY))
    history = record(careless, Plan(seed=1, workload=bank, tasks=0, once=0))
    assert Kind.LOST_UPDATE in {anomaly.kind for anomaly in anomalies(history)}
    assert bank.flaws(history)
