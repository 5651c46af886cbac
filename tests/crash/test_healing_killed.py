"""Healing is killed at every step on the disk, and taken up again: the end is the same as if it had not been."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty import Killed, faulty_os
from folded import CLOCK, CONFIG, Folded

from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.truth import layer, segment

STEPS_MAX = 1_000
CALLS = ("open", "fsync", "pwrite", "posix_fallocate")


class Interruption:
    """Lets so many steps on the disk pass, and then keeps what a kill would leave."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, passing: int) -> None:
        self._path = path
        self._passing = passing
        self.left = path.with_name("left")
        self.over = False
        disk = faulty_os(monkeypatch, layer, leveldb, segment)
        for name in CALLS:
            monkeypatch.setattr(disk, name, self._counted(getattr(os, name)), raising=False)
        for name in ("rename", "mkdir", "unlink", "rmdir"):
            monkeypatch.setattr(Path, name, self._counted(getattr(Path, name)))
        monkeypatch.setattr(shutil, "rmtree", self._counted(shutil.rmtree))

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            if self.over:
                return step(*args, **options)  # what it does to end in peace does not matter any more
            if not self._passing:
                self.over = True
                shutil.copytree(self._path, self.left)
                raise Killed
            self._passing -= 1
            return step(*args, **options)

        return counted


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Folded:
    """A directory with parts, runs and segments, closed in peace."""
    folded = Folded(tmp_path_factory.mktemp("layered") / "game-data")
    folded.fill_segments(2, keys=60)
    folded.reclaim()
    folded.fill_segments(2, keys=60)
    folded.fold()
    folded.fill_segments(1, keys=60)
    folded.engine.close()
    return folded


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


HARMS: dict[str, Callable[[Path], None]] = {
    "a layer": lambda path: halve(max((path / "base").iterdir())),
    "a full segment": lambda path: halve(min((path / "journal").iterdir())),
    "the last segment": lambda path: max((path / "journal").iterdir()).unlink(),
    "the state": lambda path: (path / "state" / "CURRENT").unlink(),
    "the identity": lambda path: halve(path / "STORE"),
}


UNKNOWN = ("the last segment", "killed")
"""Nothing says where the journal ended: it is refused."""
CASES = [(harm, left) for harm in HARMS for left in ("closed", "killed") if (harm, left) != UNKNOWN]


@pytest.mark.parametrize(("harm", "left"), CASES)
@pytest.mark.parametrize("stride", [12, pytest.param(1, marks=pytest.mark.long)])
def test_healing_that_is_killed_at_any_step_ends_well(
    layered: Folded, tmp_path: Path, harm: str, left: str, stride: int
) -> None:
    for passing in range(random.randrange(stride), STEPS_MAX, stride):
        home = tmp_path / str(passing)
        path = home / "game-data"
        shutil.copytree(layered.path, path)
        HARMS[harm](path)
        if left == "killed":
            (path / "CLOSED").unlink()
        if not interrupted(path, passing):
            break
        whole(home / "left", layered.records)
        shutil.rmtree(home)
    assert 10 < passing < STEPS_MAX - stride


def interrupted(path: Path, passing: int) -> bool:
    """Open a directory and be killed after so many steps; return whether it came to that."""
    with pytest.MonkeyPatch.context() as patch:
        interruption = Interruption(patch, path, passing)
        try:
            EmbeddedEngine.open(path, CONFIG, CLOCK).close()
        except Killed:
            return True
    return interruption.over


def whole(path: Path, records: dict[str, bytes]) -> None:
    """Open what is left, twice: everything is there, and goes on."""
    for _ in range(2):
        left = Folded(path, records=dict(records))
        assert left.problems() == [], path
        left.engine.close()
    assert not [name for name in ("healed", "healed.new", "state.old", "state.rebuilt") if (path / name).exists()]
