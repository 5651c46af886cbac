"""Torn and reordered blocks: of what was not synced, a power cut leaves any sectors, in whatever order they came.

Three copies of a directory are taken: one from before, one in which everything acknowledged is synced, and one in which
another large write waits for its sync. From these, directories are put together sector by sector as a cut may leave
them: of the journal any sectors of the write that waits, of LevelDB's log, which is never synced, any of all.
"""

from __future__ import annotations

import logging
import random
import shutil
from pathlib import Path

import pytest
from copying import copy_of
from games import POST, points_of
from images import CONFIG
from probes import Gate, opened, playing
from waiting import until

from pictact_actors import Score
from pictact_actors.model.commands import PutMany
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.state import state
from pictact_actors.storage.truth import segment

SECTOR_BYTES = 512
PLAYERS = {f"player{number:02}": number for number in range(60)}


def copied(path: Path, name: str) -> Path:
    return copy_of(path, path.with_name(name))


def mixed(older: bytes, newer: bytes, rng: random.Random) -> bytes:
    """Take each sector from one or the other; what the older one does not have is zeros, or not there."""
    share = rng.choice((0.1, 0.5, 0.9, 1.0))
    older = older.ljust(len(newer), b"\0")
    starts = range(0, len(newer), SECTOR_BYTES)
    taken = (newer if rng.random() < share else older for _ in starts)
    data = b"".join(source[at : at + SECTOR_BYTES] for source, at in zip(taken, starts, strict=True))
    return data if rng.random() < 0.5 else data[: rng.randrange(len(data) + 1)]


def cut(before: Path, synced: Path, written: Path, to: Path, rng: random.Random) -> None:
    """Put together what a cut may leave: the journal keeps its size, which was synced."""
    copy_of(written, to)
    for file in (to / "journal").glob("*.journal"):
        data = mixed((synced / "journal" / file.name).read_bytes(), file.read_bytes(), rng)
        whole = (synced / "journal" / file.name).read_bytes()
        file.write_bytes(data + whole[len(data) :])
    for file in (to / "state").glob("*.log"):
        old = before / "state" / file.name
        file.write_bytes(mixed(old.read_bytes() if old.exists() else b"", file.read_bytes(), rng))


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """The directory before, with everything acknowledged synced, and with a write that waits for its sync."""
    monkeypatch.setattr(state, "_GATHER_S", 0.01)
    path = tmp_path / "data"
    with playing(path, CONFIG) as store:
        engine = store.runtime.engine
        assert isinstance(engine, EmbeddedEngine)
        before = copied(path, "before")
        for user, points in PLAYERS.items():
            store.award_points(POST, user, points)
        until(lambda: not engine._state.pending())
        synced = copied(path, "synced")
        gate = Gate()
        monkeypatch.setattr(segment, "os", gate)
        late = {f"score:{POST}:late{number}": Score(POST, f"late{number}", 1) for number in range(60)}
        reply = store.submit([PutMany(late, "late")])[0]
        assert gate.entered.wait(20)
        written = copied(path, "written")
        gate.may_pass.set()
        reply.get()
    return before, synced, written


def cut_again_and_again(copies: tuple[Path, Path, Path], home: Path, times: int) -> None:
    seed = random.getrandbits(32)
    logging.getLogger(__name__).warning("seed %d", seed)
    rng = random.Random(seed)
    acknowledged = {"ann": 1, **PLAYERS}
    everything = {**acknowledged, **{f"late{number}": 1 for number in range(60)}}
    for _ in range(times):
        cut(*copies, home / "cut", rng)
        with opened(home / "cut") as store:
            assert store.check() == []
            assert points_of(store) in (acknowledged, everything)
        shutil.rmtree(home / "cut")


def test_any_sectors_of_what_was_not_synced_make_no_difference(copies: tuple[Path, Path, Path], tmp_path: Path) -> None:
    cut_again_and_again(copies, tmp_path, 60)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_any_sectors_of_what_was_not_synced_make_no_difference_for_long(
    copies: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    cut_again_and_again(copies, tmp_path, 5_000)
