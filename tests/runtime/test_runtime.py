"""Everything behind one open store: the way in, and the way out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from engines import PATIENCE_S, HeldEngine, HeldShard, drained, settled
from games import begin, points_of
from opening import Opener

from pictact_actors import (
    AwardPoints,
    CompleteMatch,
    InvalidKey,
    InvalidValue,
    NotFound,
    Overloaded,
    RequestTimeout,
    Store,
    StoreClosed,
    StoreError,
)
from pictact_actors.runtime.reply import Reply


@pytest.fixture
def small(open_store: Opener, held: HeldEngine) -> Store:
    """A store of one shard with room for eight writes, on a held engine, with a match."""
    store: Store = open_store(engine=held, shards=1, in_flight_max=8, commit_group_max=8, drain_timeout_s=0.1)
    begin(store)
    drained(store)
    return store


def award(user: str = "ann", points: Any = 1) -> AwardPoints:
    return AwardPoints("t3_a", user, points)


def fill(store: Store, held: HeldEngine) -> list[Reply[Any]]:
    """Take all the room there is."""
    held.hold()
    replies = store.submit([award(f"u{n}") for n in range(8)], timeout=PATIENCE_S)
    held.wait_for_commit()
    settled(store)
    return replies


def outcomes(replies: list[Reply[Any]]) -> list[Any]:
    seen: list[Any] = []
    for reply in replies:
        try:
            seen.append(reply.get())
        except StoreError as error:
            seen.append(type(error))
    return seen


# -- the way in


def test_telling_a_full_store_is_refused_at_once_with_depth_and_age(small: Store, held: HeldEngine) -> None:
    replies = fill(small, held)
    with pytest.raises(Overloaded) as caught:
        small.tell(award())
    assert (caught.value.shard, caught.value.depth) == (0, 8)
    assert 0 <= caught.value.age_s < 1
    held.let_go()
    assert len(outcomes(replies)) == 8


def test_asking_a_full_store_waits_for_room_until_its_timeout(small: Store, held: HeldEngine) -> None:
    fill(small, held)
    with pytest.raises(Overloaded) as caught:
        small.ask(award(), timeout=0.05).get()
    assert (caught.value.depth, caught.value.age_s) == (8, pytest.approx(0.05, abs=1))
    assert caught.value.age_s >= 0.05
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(small.award_points, "t3_a", "ann", 1, timeout=PATIENCE_S)
        held.let_go()
        assert waiting.result(PATIENCE_S).points == 1


def test_what_was_refused_for_want_of_room_never_happens(small: Store, held: HeldEngine) -> None:
    fill(small, held)
    seen = outcomes(small.submit([award("late") for _ in range(5)], timeout=0.02))
    held.let_go()
    assert seen == [Overloaded] * 5
    drained(small)
    assert sorted(points_of(small)) == [f"u{n}" for n in range(8)]


def test_a_long_list_goes_through_a_narrow_gate_in_order(small: Store) -> None:
    replies = small.submit([award() for _ in range(100)], timeout=PATIENCE_S)
    assert [reply.get().points for reply in replies] == list(range(1, 101))


def test_an_error_in_a_list_harms_nobody_else(small: Store) -> None:
    messages = [award(), award("a:b"), award(), AwardPoints("nope", "ann", 1), award(points=float("nan")), award()]
    assert outcomes(small.submit(messages, timeout=PATIENCE_S))[1::2][:2] == [InvalidKey, NotFound]
    seen = outcomes(small.submit(messages, timeout=PATIENCE_S))
    assert [s if isinstance(s, type) else s.points for s in seen] == [4, InvalidKey, 5, NotFound, InvalidValue, 6]


def test_a_list_with_something_that_is_no_message_sends_nothing(small: Store) -> None:
    with pytest.raises(InvalidValue, match="must be a command"):
        small.submit([award(), "award ann a point"])  # type: ignore[list-item]  # a mistake of the caller's
    for wrong in (None, 5, "x", object(), AwardPoints):
        with pytest.raises(InvalidValue, match="must be a command"):
            small.ask(wrong)  # type: ignore[arg-type]  # the same
        with pytest.raises(InvalidValue, match="must be a command"):
            small.tell(wrong)  # type: ignore[arg-type]  # the same
    assert points_of(small) == {}


def test_an_empty_list_is_answered_with_an_empty_list(small: Store) -> None:
    assert small.submit([]) == []


def test_telling_checks_at_once_and_does_the_rest_later(small: Store) -> None:
    with pytest.raises(InvalidKey):
        small.tell(award("a:b"))
    small.tell(award())
    small.tell(AwardPoints("nope", "ann", 1))  # nobody hears of it
    assert small.award_points("t3_a", "ann", 1).points == 2


@pytest.mark.parametrize("timeout", [-1.0, float("inf"), float("nan"), 1e12, "5"], ids=repr)
def test_a_timeout_that_cannot_be_is_refused_before_anything_is_sent(small: Store, timeout: Any) -> None:
    with pytest.raises(InvalidValue, match="timeout"):
        small.award_points("t3_a", "ann", 1, timeout=timeout)
    with pytest.raises(InvalidValue, match="timeout"):
        small.submit([award()], timeout=timeout)
    assert small.ask(award(), timeout=5).get().points == 1


def test_a_short_timeout_is_kept_and_what_was_in_the_queue_never_happens(small: Store) -> None:
    with HeldShard(small.runtime.links[0]), pytest.raises(RequestTimeout):
        small.award_points("t3_a", "ann", 1, timeout=0.02)
    assert small.award_points("t3_a", "ann", 1).points == 1


def test_the_same_group_is_always_in_the_same_shard(open_store: Opener) -> None:
    runtime = open_store(":memory:", shards=4).runtime
    assert [runtime.link_of(f"match:t3_{c}").index for c in "abcdefgh"] == [0, 2, 0, 3, 1, 3, 1, 0]


# -- the way out


def test_closing_finishes_what_is_in_flight(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held)
    begin(store)
    held.hold()
    replies = store.submit([award(f"u{n}") for n in range(20)])
    held.wait_for_commit()
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(store.close)
        held.let_go()
        closing.result(PATIENCE_S)
    assert [reply.get().points for reply in replies] == [1] * 20


def test_closing_gives_up_after_the_drain_limit_and_says_so(
    small: Store, held: HeldEngine, caplog: pytest.LogCaptureFixture
) -> None:
    replies = fill(small, held)
    small.close()
    assert "drain_incomplete" in caplog.text
    assert not any(reply.done() for reply in replies)
    for reply in replies:
        with pytest.raises(RequestTimeout):
            reply.get(timeout=0.001)
    held.let_go()
    assert [reply.get().points for reply in replies] == [1] * 8


def test_after_closing_everything_is_refused(store: Store) -> None:
    begin(store)
    store.close()
    for act in (
        lambda: store.award_points("t3_a", "ann", 1),
        lambda: store.complete_match("t3_a"),
        lambda: store.tell(award()),
        lambda: store.ask(award()).get(),
        store.submit([award()])[0].get,
        lambda: store.match("t3_a"),
        lambda: store.get("match:t3_a"),
        lambda: store.get_many(["match:t3_a"]),
        lambda: store.leaderboard("t3_a"),
        store.lifetime_leaderboard,
        lambda: store.rounds("t3_a"),
        lambda: store.player("ann"),
        store.analytics_summary,
        lambda: list(store.scan("")),
        lambda: list(store.entries()),
        store.check,
    ):
        with pytest.raises(StoreClosed, match="open it again"):
            act()


def test_a_refusal_does_not_grow_with_every_call(memory: Store) -> None:
    memory.close()
    for _ in range(100):
        with pytest.raises(StoreClosed) as caught:
            memory.award_points("t3_a", "ann", 1)
    assert len(caught.traceback) < 15


def test_closing_twice_and_from_many_threads_at_once_is_fine(store: Store) -> None:
    barrier = Barrier(8)

    def close() -> None:
        barrier.wait(PATIENCE_S)
        store.close()

    with ThreadPoolExecutor(8) as pool:
        for closing in [pool.submit(close) for _ in range(8)]:
            closing.result(PATIENCE_S)
    store.close()


def test_closing_is_logged_once(memory: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "pictact_actors"):
        memory.close()
        memory.close()
    assert caplog.text.count("store_closed") == 1


@pytest.mark.parametrize("round_", range(5))
def test_whatever_was_acknowledged_while_the_store_closed_is_there_after_reopening(
    open_store: Opener, round_: int
) -> None:
    store: Store = open_store()
    begin(store)
    start = Barrier(5)
    acknowledged: list[str] = []

    def write(host: int) -> list[str]:
        start.wait(PATIENCE_S)
        done: list[str] = []
        for n in range(10_000):
            users = [f"h{host}-{n}-{m}" for m in range(5)]
            seen = outcomes(store.submit([award(user) for user in users]))
            done += [user for user, outcome in zip(users, seen, strict=True) if outcome is not StoreClosed]
            assert all(outcome is StoreClosed or outcome.points == 1 for outcome in seen)
            if StoreClosed in seen:
                break
        return done

    def scan() -> None:
        start.wait(PATIENCE_S)
        try:
            while True:
                list(store.scan(""))
                store.leaderboard("t3_a")
        except StoreClosed:
            pass

    with ThreadPoolExecutor(5) as pool:
        writers, reader = [pool.submit(write, host) for host in range(3)], pool.submit(scan)
        start.wait(PATIENCE_S)
        for _ in range(round_ * 20):
            store.award_points("t3_a", "main", 1)
        store.close()
        acknowledged = [user for writer in writers for user in writer.result(PATIENCE_S)]
        reader.result(PATIENCE_S)
    assert set(acknowledged) == set(points_of(open_store())) - {"main"}


def test_a_crossing_under_way_is_finished_before_the_end(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held)
    begin(store)
    store.award_points("t3_a", "ann", 1)
    held.hold()
    completing = store.ask(CompleteMatch("t3_a"))
    settled(store)
    waiting = store.ask(award())
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(store.close)
        held.let_go()
        closing.result(PATIENCE_S)
    assert len(completing.get()) == 1
    assert outcomes([waiting]) != [RequestTimeout]


# -- what it says about itself


def test_the_statistics_say_what_is_going_on(small: Store, held: HeldEngine) -> None:
    replies = fill(small, held)
    seen = small.statistics()
    assert (seen.seq, seen.commits, seen.groups, seen.failure) == (1, 1, 1, None)
    assert [(shard.index, shard.in_flight, shard.epoch) for shard in seen.shards] == [(0, 8, 0)]
    held.inner.conflict_next("match:t3_a")
    held.let_go()
    outcomes(replies)
    drained(small)
    seen = small.statistics()
    assert (seen.seq, seen.commits) == (9, 9)
    assert [(shard.in_flight, shard.epoch) for shard in seen.shards] == [(0, 1)]
    assert seen.size_bytes > 0
