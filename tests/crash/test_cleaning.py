"""A cleanup killed at any of its steps: nothing expired comes back, and no detail is archived twice or never."""

from __future__ import annotations

import logging
import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from amounts import CLEANUP_KILLS
from children import Child
from cleaning import DETAILS, PLAYERS, archived, clean, counted, live, opened, prepare

from pictact_actors import NotFound, Store

REMOVED = Counter(match=2, round=2, score=2 * len(PLAYERS), analytics=2, request=5, observation=sum(DETAILS.values()))
"""What a whole cleanup removes: two matches, and the details of all three."""
EVERY = 5
"""The ordinary test takes every n-th step of a cleanup, at random from which on; the long one takes them all."""


@dataclass(frozen=True)
class Image:
    """A directory in which much is due, every detail in it, and the steps of its cleanup."""

    path: Path
    details: Counter[Any]
    steps: list[str]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    path = tmp_path_factory.mktemp("due") / "data"
    details = prepare(path)
    whole = shutil.copytree(path, path.with_name("whole"))
    with Child(clean, whole, 0, False) as child:
        ((_, steps),) = child.events()
    assert set(steps) >= {"before line_of", "after sync_directory", "after rename", "before commit", "after publish"}
    return Image(path, details, steps)


def killed(path: Path, burns_at: int, *, from_the_opening: bool = False) -> None:
    """Let a child clean up until it is killed at a step."""
    with Child(clean, path, burns_at, from_the_opening) as child:
        assert [*child.events()] == [] or from_the_opening


def verify(path: Path, details: Counter[Any]) -> None:
    """Everything is there once at once after opening, and the next cleanup ends what was begun."""
    with opened(path) as store:
        assert archived(path) + live(store) == details
        assert not expired_shows(store)
        assert store.check() == []
        store.cleanup()
        assert archived(path) == details
        assert counted(store) == REMOVED
        assert all(entry.done for entry in store.audit())
        assert not store.cleanup()
        lasting = [store.player(user).lifetime.matches_played for user in PLAYERS]
        assert lasting == [1] * len(PLAYERS)
    with opened(path) as store:
        assert archived(path) == details
        assert not live(store)
        assert not expired_shows(store)
        assert list(store.runtime.engine.scan("due:observed:")) == []
        assert store.check() == []


def expired_shows(store: Store) -> bool:
    for post_id in ("t3_done", "t3_off"):
        if list(store.scan(f"score:{post_id}:")) or list(store.scan(f"round:{post_id}:")):
            return True
        with pytest.raises(NotFound):
            store.match(post_id)
    return store.match("t3_on").status != "active"


def kill_at(image: Image, home: Path, chosen: list[int]) -> None:
    for number in chosen:
        path = shutil.copytree(image.path, home / f"killed-{number}")
        killed(path, number)
        try:
            verify(path, image.details)
        except BaseException:
            logging.getLogger(__name__).warning("killed at %d: %s", number, image.steps[number - 1])
            raise
        shutil.rmtree(path)


def test_a_cleanup_killed_at_a_step_archives_every_detail_once(image: Image, tmp_path: Path) -> None:
    kill_at(image, tmp_path, list(range(random.randint(1, EVERY), len(image.steps) + 1, EVERY)))


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_a_cleanup_killed_at_every_step_archives_every_detail_once(image: Image, tmp_path: Path) -> None:
    kill_at(image, tmp_path, list(range(1, len(image.steps) + 1)))


def test_a_cleanup_that_is_killed_again_and_again_comes_to_its_end(image: Image, tmp_path: Path) -> None:
    """Also while it takes up at the opening what was left the time before."""
    path = shutil.copytree(image.path, tmp_path / "data")
    for _ in range(CLEANUP_KILLS):
        killed(path, random.randint(1, len(image.steps) // 4), from_the_opening=True)
    verify(path, image.details)
