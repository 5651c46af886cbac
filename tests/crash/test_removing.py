"""`kill -9` at every step of a cleanup: nothing that is due comes back, and what is left is removed next time."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from children import Child
from removing import IDLE, LIVE, OVER, POSTS, clean_until, lasting, left_of, opened, prepare, removed_of, seen_of

from pictact_actors import NotFound, Store

WHOLE = Counter({"match": 1, "round": 1, "score": 7, "analytics": 1, "request": 1})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("due") / "game-data"
    return path, prepare(path)


def killed_while_cleaning(path: Path, number: int, place: str) -> bool:
    """Let a child clean up; say whether it was killed at that commit. It ends by itself if there are not so many."""
    with Child(clean_until, path, number, place) as child:
        return not [event for event in child.events() if event[0] == "finished"]


def verify(store: Store, kept: dict[str, Any]) -> None:
    """Nothing that is due is seen; the audit and what is left make up the whole; players have what they had."""
    assert store.check() == []
    for post_id in POSTS[:-1]:
        assert left_of(store, post_id) + removed_of(store, post_id) == WHOLE
    for post_id in OVER:
        assert not seen_of(store, post_id)
        with pytest.raises(NotFound):
            store.leaderboard(post_id)
    idle = seen_of(store, IDLE)
    assert not idle or (left_of(store, IDLE) == WHOLE and not removed_of(store, IDLE))
    assert seen_of(store, LIVE) == {"match": 1, "score": 1}
    assert lasting(store) == kept


def verify_the_end(store: Store, kept: dict[str, Any]) -> None:
    store.cleanup()
    verify(store, kept)
    for post_id in POSTS[:-1]:
        assert not left_of(store, post_id)
    assert [entry.done for entry in store.audit()] == [True] * len(list(store.audit()))
    assert not [key for key, _ in store.runtime.engine.scan("request:")]
    assert not store.cleanup()


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_cleanup_killed_at_any_of_its_commits_goes_on_where_it_was(
    prepared: tuple[Path, dict[str, Any]], tmp_path: Path, place: str
) -> None:
    source, kept = prepared
    kills = 0
    for number in range(1, 100):
        path = Path(shutil.copytree(source, tmp_path / str(number)))
        if not killed_while_cleaning(path, number, place):
            break
        kills += 1
        with opened(path) as store:
            verify(store, kept)
            verify_the_end(store, kept)
    assert kills >= 3 * 4 + 2  # three matches of eleven records by three, and the requests


@pytest.mark.parametrize(("number", "place"), [(1, "after"), (2, "before"), (3, "after")])
def test_a_cleanup_that_is_killed_again_and_again_comes_to_its_end(
    prepared: tuple[Path, dict[str, Any]], tmp_path: Path, number: int, place: str
) -> None:
    source, kept = prepared
    path = Path(shutil.copytree(source, tmp_path / "game-data"))
    while killed_while_cleaning(path, number, place):
        with opened(path) as store:
            verify(store, kept)
    with opened(path) as store:
        verify_the_end(store, kept)
