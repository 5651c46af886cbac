"""What is measured of writes and reads, and what stands for what."""

from __future__ import annotations

import pytest
from engines import HeldEngine, HeldShard, drained
from games import begin, play
from opening import MEMORY, Opener

from pictact_actors import AwardPoints, NotFound, Store
from pictact_actors.clock import monotonic
from pictact_actors.runtime.meter import Meter, ReadMeter
from pictact_actors.runtime.reply import Call
from pictact_actors.runtime.staging import Staged, rejected

LONG_S = 60.0


def counted(store: Store, kind: str = "commands") -> dict[str, int]:
    return {one.name: one.count for one in getattr(store.statistics(), kind)}


def answers(count: int, age_s: float = 0.0) -> list[Staged]:
    """Commands that were sent so long ago."""
    sent = monotonic() - age_s
    calls = (Call(AwardPoints("t3_a", f"user{place}", 1), LONG_S, sent + LONG_S) for place in range(count))
    return [rejected(call, NotFound("match:t3_a")) for call in calls]


def test_every_command_counts_once_however_many_came_together(memory: Store) -> None:
    begin(memory)
    play(memory, {f"user{place}": 1 for place in range(100)})
    drained(memory)
    assert counted(memory) == {"create_match": 1, "award_points": 100}


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7, 100, 4_096])
def test_a_few_of_a_batch_stand_for_all_of_it(count: int) -> None:
    meter = Meter(LONG_S)
    meter.answered(answers(count), monotonic())
    meter.add_up()
    assert sum(meter.commands["award_points"].counts) == count


def test_a_few_of_very_many_batches_stand_for_the_others() -> None:
    meter = Meter(LONG_S)
    for _ in range(3_000):
        meter.answered(answers(1), monotonic())
    meter.add_up()
    assert sum(meter.commands["award_points"].counts) == 3_000


def test_what_waits_to_be_added_up_is_bounded() -> None:
    meter = Meter(LONG_S)
    for _ in range(10_000):
        meter.answered(answers(1), monotonic())
    assert len(meter._batches) <= 4_096
    meter.add_up()
    assert sum(meter.commands["award_points"].counts) == 10_000


def test_what_was_refused_is_measured_as_well(memory: Store) -> None:
    with pytest.raises(NotFound):
        memory.award_points("t3_none", "ann", 1)
    drained(memory)
    assert counted(memory) == {"award_points": 1}


def test_a_commit_that_is_held_up_is_a_slow_sync(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, write_alarm_s=1e-6)
    begin(store)
    drained(store)
    store.runtime.committer.meter.slow.clear()
    held.hold()
    reply = store.ask(AwardPoints("t3_a", "ann", 1))
    held.wait_for_commit()
    since = monotonic()
    while monotonic() < since + 0.01:
        pass
    held.let_go()
    reply.get()
    drained(store)
    (slow,) = store.runtime.committer.meter.slow
    assert (slow.name, slow.group, slow.calls) == ("award_points", "match:t3_a", 1)
    assert max(slow.phases, key=slow.phases.__getitem__) == "sync"
    assert sum(slow.phases.values()) == pytest.approx(slow.seconds)


def test_a_shard_that_stands_still_is_a_long_queue(open_store: Opener) -> None:
    store = open_store(MEMORY, write_alarm_s=0.01, shards=1)
    with HeldShard(store.runtime.links[0]) as shard:
        reply = store.ask(AwardPoints("t3_none", "ann", 1))
        since = monotonic()
        while monotonic() < since + 0.02:
            pass
        shard.let_go()
    with pytest.raises(NotFound):
        reply.get()
    drained(store)
    (slow,) = store.runtime.committer.meter.slow
    assert max(slow.phases, key=slow.phases.__getitem__) == "queue"


def test_who_waited_for_a_lock_is_measured_as_such(memory: Store) -> None:
    begin(memory)
    with memory.transaction() as tx:
        tx.award_points("t3_a", "ann", 1)
        waiting = memory.ask(AwardPoints("t3_a", "bob", 1))
    waiting.get()
    drained(memory)
    assert counted(memory, "phases")["locks"] == 1
    assert counted(memory, "phases")["travelling"] == 1


def test_a_slow_batch_says_how_many_were_slow() -> None:
    meter = Meter(1.0)
    meter.answered([*answers(3, age_s=2.0), *answers(5)], monotonic())
    (slow,) = meter.slow
    assert (slow.calls, round(slow.seconds)) == (3, 2)


def test_reads_of_one_kind_stand_for_each_other() -> None:
    meter = ReadMeter(LONG_S)
    for _ in range(80):
        meter.add("leaderboard", monotonic())
    assert sum(meter.queries["leaderboard"].counts) == 80


def test_every_slow_read_is_noted() -> None:
    meter = ReadMeter(0.1)
    meter.add("player", monotonic() - 1.0)
    meter.add("player", monotonic())
    assert [slow.name for slow in meter.slow] == ["player"]


def test_a_cached_look_up_is_counted_and_not_measured(memory: Store) -> None:
    begin(memory)
    before = memory.statistics().cache_reads
    for _ in range(100):
        memory.match("t3_a")
    assert memory.statistics().cache_reads == before + 100
    assert counted(memory, "queries") == {}


def test_a_query_that_raises_is_measured(memory: Store) -> None:
    for _ in range(8):
        with pytest.raises(NotFound):
            memory.leaderboard("t3_none")
    assert "leaderboard" in counted(memory, "queries")


def test_percentiles_are_of_late(memory: Store) -> None:
    begin(memory)
    drained(memory)
    found = memory.statistics()
    assert found.write_p50_s is not None
    assert 0 < found.write_p50_s < LONG_S
    for _ in range(2):
        memory.runtime.committer.meter.turn()
    assert memory.statistics().write_p50_s is None
    assert counted(memory) == {"create_match": 1}
