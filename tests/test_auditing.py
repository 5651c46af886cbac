"""The audit: what was removed, when, why and how much, for as long as it is kept; and one event for each cleanup."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from expiring import DAY_S, NOW, QUIET, WEEK_S, play_match, stored
from games import begin
from opening import MEMORY, Opener

from pictact_actors import AsyncStore, Audit, CleanupReport, InvalidValue, Store, StoreConfig
from pictact_actors.testing import ManualClock

MONTH_S = 30 * DAY_S


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=[MEMORY, None], ids=["memory", "directory"])
def store(request: pytest.FixtureRequest, open_store: Opener, clock: ManualClock) -> Store:
    return open_store(
        request.param, clock=clock, audit_expiry_s=100 * DAY_S, audit_entries_min=1, cleanup_step=2, **QUIET
    )


def over(store: Store, *post_ids: str) -> None:
    for post_id in post_ids:
        play_match(store, post_id)
        store.complete_match(post_id)


def told(entry: Audit) -> tuple[Any, ...]:
    return entry.post_id, entry.reason, dict(entry.removed), entry.due_at, entry.created_at, entry.done


def test_a_match_has_an_entry_that_says_everything(store: Store, clock: ManualClock) -> None:
    over(store, "t3_a")
    clock.advance(WEEK_S + 5)
    store.cleanup()
    (entry,) = store.audit()
    removed = {"score": 3, "round": 1, "request": 2, "analytics": 1, "match": 1}
    assert told(entry) == ("t3_a", "completed", removed, NOW + WEEK_S, NOW + WEEK_S + 5, True)
    assert (entry.subreddit, entry.theme, entry.updated_at) == ("pics", "sunsets", NOW + WEEK_S + 5)
    assert store.check() == []


def test_a_cleanup_has_one_entry_for_the_requests_it_forgot(store: Store, clock: ManualClock) -> None:
    for number in range(20):
        store.add_trophy(f"user{number % 7}", "gold", request_id=f"r{number}")
    clock.advance(WEEK_S + 2 * 3_600)
    assert store.cleanup() == CleanupReport(records=20, requests=20)
    assert [told(entry) for entry in store.audit()] == [
        (None, "forgotten", {"request": 20}, clock.now(), clock.now(), True)
    ]


def test_entries_come_in_the_order_of_the_removals(store: Store, clock: ManualClock) -> None:
    for post_id in ("t3_b", "t3_a", "t3_c"):
        over(store, post_id)
        clock.advance(DAY_S)
    for day in (WEEK_S, 2 * WEEK_S, MONTH_S + DAY_S):
        clock.set(NOW + day)
        store.cleanup()
    whole = list(store.audit())
    assert [entry.post_id for entry in whole] == ["t3_b", "t3_a", "t3_c", None]
    assert [entry.updated_at for entry in whole] == sorted(entry.updated_at for entry in whole)
    assert list(store.audit(limit=2)) == whole[:2]
    assert list(store.audit(since=NOW + 2 * WEEK_S)) == whole[1:]
    assert list(store.audit(since=NOW + 2 * WEEK_S + 1, limit=1)) == whole[3:]
    assert list(store.audit(since=-1)) == whole
    assert list(store.audit(since=clock.now() + 1)) == []


@pytest.mark.parametrize("asked", [{"since": float("nan")}, {"since": "today"}, {"limit": -1}, {"limit": 1.5}])
def test_what_cannot_be_asked_is_said_at_once(store: Store, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        store.audit(**asked)


def test_the_audit_forgets_after_its_time(store: Store, clock: ManualClock) -> None:
    over(store, "t3_a", "t3_b")
    clock.advance(WEEK_S)
    store.cleanup()
    over(store, "t3_c")
    clock.advance(WEEK_S)
    store.cleanup()
    clock.set(NOW + WEEK_S + 100 * DAY_S)
    assert store.cleanup().audits == 2
    assert [entry.post_id for entry in store.audit()] == ["t3_c", None]
    clock.advance(200 * DAY_S)
    store.cleanup()
    assert [entry.post_id for entry in store.audit()] == [None]
    assert len([key for key in stored(store) if key.startswith(("audit:", "due:"))]) == 2


def test_the_latest_entries_stay_however_old_they_are(open_store: Opener, clock: ManualClock) -> None:
    store = open_store(MEMORY, clock=clock, audit_expiry_s=DAY_S, audit_entries_min=3, **QUIET)
    posts = [f"t3_{number}" for number in range(5)]
    begin(store, *posts)
    for post_id in posts:
        store.cancel_match(post_id)
        clock.advance(1)
    clock.advance(WEEK_S)
    assert store.cleanup().audits == 0
    clock.advance(10_000 * DAY_S)
    assert store.cleanup().audits == 2
    assert [entry.post_id for entry in store.audit()] == posts[2:]
    assert store.cleanup().audits == 0


def test_a_removal_long_after_it_was_due_is_remembered_as_long(store: Store, clock: ManualClock) -> None:
    over(store, "t3_a")
    clock.advance(300 * DAY_S)
    store.cleanup()
    assert store.cleanup().audits == 0
    assert [entry.post_id for entry in store.audit()] == ["t3_a", None]


def test_a_cleanup_reports_and_logs_what_it_did_once(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    over(store, "t3_a", "t3_b")
    store.add_trophy("ann", "gold", request_id="r1")
    clock.advance(MONTH_S + 3_600)
    caplog.set_level(logging.INFO, "pictact_actors")
    report = store.cleanup()
    assert report == CleanupReport(matches=2, records=19, requests=1, details=2)
    assert not store.cleanup()
    events = [json.loads(record.getMessage()) for record in caplog.records if record.name == "pictact_actors"]
    cleanups = [event for event in events if event["event"] == "cleaned_up"]
    assert cleanups == [{"event": "cleaned_up", **report.to_dict()}]


def test_what_the_audit_counts_is_what_went(store: Store, clock: ManualClock) -> None:
    over(store, "t3_a", "t3_b")
    clock.advance(MONTH_S)
    before = [key for key in stored(store) if not key.startswith(("due:", "audit:"))]
    report = store.cleanup()
    after = [key for key in stored(store) if not key.startswith(("due:", "audit:"))]
    counted = sum(sum(entry.removed.values()) for entry in store.audit())
    assert counted == report.records == len(before) - len(after)


def test_an_async_host_cleans_up_and_asks_as_well(clock: ManualClock) -> None:
    async def session() -> None:
        async with AsyncStore.open(MEMORY, clock=clock, config=StoreConfig(**QUIET)) as store:
            await store.create_match("t3_a", subreddit="pics", rounds_total=1, theme="dawn", created_by="mod")
            await store.cancel_match("t3_a")
            clock.advance(WEEK_S)
            assert (await store.cleanup()).matches == 1
            assert [entry.theme async for entry in store.audit(since=NOW, limit=5)] == ["dawn"]

    asyncio.run(session())
