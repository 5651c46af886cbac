"""A store in which much is due, and a child that cleans it up until it is killed at a commit of its choice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from children import Report
from games import begin, begin_round, play

from pictact_actors import Store, StoreConfig
from pictact_actors.model import keys
from pictact_actors.model.removal import goes_with
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.engine import Commit
from pictact_actors.testing import ManualClock

NOW = 1_700_000_000.0
DAY_S = 86_400.0
DUE = NOW + 100 * DAY_S
CONFIG = StoreConfig(
    journal_segment_bytes=64 * 1024,
    shards=2,
    cleanup_interval_s=1_000 * DAY_S,
    cleanup_step=3,
    observation_archive=False,
)
OVER, IDLE, LIVE = ("t3_done", "t3_off"), "t3_idle", "t3_live"
POSTS = (*OVER, IDLE, LIVE)
PLAYERS = tuple(f"u{number}" for number in range(7))


def opened(path: Path) -> Store:
    """Open it when everything but one match is due; nobody cleans up by himself."""
    return Store.open(path, config=CONFIG, clock=ManualClock(DUE))


def prepare(path: Path) -> dict[str, Any]:
    """Play matches that end, one that is forgotten, and one that goes on; return what lasts."""
    clock = ManualClock(NOW)
    with Store.open(path, config=CONFIG, clock=clock) as store:
        for post_id in POSTS[:-1]:
            begin(store, post_id, request_id="created")
            begin_round(store, 1, post_id)
            play(store, {user: place for place, user in enumerate(PLAYERS)}, post_id)
            store.record_analytics(post_id, invalid_rate=0.5)
        store.complete_match(OVER[0], trophies={"u1": ["cup"]})
        store.cancel_match(OVER[1])
        for number in range(4):
            store.add_trophy("u2", f"t{number}", request_id=f"r{number}")
        clock.set(DUE - 1)
        begin(store, LIVE)
        play(store, {"u1": 5}, LIVE)
        return lasting(store)


def lasting(store: Store) -> dict[str, Any]:
    """What players have for ever."""
    return {**dict(store.scan("lifetime:")), **dict(store.scan("history:"))}


def clean_until(report: Report, path: Path, number: int, place: str) -> None:
    """Clean up, and be killed before or after the commit of a number becomes durable."""
    commit_for_real = EmbeddedEngine.commit
    count = 0

    def commit(engine: EmbeddedEngine, commits: Sequence[Commit], ts: float, mark: float) -> int:
        nonlocal count
        count += 1
        if (count, place) == (number, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        seq = commit_for_real(engine, commits, ts, mark)
        if (count, place) == (number, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return seq

    EmbeddedEngine.commit = commit  # type: ignore[method-assign]
    with opened(path) as store:
        store.cleanup()
    report.send("finished", count)


def left_of(store: Store, post_id: str) -> Counter[str]:
    """How many records of each kind are stored of a match, seen or not."""
    found = (key for key, _ in store.runtime.engine.scan("") if not keys.is_index(key))
    return Counter(key.split(":")[0] for key in found if goes_with((post_id,), key))


def seen_of(store: Store, post_id: str) -> Counter[str]:
    """How many of them anybody sees."""
    return Counter(key.split(":")[0] for key, _ in store.scan("") if goes_with((post_id,), key))


def removed_of(store: Store, post_id: str) -> Counter[str]:
    """How many the audit says are removed."""
    return sum((Counter(entry.removed) for entry in store.audit() if entry.post_id == post_id), Counter())
