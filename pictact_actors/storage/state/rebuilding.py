"""Rebuilding the state from base and journal, when it is damaged, or too far behind to be brought forward.

    state.rebuilt   being built; worth nothing until it takes the state's place
    state.old       the state whose place was taken; there only until it is kept aside
    state.gone      a state that was given up before, because there is no room for two

The new one is complete and durable before the old one is moved, so a crash at any moment leaves one of them; or, where
there is no room for that, an empty one that is rebuilt again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pictact_actors import log
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.position import Position
from pictact_actors.storage.truth.segment import sync_directory

OLD, GONE, REBUILT = NAMES = ("state.old", "state.gone", "state.rebuilt")


PutAside = Callable[[Path], object]
"""Puts something aside that was replaced."""


def settle(path: Path, keep: PutAside) -> None:
    """Finish or undo what a crash interrupted, before the state at `path` is opened."""
    old, gone, rebuilt = (path.parent / name for name in NAMES)
    shutil.rmtree(rebuilt, ignore_errors=True)
    if not path.exists() and old.exists():
        _move(old, path)
    elif not path.exists() and gone.exists():
        for file in gone.iterdir():  # the directory says what happened until there is another state
            file.unlink()
        leveldb.create(path)
    if old.exists():
        keep(old)
    shutil.rmtree(gone, ignore_errors=True)


def rebuild(
    path: Path, open_state: Callable[[Path], State], position: Position, keep: PutAside, *, in_place: bool
) -> None:
    """Build a state up to a position, and put it in the place of the one at `path`, if there is one, which is kept.

    Nobody has that one open. It stays as it is if this raises `StorageFull` or `StoreDamaged`, unless it has to make
    room (`in_place`): then it goes, and an empty one takes its place first.
    """
    if in_place and path.exists():
        _move(path, path.with_name(GONE))
        settle(path, keep)
    seq = build(path, open_state, position)
    put_in_place(path, keep)
    log.warning(log.STATE_REBUILT, path=str(path), seq=seq)


def build(path: Path, open_state: Callable[[Path], State], position: Position | None) -> int:
    """Build a state beside the one at `path`, durably; return the last commit in it."""
    rebuilt = path.with_name(REBUILT)
    shutil.rmtree(rebuilt, ignore_errors=True)
    leveldb.create(rebuilt)
    state = open_state(rebuilt)
    try:
        state.catch_up(position)
    finally:
        state.close()
    leveldb.sync(rebuilt)
    return state.seq


def put_in_place(path: Path, keep: PutAside) -> None:
    """Put the state that was built in the place of the one at `path`, if there is one, which is kept. Twice is fine."""
    rebuilt, old = path.with_name(REBUILT), path.with_name(OLD)
    if rebuilt.exists():
        if path.exists():
            _move(path, old)
        _move(rebuilt, path)
    if old.exists():
        keep(old)


def _move(path: Path, to: Path) -> None:
    path.rename(to)
    sync_directory(path.parent)
