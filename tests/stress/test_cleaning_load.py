"""Cleaning up while people play: a lot is due, and nobody who plays has to wait for it."""

from __future__ import annotations

import logging
import threading
from collections import Counter

import pytest
from bystanders import TABLES, Evening, playing
from expiring import NOW, QUIET, WEEK_S, lasting, removals, stored
from games import begin, play
from opening import Opener
from waiting import until

from pictact_actors import Lifetime, Match, PlayedMatch, Score, ShardFailed, Store
from pictact_actors.janitor import CleanupReport
from pictact_actors.model import keys
from pictact_actors.testing import ManualClock

BATCH = 5_000
SMALL = {"journal_segment_bytes": 16 * 1024 * 1024}


def fill(store: Store, matches: int, players: int) -> None:
    """Put matches that are over, and the history of one of their players."""
    for number in range(matches):
        post_id = f"old{number:05}"
        over = Match(post_id, "completed", "pics", completed_at=NOW, expires_at=NOW + WEEK_S)
        store.put_many({over.key: over, f"history:ann:{post_id}": PlayedMatch("ann", post_id, 1, completed_at=NOW)})
        for start in range(0, players, BATCH):
            users = [f"u{place:06}" for place in range(start, min(players, start + BATCH))]
            store.put_many({f"score:{post_id}:{user}": Score(post_id, user, 1) for user in users})
    store.put_many({"lifetime:ann": Lifetime("ann", 0, matches, matches)})
    for table in range(TABLES):
        begin(store, f"live{table}")


def clean_while_they_play(store: Store, clock: ManualClock) -> tuple[CleanupReport, Evening]:
    """Let everything become due, and clean it up."""
    kept = lasting(store)
    with playing(store) as evening:
        clock.advance(WEEK_S)
        before = evening.answers()
        report = store.cleanup()
        assert evening.answers() > before, "somebody got no answer all the while"
    assert lasting(store) == kept
    assert {key.split(":")[1] for key in stored(store) if key.startswith(("match:", "score:"))} == {
        f"live{table}" for table in range(TABLES)
    }
    return report, evening


@pytest.mark.parametrize(("matches", "players"), [(200, 99), (2, 9_999)], ids=["many matches", "large matches"])
def test_people_play_on_while_twenty_thousand_records_are_removed(
    open_store: Opener, matches: int, players: int
) -> None:
    clock = ManualClock(NOW)
    store: Store = open_store(clock=clock, **QUIET)
    fill(store, matches, players)
    report, _ = clean_while_they_play(store, clock)
    assert (report.matches, report.records) == (matches, matches * (players + 1))
    assert all(entry.done and entry.removed == {"score": players, "match": 1} for entry in removals(store))


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("matches", "players"), [(1_000, 999), (10, 99_999)], ids=["many matches", "large matches"])
def test_a_million_records_are_removed_while_nobody_waits_for_long(
    open_store: Opener, matches: int, players: int
) -> None:
    clock = ManualClock(NOW)
    store: Store = open_store(clock=clock, **{**QUIET, **SMALL})
    fill(store, matches, players)
    with playing(store) as usual:
        until(lambda: usual.answers() > 100)
    report, evening = clean_while_they_play(store, clock)
    assert report.records == matches * (players + 1)
    figures = f"p95 {evening.p95_s() * 1000:.1f} ms in {report.seconds:.0f} s, usually {usual.p95_s() * 1000:.1f} ms"
    logging.getLogger(__name__).warning(figures)
    assert evening.p95_s() < 0.020, figures


def test_cleanups_at_the_same_time_remove_everything_once(open_store: Opener) -> None:
    clock = ManualClock(NOW)
    store: Store = open_store(":memory:", clock=clock, cleanup_step=7, **QUIET)
    fill(store, 20, 30)
    clock.advance(WEEK_S)
    reports: list[CleanupReport] = []
    cleaners = [threading.Thread(target=lambda: reports.append(store.cleanup())) for _ in range(6)]
    for cleaner in cleaners:
        cleaner.start()
    for cleaner in cleaners:
        cleaner.join()
    assert sum(report.records for report in reports) == 20 * 31
    assert sum(report.matches for report in reports) == 20
    assert Counter(entry.removed["score"] for entry in removals(store)) == {30: 20}


def test_the_janitor_comes_by_itself(open_store: Opener) -> None:
    clock = ManualClock(NOW)
    store: Store = open_store(clock=clock, cleanup_interval_s=0.01)
    fill(store, 3, 10)
    play(store, {"ann": 1}, "live0")
    clock.advance(WEEK_S)
    until(lambda: len([entry for entry in removals(store) if entry.done]) == 3)
    assert store.score("live0", "ann").points == 1


def test_a_store_that_closes_does_not_wait_for_all_that_is_due(open_store: Opener) -> None:
    clock = ManualClock(NOW)
    store: Store = open_store(clock=clock, cleanup_interval_s=0.01, cleanup_step=1)
    fill(store, 10, 300)
    clock.advance(WEEK_S)
    until(lambda: removals(store))
    store.close()
    again: Store = open_store(clock=clock, **QUIET)
    assert len([key for key in stored(again) if key.startswith("score:old")]) > 0
    assert again.cleanup().records > 0
    assert sum(entry.removed["score"] for entry in removals(again)) == 3_000


def test_a_shard_that_cannot_clean_up_keeps_no_other_from_it(open_store: Opener) -> None:
    clock = ManualClock(NOW)
    store: Store = open_store(":memory:", clock=clock, shards=2, restarts_max=1, **QUIET)
    fill(store, 20, 10)
    clock.advance(WEEK_S)
    link = store.runtime.links[0]
    for _ in range(2):
        failing = link.actor
        store.runtime.supervisor.restart(link, "a test")
        until(lambda failing=failing: link.actor is not failing or link.failure is not None)  # type: ignore[misc]
    until(lambda: link.failure is not None)
    with pytest.raises(ShardFailed):
        store.cleanup()
    assert {keys.shard_of(f"match:{entry.owner}", 2) for entry in removals(store)} == {1}
    assert not [
        key
        for key in stored(store)
        if key.startswith("score:") and store.runtime.link_of(f"match:{key.split(':')[1]}") is not link
    ]
