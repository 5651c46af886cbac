"""A store with all kinds of things that are due, and a cleanup that is killed at one of its steps."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from children import Report
from games import begin, begin_round, play

from pictact_actors import RecordAnalytics, Store, StoreConfig, archiving
from pictact_actors.storage import archive as archives
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.testing import ManualClock

T0 = 1_700_000_000.0
DAY_S = 86_400.0
LATER = T0 + 31 * DAY_S
"""When the completed match, the cancelled one, the details of both and of the one that goes on are due."""
CONFIG = StoreConfig(
    journal_segment_bytes=256 * 1024,
    state_buffer_bytes=256 * 1024,
    request_timeout_s=30.0,
    cleanup_interval_s=3_600.0,
    cleanup_step=3,
    shards=2,
)
"""Small steps, and nobody cleans up but who is told to."""
LINES_MAX = 8
"""Lines of a file: a cleanup makes several."""
POSTS = ("t3_done", "t3_off", "t3_on")
DETAILS = {"t3_done": 5, "t3_off": 4, "t3_on": 9}
PLAYERS = ("ann", "bob", "cat", "dan")


def opened(path: Path, now: float = LATER) -> Store:
    return Store.open(path, config=CONFIG, clock=ManualClock(now))


def prepare(path: Path) -> Counter[Any]:
    """Play and observe; return every detail, once."""
    with Store.open(path, config=CONFIG, clock=(clock := ManualClock(T0))) as store:
        begin(store, *POSTS)
        for post_id in POSTS:
            begin_round(store, post_id=post_id)
            play(store, dict.fromkeys(PLAYERS, 5), post_id)
        for number in range(max(DETAILS.values())):
            clock.advance(60)
            observe(store, [post_id for post_id, count in DETAILS.items() if number < count], number)
        for number in range(4):
            store.add_trophy("ann", f"trophy{number}", request_id=f"r{number}")
        store.complete_match("t3_done", request_id="over")
        store.cancel_match("t3_off")
        return live(store)


def observe(store: Store, post_ids: Iterable[str], number: int) -> None:
    messages = [RecordAnalytics(post_id, invalid_rate=number / 7, avg_solve_time=number) for post_id in post_ids]
    for reply in store.submit(messages):
        reply.get()


def live(store: Store) -> Counter[Any]:
    """The details that are still in a store."""
    details = (record.to_dict() for _, record in store.scan("observation:"))
    return Counter((at["postId"], at["seq"], at["createdAt"], at["invalidRate"], at["subreddit"]) for at in details)


def archived(path: Path) -> Counter[Any]:
    """The details in the archive, read as anybody would; there must be nothing else in it."""
    found: Counter[Any] = Counter()
    for file in sorted(at for at in (path / "archive").glob("*") if at.is_file()):
        assert file.name.endswith(".jsonl.gz"), f"{file.name} was left behind"
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for at in map(json.loads, lines):
                found[at["postId"], at["seq"], at["observedAt"], at["invalidRate"], at["subreddit"]] += 1
    return found


def counted(store: Store) -> Counter[str]:
    """What the audit says was removed, by kind of record."""
    removed: Counter[str] = Counter()
    for entry in store.audit():
        removed.update(entry.removed)
    return removed


@dataclass
class Fuse:
    """Ends the process at a step, as a power switch would; counts them all if it is never to burn (0)."""

    burns_at: int
    steps: list[str] = field(default_factory=list)
    lit: bool = False

    def step(self, name: str) -> None:
        if self.lit:
            self.steps.append(name)
            if len(self.steps) == self.burns_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        """Burn before or after a function is called."""
        real: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            self.step(f"before {name}")
            result = real(*args, **options)
            self.step(f"after {name}")
            return result

        setattr(owner, name, call)


def clean(report: Report, path: Path, burns_at: int, from_the_opening: bool) -> None:  # noqa: FBT001 - arguments of a process
    """Clean up until the fuse burns; report the steps there are if it does not."""
    fuse = Fuse(burns_at, lit=from_the_opening)
    archiving._LINES_MAX = LINES_MAX
    for owner, name in (
        (archiving, "line_of"),
        (archives, "_write"),
        (archives.Archive, "write"),
        (archives.Archive, "lines"),
        (archives.Archive, "finish"),
        (archives, "sync_directory"),
        (Path, "rename"),
        (EmbeddedEngine, "commit"),
        (EmbeddedEngine, "publish"),
    ):
        fuse.around(owner, name)
    store = opened(path)
    fuse.lit = True
    store.cleanup()
    fuse.lit = False
    report.send("steps", fuse.steps)
    store.close()
