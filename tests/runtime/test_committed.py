"""What readers see: one moment at a time, and never half of a commit group."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from engines import PATIENCE_S

from pictact_actors import (
    AwardPoints,
    InvalidKey,
    Match,
    NotFound,
    Score,
    StoreClosed,
    StoreConfig,
    StoreDamaged,
)
from pictact_actors.clock import StoreClock, SystemClock
from pictact_actors.model.codec import encode
from pictact_actors.model.records import Record
from pictact_actors.runtime.committed import Committed
from pictact_actors.runtime.expiry import Expiry
from pictact_actors.runtime.meter import ReadMeter
from pictact_actors.runtime.reply import Call
from pictact_actors.runtime.staging import Staged
from pictact_actors.storage.memory import MemoryEngine

ANN, BOB = "score:t3_a:ann", "score:t3_a:bob"


def score(user: str, points: int) -> Score:
    return Score("t3_a", user, points, reached_at=float(points))


class Slow(MemoryEngine):
    """An engine that stops in the middle of publishing, if told to."""

    def __init__(self) -> None:
        super().__init__()
        self.middle = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def publish(self) -> None:
        super().publish()
        self.middle.set()
        assert self.go_on.wait(PATIENCE_S)


class World:
    """Committed records without actors: the test is the committer."""

    def __init__(self) -> None:
        self.engine = Slow()
        expiry = Expiry(self.engine, StoreClock(SystemClock()), StoreConfig())
        self.committed = Committed(self.engine, 1024 * 1024, 100, expiry, ReadMeter(1.0))
        self.commit(Match("t3_a"))

    def commit(self, *records: Record, carried: bool = True) -> None:
        """Commit and publish records; `carried` if they come decoded as well."""
        shown = {record.key: record for record in records}
        changes = {key: encode(record) for key, record in shown.items()}
        call = Call(AwardPoints("t3_a", "ann", 1), 1.0, 0.0)
        staged = [Staged(call, "test", None, changes, shown if carried else None, None, None)]
        self.engine.commit(staged, 1.0, 1.0)
        self.committed.publish(staged)

    def delete(self, key: str) -> None:
        call = Call(AwardPoints("t3_a", "ann", 1), 1.0, 0.0)
        staged = [Staged(call, "test", None, {key: None}, {key: None}, None, None)]
        self.engine.commit(staged, 1.0, 1.0)
        self.committed.publish(staged)

    @contextmanager
    def publishing(self, *records: Record) -> Iterator[None]:
        """Stand still in the middle of publishing."""
        self.engine.middle.clear()
        self.engine.go_on.clear()
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(self.commit, *records)
            try:
                assert self.engine.middle.wait(PATIENCE_S)
                yield
            finally:
                self.engine.go_on.set()
            done.result(PATIENCE_S)

    def board(self) -> list[tuple[str, Any]]:
        return [(line.user, line.points) for line in self.committed.on_board("t3_a", lambda b: b.page(10, 0))]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("carried", [True, False])
def test_a_published_record_is_found_cached_or_not(world: World, carried: bool) -> None:  # noqa: FBT001
    world.commit(score("ann", 1), carried=carried)
    world.commit(score("ann", 2), carried=carried)
    assert world.committed.get(ANN) == score("ann", 2)
    assert world.committed.cached(ANN) == score("ann", 2)


def test_a_deleted_record_is_gone_from_cache_board_and_state(world: World) -> None:
    world.commit(score("ann", 1), score("bob", 2))
    assert len(world.board()) == 2
    world.delete(ANN)
    assert world.committed.get(ANN) is None
    assert world.board() == [("bob", 2)]


def test_while_a_group_is_published_nobody_sees_any_of_it_or_anything_older(world: World) -> None:
    world.commit(score("ann", 1))
    reads: list[Callable[[], object]] = [
        lambda: world.committed.get(ANN),
        lambda: world.committed.get(BOB),
        lambda: world.committed.get_many([ANN, BOB]),
        lambda: [record for _, record in world.committed.scan("score:")],
        lambda: world.committed.one_and_scan(ANN, "score:")[1],
        world.board,
    ]
    with ThreadPoolExecutor(len(reads)) as pool:
        with world.publishing(score("ann", 2), score("bob", 3)):
            waiting = [pool.submit(read) for read in reads]
            assert world.committed.cached(ANN) is None
            assert not any(future.done() for future in waiting)
        seen = [future.result(PATIENCE_S) for future in waiting]
    both = [score("ann", 2), score("bob", 3)]
    assert seen[:2] == both
    assert seen[2] == {ANN: both[0], BOB: both[1]}
    assert seen[3] == seen[4] == both
    assert seen[5] == [("bob", 3), ("ann", 2)]


class Turning(dict[str, Record]):
    """A generation of the cache in which something happens just before a look-up."""

    def __init__(self, records: dict[str, Record], then: Callable[[], None]) -> None:
        super().__init__(records)
        self._then: Callable[[], None] | None = then

    def get(self, key: str, default: Any = None) -> Any:
        then, self._then = self._then, None
        if then is not None:
            then()
        return super().get(key, default)


@pytest.mark.parametrize("generation", ["hot", "cold"])
def test_what_is_published_during_a_look_up_is_not_replaced_by_what_was_found(world: World, generation: str) -> None:
    world.commit(score("ann", 1))
    cache = world.committed._cache
    cache.cold, cache.hot = cache.hot, {}
    setattr(cache, generation, Turning(getattr(cache, generation), lambda: world.commit(score("ann", 2))))
    world.committed.get(ANN)
    assert world.committed.get(ANN) == score("ann", 2)


def test_what_is_published_while_the_engine_reads_is_not_replaced_by_what_it_read(world: World) -> None:
    world.commit(score("ann", 1))
    world.committed._cache.clear()
    read, once = world.engine.get, iter([True])

    def slow_read(key: str) -> bytes | None:
        value = read(key)
        if next(once, False):
            world.commit(score("ann", 2))
        return value

    world.engine.get = slow_read  # type: ignore[method-assign]  # a read that takes long
    assert world.committed.get(ANN) == score("ann", 2)
    assert world.committed.get(ANN) == score("ann", 2)


def test_many_records_are_of_one_moment_although_one_is_published_between_them(world: World) -> None:
    world.commit(score("ann", 1), score("bob", 1))
    for writes in (1, 10):  # now and then, and all the time
        left = iter(range(writes))
        get = world.committed.get

        def get_then_write(key: str, get: Any = get, left: Any = left) -> Record | None:
            record = get(key)
            n = next(left, None)
            if n is not None:
                world.commit(score("ann", 10 + n), score("bob", 10 + n))
            return record

        world.committed.get = get_then_write  # type: ignore[method-assign]  # somebody writes after every look-up
        seen = world.committed.get_many([ANN, BOB, "score:t3_a:nobody"])
        world.committed.get = get  # type: ignore[method-assign]  # as before
        points = {record.points for record in seen.values() if isinstance(record, Score)}
        assert len(points) == 1
        assert list(seen) == [ANN, BOB]


def test_a_scan_shows_the_moment_it_began(world: World) -> None:
    world.commit(score("ann", 1), score("bob", 1))
    pairs = world.committed.scan("score:")
    world.commit(score("ann", 2), score("cat", 2))
    assert dict(pairs) == {ANN: score("ann", 1), BOB: score("bob", 1)}


def scan_slowly(world: World, meanwhile: Callable[[], object]) -> list[str]:
    """Let something happen in the middle of every scan; note the scans."""
    scan, scans = world.engine.scan, []

    def slow_scan(prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        return iter([]) if prefix.startswith("due:") else with_pause(list(scan(prefix, after)))

    def with_pause(pairs: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        scans.append("scan")
        yield from pairs[:1]
        meanwhile()
        yield from pairs[1:]

    world.engine.scan = slow_scan  # type: ignore[method-assign]  # a scan that takes long
    return scans


def test_a_board_is_loaded_while_scores_are_published_and_holds_no_writer_up(world: World) -> None:
    world.commit(score("ann", 1), score("bob", 2), score("eve", 0))

    def write() -> None:
        world.commit(score("ann", 3), score("cat", 4))
        world.commit(score("ann", 5), carried=False)
        world.delete("score:t3_a:eve")

    scans = scan_slowly(world, write)
    assert world.board() == [("ann", 5), ("cat", 4), ("bob", 2)]
    world.commit(score("dan", 9))
    assert world.board() == [("dan", 9), ("ann", 5), ("cat", 4), ("bob", 2)]
    assert len(scans) == 1


class Watched:
    """A lock that says how many came to it."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.came.release()
        assert self._lock.acquire(timeout=PATIENCE_S)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_many_who_ask_for_a_board_at_once_load_it_once(world: World) -> None:
    world.commit(score("ann", 1))
    watched = Watched()
    world.committed._loads = [watched]  # type: ignore[list-item]  # as much of a lock as is needed
    scans = scan_slowly(world, lambda: [watched.came.acquire(timeout=PATIENCE_S) for _ in range(8)])
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(world.board) for _ in range(8)]
        assert [answer.result(PATIENCE_S) for answer in answers] == [[("ann", 1)]] * 8
    assert len(scans) == 1


def test_what_another_host_writes_while_a_board_is_loaded_is_on_it(world: World) -> None:
    world.commit(score("ann", 1))
    others = iter([True])

    def another_host() -> None:
        if next(others, False):
            world.engine._records[ANN] = encode(score("ann", 7))
            world.committed.forget(frozenset({"match:t3_a", "lifetime:ann"}))

    scan_slowly(world, another_host)
    assert world.board() == [("ann", 7)]


def test_a_board_that_could_not_be_loaded_is_loaded_when_it_is_asked_for_again(world: World) -> None:
    world.commit(score("ann", 1))
    errors = iter([StoreDamaged("a block"), None])

    def damage() -> None:
        error = next(errors)
        if error is not None:
            raise error

    scan_slowly(world, damage)
    with pytest.raises(StoreDamaged):
        world.board()
    assert world.board() == [("ann", 1)]


def test_a_board_needs_its_match(world: World) -> None:
    with pytest.raises(NotFound, match="match:t3_b"):
        world.committed.on_board("t3_b", len)


def test_what_another_host_wrote_is_read_anew(world: World) -> None:
    world.commit(score("ann", 1))
    assert world.board() == [("ann", 1)]
    world.engine._records[ANN] = encode(score("ann", 7))
    assert world.committed.get(ANN) == score("ann", 1)
    world.committed.forget(frozenset({"match:t3_a"}))
    assert world.committed.get(ANN) == score("ann", 7)
    assert world.board() == [("ann", 7)]


NO_KEYS = ["", "x", "score:a", "score:a:b:c", "match:", "round:a:01", "match:\ud800", "score:a:\n"]


@pytest.mark.parametrize("key", NO_KEYS, ids=repr)
def test_what_cannot_be_a_key_is_not_looked_up(world: World, key: str) -> None:
    with pytest.raises(InvalidKey):
        world.committed.get(key)
    with pytest.raises(InvalidKey):
        world.committed.get_many([ANN, key])


def test_after_the_end_every_read_is_refused(world: World) -> None:
    world.commit(score("ann", 1))
    world.board()
    world.committed.close(StoreClosed("over"))
    reads: list[Callable[[], object]] = [
        lambda: world.committed.get(ANN),
        lambda: world.committed.get_many([ANN]),
        lambda: world.committed.scan("score:"),
        lambda: world.committed.one_and_scan(ANN, "score:"),
        lambda: world.committed.on_board("t3_a", len),
        lambda: world.committed.on_lifetime_board("total_wins", lambda b: b.page(1, 0)),
        world.committed.pinned,
    ]
    for read in reads:
        with pytest.raises(StoreClosed, match="over"):
            read()
    assert world.committed.cached(ANN) is None


def test_a_refusal_does_not_grow_with_every_read(world: World) -> None:
    world.committed.close(StoreClosed())
    for _ in range(100):
        with pytest.raises(StoreClosed) as caught:
            world.committed.get(ANN)
    assert len(caught.traceback) < 10


def test_the_statistics_count_records_misses_and_boards(world: World) -> None:
    before = world.committed.statistics()
    assert (before.records, before.reads, before.misses, before.hit_rate, before.boards) == (1, 0, 0, None, 0)
    world.commit(score("ann", 1), carried=False)
    world.committed.get(ANN)
    world.board()
    after = world.committed.statistics()
    assert (after.records, after.misses, after.boards) == (2, 1, 1)


def test_every_look_up_of_a_record_counts_and_those_that_went_to_the_engine(world: World) -> None:
    world.commit(score("ann", 1), carried=False)
    for _ in range(4):
        world.committed.get(ANN)
        world.committed.get_due(ANN)
        world.committed.cached(ANN)
    seen = world.committed.statistics()
    assert (seen.reads, seen.misses, seen.hit_rate) == (12, 1, 11 / 12)
