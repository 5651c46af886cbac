"""Damage that is found while the store runs: it heals while everything else is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from disks import opened
from games import begin, play
from waiting import until

from pictact_actors import Store, StoreDamaged, StoreError
from pictact_actors.storage.embedded import EmbeddedEngine

POSTS = [f"t3_{number}" for number in range(8)]
USERS = {f"u{number:03}": number for number in range(200)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store at rest whose records are in tables."""
    with opened(tmp_path / "game-data") as store:
        for post_id in POSTS:
            begin(store, post_id)
            play(store, USERS, post_id)
    return tmp_path / "game-data"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """The same, open; nothing of it is in memory, and its tables are damaged now."""
    with opened(path, cache_bytes_max=2) as store:
        for table in path.glob("state/*.ldb"):
            harm(table)
        yield store
        assert store.check() == []
    with opened(path) as store:
        assert store.check() == []


def harm(table: Path) -> None:
    """Change the first bytes of a table, where its records are; LevelDB has it open, and keeps it so."""
    with table.open("r+b") as file:
        file.write(b"\xff" * (table.stat().st_size // 2))


def mended(store: Store) -> bool:
    return any(recovery.case == "state damaged while running" for recovery in store.statistics().recoveries)


def test_a_read_of_a_damaged_place_waits_until_it_is_mended(store: Store) -> None:
    assert {user: store.score(POSTS[3], user).points for user in USERS} == USERS
    until(lambda: mended(store))


def test_a_scan_that_meets_damage_says_so_and_works_in_a_moment(store: Store) -> None:
    with pytest.raises(StoreDamaged):
        list(store.scan("score:"))
    until(lambda: mended(store))
    assert len(list(store.scan("score:"))) == len(POSTS) * len(USERS)


def test_everybody_else_writes_and_reads_meanwhile(store: Store) -> None:
    begin(store, "t3_new")
    with suppress(StoreError):
        list(store.scan("score:"))
    for points in range(1, 100):
        assert store.award_points("t3_new", "ann", 1).points == points
        assert store.score("t3_new", "ann").points == points
    until(lambda: mended(store))
    assert store.award_points("t3_new", "ann", 1).points == 100
    assert store.award_points(POSTS[0], "u007", 1).points == 8


def test_a_write_that_meets_damage_is_refused_and_works_in_a_moment(store: Store) -> None:
    with pytest.raises(StoreError):
        store.award_points(POSTS[1], "u009", 1)
    until(lambda: mended(store))
    assert store.award_points(POSTS[1], "u009", 1).points == 10


def test_a_store_that_is_closed_meanwhile_is_healed_when_it_is_opened(path: Path) -> None:
    with opened(path, cache_bytes_max=2) as store:
        for table in path.glob("state/*.ldb"):
            harm(table)
        engine = store.runtime.engine
        assert isinstance(engine, EmbeddedEngine)
        engine._mending.begin()
    with opened(path) as store:
        assert store.check() == []
        assert {user: store.score(POSTS[3], user).points for user in USERS} == USERS
