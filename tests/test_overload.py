"""More than a shard can take: bounded, refused at once with the reason, nobody else's trouble, and over by itself."""

from __future__ import annotations

import asyncio
import math
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, perf_counter
from typing import Any

import psutil
import pytest
from engines import PATIENCE_S, HeldEngine, HeldShard, drained
from games import begin, points_of
from loops import off_loop, run_on
from opening import Opener
from waiting import until

from pictact_actors import AsyncStore, AwardPoints, Overloaded, RequestTimeout, Store, StoreClosed
from pictact_actors.model.keys import shard_of
from pictact_actors.model.updating import Update
from pictact_actors.runtime.link import ShardLink
from pictact_actors.runtime.supervisor import Supervisor

MIB = 1024 * 1024
MANY = 1_000_000
SHARDS = 2
BUSY, CALM = (
    next(f"t3_{n}" for n in range(99) if shard_of(f"match:t3_{n}", SHARDS) == shard) for shard in range(SHARDS)
)
"""A match in each of two shards."""


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a shard stand still for as long as a test wants: no supervisor replaces its actor."""
    monkeypatch.setattr(Supervisor, "_look_at", lambda *_: None)


def opened(open_store: Opener, **limits: Any) -> tuple[Store, ShardLink]:
    """A store with two matches in two shards, and the shard of the busy one."""
    store = open_store(shards=SHARDS, **limits)
    begin(store, BUSY, CALM)
    drained(store)
    return store, store.runtime.link_of(f"match:{BUSY}")


def throw(
    store: Store, count: int, after_each: Callable[[int], None] = lambda _number: None
) -> tuple[int, array[float]]:
    """Tell a shard many messages; return how many it took, and how long each refusal took in seconds."""
    refusals_s = array("d")
    for number in range(count):
        message = AwardPoints(BUSY, f"u{number % 100}", 1)
        since = perf_counter()
        try:
            store.tell(message)
        except Overloaded:
            refusals_s.append(perf_counter() - since)
        after_each(number)
    return count - len(refusals_s), refusals_s


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


@contextmanager
def neighbour(store: Store) -> Iterator[tuple[Callable[[int], None], list[float]]]:
    """Somebody who awards points in another shard whenever a thousand messages were thrown, and how long that took."""
    turn, over, waits_s = threading.Semaphore(0), threading.Event(), list[float]()

    def work() -> None:
        while turn.acquire(timeout=PATIENCE_S) and not over.is_set():
            since = perf_counter()
            store.award_points(CALM, "ann", 1)
            waits_s.append(perf_counter() - since)

    def pace(number: int) -> None:
        if number % 1_000 == 0:
            turn.release()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            yield pace, waits_s
        finally:
            over.set()
            turn.release()
            working.result(PATIENCE_S)


@pytest.mark.usefixtures("nobody_looks")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [60_000, pytest.param(MANY, marks=pytest.mark.long)])
def test_messages_thrown_at_a_blocked_shard_are_refused_at_once_and_take_no_memory(
    open_store: Opener, count: int
) -> None:
    store, link = opened(open_store)
    room = store.runtime.config.in_flight_max
    process = psutil.Process()
    with HeldShard(link, PATIENCE_S * 10), neighbour(store) as (pace, waits_s):
        assert throw(store, room)[0] == room
        full_bytes = process.memory_info().rss
        taken, refusals_s = throw(store, count - room, pace)
        grown_bytes = process.memory_info().rss - full_bytes
    p999, slowest = percentile(refusals_s, 0.999), max(refusals_s)
    p50, p95 = percentile(waits_s, 0.5), percentile(waits_s, 0.95)
    figures = (
        f"refusals: p50 {percentile(refusals_s, 0.5) * 1e6:.0f} us, p99.9 {p999 * 1e3:.2f} ms, "
        f"slowest {slowest * 1e3:.1f} ms; memory +{grown_bytes / MIB:.1f} MiB; "
        f"neighbour: p50 {p50 * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms"
    )
    assert (taken, len(refusals_s)) == (0, count - room)
    assert p999 < 0.01, figures
    assert grown_bytes < 24 * MIB, figures  # eight of them for a million times
    assert p50 < 0.1, figures  # not the p95: this machine may be busy with something else
    drained(store)
    assert store.award_points(BUSY, "last", 1).points == 1


@pytest.mark.usefixtures("nobody_looks")
def test_a_refusal_says_how_many_are_in_flight_and_for_how_long_the_oldest(open_store: Opener) -> None:
    store, link = opened(open_store, in_flight_max=50, commit_group_max=50)
    with HeldShard(link):
        since = monotonic()
        throw(store, 50)
        until(lambda: monotonic() - since > 0.05)
        with pytest.raises(Overloaded) as told:
            store.tell(AwardPoints(BUSY, "ann", 1))
        asked_at = monotonic()
        with pytest.raises(Overloaded) as asked:
            store.award_points(BUSY, "ann", 1, timeout=0.05)
    assert (told.value.shard, told.value.depth, asked.value.depth) == (link.index, 50, 50)
    assert 0.05 < told.value.age_s <= asked_at - since
    assert told.value.age_s + 0.05 <= asked.value.age_s <= monotonic() - since
    drained(store)


def test_a_disk_that_stands_still_is_told_by_the_age_too(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=SHARDS, in_flight_max=50, commit_group_max=50)
    begin(store, BUSY)
    drained(store)
    held.hold()
    since = monotonic()
    throw(store, 50)
    until(lambda: monotonic() - since > 0.05)
    with pytest.raises(Overloaded) as told:
        store.tell(AwardPoints(BUSY, "ann", 1))
    assert 0.05 < told.value.age_s <= monotonic() - since
    held.let_go()
    drained(store)


@pytest.mark.usefixtures("nobody_looks")
def test_tasks_learn_the_same_as_threads(open_store: Opener) -> None:
    store, link = opened(open_store, in_flight_max=50, commit_group_max=50)

    async def play(aio: AsyncStore) -> None:
        with HeldShard(link):
            since = monotonic()
            throw(store, 50)
            with pytest.raises(Overloaded):
                aio.tell(AwardPoints(BUSY, "ann", 1))
            refused = await asyncio.gather(
                *(aio.award_points(BUSY, "ann", 1, timeout=0.05) for _ in range(20)), return_exceptions=True
            )
            passed_s = monotonic() - since
            assert (await aio.award_points(CALM, "ann", 1)).points == 1
        for error in refused:
            assert isinstance(error, Overloaded)
            assert (error.shard, error.depth) == (link.index, 50)
            assert 0.05 <= error.age_s <= passed_s
        await off_loop(lambda: drained(store))
        assert (await aio.award_points(BUSY, "ann", 1)).points == 1

    run_on(store, play)


@pytest.mark.usefixtures("nobody_looks")
def test_what_nobody_waits_for_any_more_is_dropped_before_it_is_done(open_store: Opener) -> None:
    store, link = opened(open_store, in_flight_max=500, commit_group_max=100, request_timeout_s=0.05)
    with HeldShard(link):
        throw(store, 400)
        replies = store.submit([AwardPoints(BUSY, "ann", 1)] * 100)
        for reply in replies:
            with pytest.raises(RequestTimeout):
                reply.get()
    drained(store)
    assert points_of(store, BUSY) == {}
    assert store.award_points(BUSY, "ann", 1, timeout=PATIENCE_S).points == 1
    assert [entry.cause for entry in store.entries()] == ["create_match", "create_match", "award_points"]


def test_a_shard_that_stands_still_is_replaced_although_its_queue_is_full(open_store: Opener) -> None:
    store, link = opened(open_store, in_flight_max=2_000, commit_group_max=500, wedged_after_s=0.3)
    with HeldShard(link):
        replies = store.submit([AwardPoints(BUSY, "ann", 1) for _ in range(1_500)], timeout=PATIENCE_S)
        assert throw(store, 600)[0] == 500
        assert store.award_points(BUSY, "bob", 1, timeout=PATIENCE_S).points == 1
        assert sorted(reply.get().points for reply in replies) == list(range(1, 1_501))
    assert store.statistics().shards[link.index].restarts == 1
    drained(store)


@pytest.mark.usefixtures("nobody_looks")
def test_closing_does_not_wait_behind_a_full_queue_and_everybody_is_answered(open_store: Opener) -> None:
    store, link = opened(open_store, in_flight_max=500, commit_group_max=100, drain_timeout_s=0.3)
    with HeldShard(link):
        replies = store.submit([AwardPoints(BUSY, "ann", 1) for _ in range(400)], timeout=PATIENCE_S)
        throw(store, 100)
        since = monotonic()
        store.close()
        assert monotonic() - since < 5.0
        for reply in replies:
            with pytest.raises(StoreClosed):
                reply.get(0.0)
    again = open_store(shards=SHARDS)
    assert points_of(again, BUSY) == {}
    assert again.award_points(BUSY, "ann", 1).points == 1


@pytest.mark.usefixtures("nobody_looks")
def test_what_was_taken_but_not_decided_when_a_store_closes_is_answered(open_store: Opener) -> None:
    store, link = opened(open_store, drain_timeout_s=0.3)
    running, free = threading.Event(), threading.Event()

    def slow(score: Any) -> Any:
        running.set()
        assert free.wait(PATIENCE_S)
        return score

    with HeldShard(link):
        update = store.ask(Update(f"score:{BUSY}:ann", slow), timeout=PATIENCE_S)
        behind = store.submit([AwardPoints(BUSY, "ann", 1) for _ in range(10)], timeout=PATIENCE_S)
    assert running.wait(PATIENCE_S)
    store.close()
    for reply in (update, *behind):
        with pytest.raises(StoreClosed):
            reply.get(0.0)
    free.set()
    assert points_of(open_store(shards=SHARDS), BUSY) == {}


def test_the_statistics_show_a_queue_while_it_is_there(open_store: Opener) -> None:
    store, link = opened(open_store)
    with HeldShard(link):
        throw(store, 70)
        until(lambda: store.statistics().shards[link.index].queue_age_s > 0.02)
        busy, calm = store.statistics().shards[link.index], store.statistics().shards[1 - link.index]
    assert (busy.queued, busy.in_flight) == (70, 70)
    assert (calm.queued, calm.in_flight, calm.queue_age_s) == (0, 0, 0.0)
    drained(store)
    busy = store.statistics().shards[link.index]
    assert (busy.queued, busy.in_flight, busy.queue_age_s) == (0, 0, 0.0)
