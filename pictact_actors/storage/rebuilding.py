"""Rebuilding the state from base and journal, when it is too far behind to be brought forward.

    state.rebuilt   being built; worth nothing until it takes the state's place
    state.old       the state whose place was taken; there only for a moment, unless a crash came
    state.gone      a state that was given up before, because there is no room for two

The new one is complete and durable before the old one is moved, so a crash at any moment leaves one of them; or, where
there is no room for that, an empty one that is rebuilt again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pictact_actors import log
from pictact_actors.storage import leveldb
from pictact_actors.storage.segment import sync_directory
from pictact_actors.storage.state import State

OLD, GONE, REBUILT = NAMES = ("state.old", "state.gone", "state.rebuilt")


def settle(path: Path) -> None:
    """Finish or undo what a crash interrupted, before the state at `path` is opened."""
    old, gone, rebuilt = (path.parent / name for name in NAMES)
    shutil.rmtree(rebuilt, ignore_errors=True)
    if not path.exists() and old.exists():
        _move(old, path)
    elif not path.exists() and gone.exists():
        for file in gone.iterdir():  # the directory says what happened until there is another state
            file.unlink()
        leveldb.create(path)
    for left in (old, gone):
        shutil.rmtree(left, ignore_errors=True)


def rebuild(path: Path, open_state: Callable[[Path], State], *, in_place: bool) -> None:
    """Build a state from everything that it can be brought forward from, and put it in the place of the one at `path`.

    Nobody has that one open. It stays as it is if this raises `StorageFull` or `StoreDamaged`, unless it has to make
    room (`in_place`): then an empty one takes its place first.
    """
    if in_place:
        _move(path, path.with_name(GONE))
        settle(path)
    rebuilt = path.with_name(REBUILT)
    leveldb.create(rebuilt)
    state = open_state(rebuilt)
    try:
        state.catch_up()
    finally:
        state.close()
    leveldb.sync(rebuilt)
    _move(path, path.with_name(OLD))
    _move(rebuilt, path)
    shutil.rmtree(path.with_name(OLD), ignore_errors=True)
    log.warning(log.STATE_REBUILT, path=str(path), seq=state.seq)


def _move(path: Path, to: Path) -> None:
    path.rename(to)
    sync_directory(path.parent)
