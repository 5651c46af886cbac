"""A store with a bit of everything, at rest or killed, whose files are harmed one by one; and what it has to hold."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from copying import copy_of
from games import begin, play

from pictact_actors import Store, StoreConfig
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.testing import ManualClock

CONFIG = StoreConfig(
    journal_segment_bytes=4096,
    journal_bytes_max=4 * 4096,
    state_buffer_bytes=64 * 1024,
    state_cache_bytes=64 * 1024,
    cleanup_interval_s=3_600.0,
    shards=1,
)
NOW = 1_700_000_000.0
DAY_S = 86_400.0
BOARDS = ("total_wins", "matches_played", "total_points")
HOLD_NOTHING = ("LOCK", "ballast", "state/LOCK", "state/LOG", "state/LOG.old")
"""Files without which nothing is missing: nobody has to notice."""
MEMORY = Path("/dev/shm")  # noqa: S108 - directories of our own in it
Seen = dict[str, Any]
Harm = Callable[[Path, Path], bool]
"""Harms a file, or puts an older copy in its place; False if that would change nothing."""


@dataclass(frozen=True)
class Sample:
    """A directory, how it was before its last commits, and all that it has to show."""

    path: Path
    older: Path
    seen: Seen

    def files(self) -> list[str]:
        return sorted(file.relative_to(self.path).as_posix() for file in self.path.rglob("*") if file.is_file())


def opened(path: Path, days: float = 40) -> Store:
    return Store.open(path, config=CONFIG, clock=ManualClock(NOW + days * DAY_S))


def seen_in(store: Store) -> Seen:
    """Every record, and every board."""
    boards = {by: store.lifetime_leaderboard(by, limit=1_000) for by in BOARDS}
    return {**dict(store.scan("")), **boards, "seq": store.runtime.engine.seq}


def season(store: Store, name: str, players: int) -> None:
    """A match from its beginning to its end, with details and trophies."""
    begin(store, name)
    play(store, {f"player{number:03}": number + 0.5 for number in range(players)}, name)
    for number in range(10):
        store.record_analytics(name, invalid_rate=number / 10)
    store.complete_match(name, trophies={"player001": [f"of {name}"]})


def played(home: Path) -> Iterator[Sample]:
    """A store with journal, base (parts and runs), state, archive and ballast: first as at rest, then as killed."""
    path, older = home / "game-data", home / "older"
    with opened(path, days=0) as store:
        for number in range(4):
            season(store, f"t3_old{number}", 20)
    with at_rest(path) as engine:
        exhaust(engine.reclaim(urgent=True))
    with opened(path) as store:
        store.cleanup()
        season(store, "t3_now", 25)
        store.runtime.engine.take_ballast()
    copy_of(path, older)
    with opened(path) as store:
        season(store, "t3_then", 30)
        season(store, "t3_last", 10)
        seen = seen_in(store)
    with at_rest(path) as engine:
        exhaust(engine._folding._fold(3 * CONFIG.segment_bytes))  # as the store does it after a while
        exhaust(engine._folding._clear())
    copy_of(path, home / "rest")
    yield Sample(home / "rest", older, seen)
    with opened(path) as store:
        season(store, "t3_late", 12)
        engine = cast("EmbeddedEngine", store.runtime.engine)
        assert engine._state.settle(engine.seq, 10)  # nothing is only in memory
        seen = seen_in(store)
        copy_of(path, home / "killed")
        yield Sample(home / "killed", older, seen)


@contextmanager
def at_rest(path: Path) -> Iterator[EmbeddedEngine]:
    """The engine alone, without the threads of a store."""
    engine = EmbeddedEngine.open(path, CONFIG, ManualClock(NOW + 40 * DAY_S))
    try:
        yield engine
    finally:
        engine.close()


def exhaust(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


# -- harms


def flipped(share: float) -> Harm:
    """Turn a bit over, at a part of what is written."""

    def flip(path: Path, _: Path) -> bool:
        data = bytearray(path.read_bytes())
        if data:
            data[int(share * (max(1, len(data.rstrip(b"\0"))) - 1))] ^= 8
            path.write_bytes(data)
        return bool(data)

    return flip


def truncated(share: float) -> Harm:
    """Keep only so much of what is written."""

    def truncate(path: Path, _: Path) -> bool:
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data.rstrip(b"\0")))])
        return bool(data)

    return truncate


def zeroed(path: Path, _: Path) -> bool:
    path.write_bytes(bytes(path.stat().st_size))
    return True


def deleted(path: Path, _: Path) -> bool:
    path.unlink()
    return True


def swapped(path: Path, older: Path) -> bool:
    if not older.exists() or older.read_bytes() == path.read_bytes():
        return False
    shutil.copyfile(older, path)
    return True


HARMS: dict[str, Harm] = {
    "first byte": flipped(0),
    "a byte of the beginning": flipped(0.03),
    "a byte of the first half": flipped(0.4),
    "a byte of the second half": flipped(0.7),
    "last byte": flipped(1),
    "nothing left": truncated(0),
    "half of it left": truncated(0.5),
    "most of it left": truncated(0.97),
    "zeros": zeroed,
    "deleted": deleted,
    "older copy": swapped,
}


def harmed_at_random(path: Path, rng: random.Random) -> str:
    """Turn a bit over anywhere, zero a stretch, cut a file off, or delete it; return what was done."""
    data = bytearray(path.read_bytes())
    written = len(data.rstrip(b"\0"))
    at = rng.randrange(max(1, written))
    harm = rng.choice(("flip", "flip", "flip", "zeros", "cut", "delete")) if written else "delete"
    match harm:
        case "flip":
            data[at] ^= 1 << rng.randrange(8)
        case "zeros":
            stretch = data[at : at + rng.randint(1, 600)]
            data[at : at + len(stretch)] = bytes(len(stretch))
        case "cut":
            del data[at:]
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes(data)
    return f"{harm} at byte {at}"


def kind_of(name: str) -> str:
    """What a file is for: its name without numbers."""
    return re.sub(r"\d+", "", name)


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """A directory without a disk, where there is one: what is harmed here is harmed by us, and syncs take time."""
    if not os.access(MEMORY, os.W_OK):
        yield otherwise
        return
    home = Path(mkdtemp(prefix="harmed-", dir=MEMORY))
    try:
        yield home
    finally:
        shutil.rmtree(home)
