"""Alarms: an event when the game's limits are missed, that says what was slow, and not too many of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from engines import HeldEngine, HeldShard
from games import begin
from opening import MEMORY, Opener
from waiting import until

from pictact_actors import AwardPoints, Store, StoreConfig
from pictact_actors.runtime.meter import Slow

TINY_S = 1e-6
HUGE_S = 1e6


class Heard:
    """The alarms in the log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self, kind: str) -> list[dict[str, Any]]:
        events = [json.loads(record.getMessage()) for record in tuple(self._caplog.records)]
        return [event for event in events if event.get("kind") == kind]

    def first(self, kind: str) -> dict[str, Any]:
        """Wait for the first of a kind."""
        until(lambda: self(kind))
        return self(kind)[0]


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[Heard]:
    with caplog.at_level(logging.WARNING, "pictact_actors"):
        yield Heard(caplog)


def told(store: Store) -> int:
    return store.statistics().alarms


def test_the_limits_of_the_game_are_the_defaults() -> None:
    config = StoreConfig()
    assert (config.read_alarm_s, config.write_alarm_s, config.stall_alarm_s) == (0.1, 0.2, 5.0)


def test_a_store_in_its_limits_says_nothing(open_store: Opener, heard: Heard) -> None:
    store = open_store(MEMORY, read_alarm_s=HUGE_S, write_alarm_s=HUGE_S)
    begin(store)
    until(lambda: len(store._services.alarms._lags) > 2)
    assert not heard("write")
    assert not heard("stall")
    assert told(store) == 0


def test_a_slow_read_is_told(open_store: Opener, heard: Heard) -> None:
    store = open_store(MEMORY, read_alarm_s=TINY_S, alarm_pause_s=TINY_S)
    begin(store)  # reads too, and one event tells of the slowest

    def of_boards() -> list[dict[str, Any]]:
        store.leaderboard("t3_a")
        return [event for event in heard("read") if event["what"] == "leaderboard"]

    until(of_boards)
    event = of_boards()[0]
    assert (event["event"], event["limit_s"]) == ("limit_missed", TINY_S)


def test_of_many_slow_writes_one_event_tells_until_the_pause_is_over(open_store: Opener, heard: Heard) -> None:
    store = open_store(MEMORY, write_alarm_s=TINY_S, alarm_pause_s=HUGE_S)
    begin(store)
    heard.first("write")
    looks = store._services.alarms._lags
    for user in range(3):
        store.award_points("t3_a", f"user{user}", 1)
    before = len(looks)
    until(lambda: len(looks) > before + 1)
    assert len(heard("write")) == told(store) == 1


def test_after_the_pause_one_event_tells_of_all_that_came_between(open_store: Opener, heard: Heard) -> None:
    store = open_store(MEMORY, write_alarm_s=TINY_S, alarm_pause_s=0.5)
    begin(store)
    heard.first("write")
    for user in range(3):
        store.award_points("t3_a", f"user{user}", 1)
    until(lambda: sum(event["count"] for event in heard("write")) == 4)
    assert len(heard("write")) <= 3


def test_a_shard_that_does_not_go_on_is_told_while_it_lasts(open_store: Opener, heard: Heard) -> None:
    store = open_store(MEMORY, stall_alarm_s=0.05, shards=1, wedged_after_s=5.0)
    with HeldShard(store.runtime.links[0]):
        waiting = store.ask(AwardPoints("t3_none", "ann", 1))
        event = heard.first("stall")
    assert (event["event"], event["slow"], event["what"]) == ("stalled", "deciding", "award_points")
    assert event["group"] == "match:t3_none"
    assert event["seconds"] >= 0.05
    with pytest.raises(Exception, match="t3_none"):
        waiting.get()


def test_a_commit_that_does_not_end_is_told_as_a_slow_sync(open_store: Opener, held: HeldEngine, heard: Heard) -> None:
    store = open_store(engine=held, stall_alarm_s=0.05, write_alarm_s=0.05)
    begin(store)
    held.hold()
    reply = store.ask(AwardPoints("t3_a", "ann", 1))
    assert heard.first("stall")["slow"] == "sync"
    held.let_go()
    reply.get()
    event = heard.first("write")
    assert (event["slow"], event["what"], event["group"]) == ("sync", "award_points", "match:t3_a")
    assert event["phases"]["sync"] >= 0.05


def test_a_wait_for_locks_is_told_with_who_waits(open_store: Opener, heard: Heard) -> None:
    store = open_store(MEMORY, stall_alarm_s=0.05)
    begin(store, "t3_a", "t3_b")
    with store.transaction() as first:
        first.award_points("t3_a", "ann", 1)
        waiting = store.ask(AwardPoints("t3_a", "bob", 1))
        event = heard.first("stall")
        assert event["what"] == "award_points"
    waiting.get()


def test_how_late_threads_wake_up_is_known_and_told_with_the_rest(open_store: Opener, heard: Heard) -> None:
    store = open_store(MEMORY, write_alarm_s=TINY_S)
    store._services.alarms._look(500.0)
    assert store.statistics().wake_lag_s == 500.0
    begin(store)
    assert heard.first("write")["wake_lag_s"] == 500.0


def test_what_cannot_be_looked_at_is_told_and_the_next_look_comes(
    memory: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(memory.runtime.waits, "current", lambda: 1 / 0)
        until(lambda: any("alarms_failed" in record.getMessage() for record in caplog.records))
    looks = len(memory._services.alarms._lags)
    until(lambda: len(memory._services.alarms._lags) > looks)


def test_the_slowest_of_several_is_told(memory: Store, heard: Heard) -> None:
    memory.runtime.reads.slow.extend(Slow(1, seconds, "player", None, {}) for seconds in (0.2, 0.9, 0.4))
    event = heard.first("read")
    assert (event["count"], event["seconds"]) == (3, 0.9)
