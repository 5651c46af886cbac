"""Power cuts on real file systems: what was acknowledged before the cut is there, and nothing is half there.

A store lies on a loop device with ext4 or xfs. A child works on it and reports every acknowledgement to this process.
At a random moment the power is cut: what was not synced by then is gone, and nothing reaches the disk any more. Only
what was reported before that counts. Then the disk is mounted again, and the store on it has to open by itself.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import amounts
import pytest
from children import CONFIG, FOLDING, Child, open_and_write
from cleaning import clean, prepare
from games import POST
from killer import Killer, evening_streams, kill_an_evening
from loopdisk import LoopDisk, loop_disk
from test_cleaning import verify as verify_cleaned
from workloads import complete_matches, completed_in, write_and_close

from pictact_actors import CreateMatch, Store, StoreConfig

IN_FLIGHT = 500
"""Commands that a host may have finished between the last look at its reports and the end of the power."""
SHORT_S, LONG_S = 0.03, 0.15
FILE_SYSTEMS = ("ext4", "xfs")


@pytest.fixture(params=FILE_SYSTEMS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path, request.param) as disk:
        yield disk


class Cutter(Killer):
    """Ends children with the power of their disk."""

    disk: LoopDisk

    def end(self, child: Child) -> None:
        for event in child.events(0):
            self._note(event)
        self.disk.cut()

    def kill(self, child: Child) -> None:
        super().kill(child)
        self.disk.power_up()


def cut(disk: LoopDisk, child: Child, within_s: float, after: str | None = None) -> list[tuple[Any, ...]]:
    """Cut the power some time after a child began, or reported something; return all that it had reported by then."""
    reported = []
    with child:
        for event in child.events() if after else ():
            reported.append(event)
            if event[0] == after:
                break
        reported += child.events(random.uniform(0, within_s))
        disk.cut()
    disk.power_up()
    return reported


# -- a live evening


def cut_an_evening(disk: LoopDisk, cuts: int, config: StoreConfig) -> None:
    seed = random.getrandbits(32)
    cutter = Cutter(evening_streams(seed, IN_FLIGHT + 60 * cuts), in_flight=IN_FLIGHT, acknowledgements_max=60)
    cutter.disk = disk
    kill_an_evening(cutter, seed, disk.path / "game-data", cuts, config)


@pytest.mark.parametrize("config", [CONFIG, FOLDING], ids=["plain", "folding"])
def test_an_evening_without_power_keeps_what_it_acknowledged(disk: LoopDisk, config: StoreConfig) -> None:
    cut_an_evening(disk, amounts.CUTS_AN_EVENING, config)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("config", [CONFIG, FOLDING], ids=["plain", "folding"])
def test_an_evening_with_many_cuts_keeps_what_it_acknowledged(disk: LoopDisk, config: StoreConfig) -> None:
    cut_an_evening(disk, 500, config)


# -- a directory that is only being created


def cut_creations(disk: LoopDisk, cuts: int) -> None:
    creation = CreateMatch(
        POST, subreddit="pics", rounds_total=1, theme="first", created_by="mod", request_id="the first"
    )
    for number in range(cuts // 2):
        path = disk.path / f"game-data-{number}"
        events = [
            event
            for _ in range(2)
            for event in cut(disk, Child(open_and_write, path, ((POST,), True), [creation]), SHORT_S, "opening")
        ]
        acknowledged = any(event[0] == "acknowledged" for event in events)
        with Store.open(path, config=CONFIG, create=not acknowledged) as store:
            assert store.check() == []
            assert not acknowledged or store.match(POST).status == "active"
            assert store.ask(creation).get().status == "active"
        shutil.rmtree(path)


def test_a_creation_without_power_is_taken_up_again(disk: LoopDisk) -> None:
    cut_creations(disk, amounts.CREATION_CUTS)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_a_creation_with_many_cuts_is_taken_up_again(disk: LoopDisk) -> None:
    cut_creations(disk, 400)


# -- cleaning up


@pytest.fixture(scope="module")
def due(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A directory in which much is due, and what of it has to be archived."""
    path = tmp_path_factory.mktemp("due") / "data"
    return path, prepare(path)


def cut_cleanups(disk: LoopDisk, due: tuple[Path, Any], cuts: int) -> None:
    source, details = due
    for number in range(cuts):
        path = Path(shutil.copytree(source, disk.path / f"data-{number}"))
        subprocess.run(["sync", "--file-system", str(disk.path)], check=True)  # noqa: S607
        cut(disk, Child(clean, path, 0, False), LONG_S)
        verify_cleaned(path, details)
        shutil.rmtree(path)


def test_a_cleanup_without_power_archives_every_detail_once(disk: LoopDisk, due: tuple[Path, Any]) -> None:
    cut_cleanups(disk, due, amounts.CLEANUP_CUTS)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_a_cleanup_with_many_cuts_archives_every_detail_once(disk: LoopDisk, due: tuple[Path, Any]) -> None:
    cut_cleanups(disk, due, 200)


# -- the end of matches, and of the store


def cut_completions(disk: LoopDisk, cuts: int) -> None:
    """Every match is completed with all its players, or not at all."""
    path, known = disk.path / "game-data", 0
    for number in range(cuts):
        events = cut(disk, Child(complete_matches, path, number), LONG_S, "opened")
        known += sum(event[0] == "completed" for event in events)
        with Store.open(path, config=CONFIG, create=False) as store:
            assert store.check() == []
            completed = completed_in(store)
            assert known <= completed <= known + IN_FLIGHT
            known = completed


def test_matches_that_end_without_power_end_for_all_players_or_none(disk: LoopDisk) -> None:
    cut_completions(disk, amounts.COMPLETION_CUTS)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_matches_that_end_with_many_cuts_end_for_all_players_or_none(disk: LoopDisk) -> None:
    cut_completions(disk, 200)


def cut_ends(disk: LoopDisk, cuts: int) -> None:
    path, points = disk.path / "game-data", 0
    for _ in range(cuts):
        events = cut(disk, Child(write_and_close, path), SHORT_S, "closing")
        points += sum(event[0] == "acknowledged" for event in events)
        with Store.open(path, config=FOLDING, create=False) as store:
            assert store.check() == []
            assert store.score(POST, "ann").points == points


def test_a_store_that_closes_without_power_keeps_what_it_acknowledged(disk: LoopDisk) -> None:
    cut_ends(disk, amounts.END_CUTS)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_a_store_that_closes_with_many_cuts_keeps_what_it_acknowledged(disk: LoopDisk) -> None:
    cut_ends(disk, 200)
