"""Ctrl-C at the worst moment: each test interrupts one exact place, and the store goes on or closes in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines import PATIENCE_S, HeldEngine
from games import POST, begin
from opening import Opener

from pictact_actors import AwardPoints, Store, StoreClosed
from pictact_actors.clock import monotonic
from pictact_actors.janitor import Janitor
from pictact_actors.runtime import reply as replies
from pictact_actors.storage.state import leveldb


class Interrupting:
    """Raises what Ctrl-C raises the first time it is called, then does what it should."""

    def __init__(self, really: Callable[..., Any]) -> None:
        self._really = really
        self._calls = 0

    def __call__(self, *args: Any) -> Any:
        self._calls += 1
        if self._calls == 1:
            raise KeyboardInterrupt
        return self._really(*args)


def test_who_was_interrupted_at_a_gate_does_not_hold_the_close_up(open_store: Opener) -> None:
    store = open_store(drain_timeout_s=PATIENCE_S)
    begin(store)
    store.runtime.links[0].gate.enter(1, 0.0)
    began = monotonic()
    store.close()
    assert monotonic() - began < PATIENCE_S / 2


def test_a_commit_that_takes_long_is_still_waited_for(open_store: Opener, held: HeldEngine) -> None:
    store: Store = open_store(engine=held, drain_timeout_s=PATIENCE_S)
    begin(store)
    held.hold()
    reply = store.ask(AwardPoints(POST, "ann", 1))
    held.wait_for_commit()
    threading.Timer(1.5, held.let_go).start()  # longer than nothing may move
    store.close()
    assert reply.get().points == 1


def test_a_close_that_was_interrupted_is_finished_by_the_next_one(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    begin(store)
    monkeypatch.setattr(store.runtime.supervisor, "stop", Interrupting(store.runtime.supervisor.stop))
    with pytest.raises(KeyboardInterrupt):
        store.close()
    with pytest.raises(StoreClosed):
        store.award_points(POST, "ann", 1)
    store.close()
    assert open_store().match(POST)


def test_an_opening_that_was_interrupted_leaves_nothing_open(
    open_store: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Janitor, "start", Interrupting(lambda: None))
    with pytest.raises(KeyboardInterrupt):
        Store.open(tmp_path / "game-data")
    monkeypatch.undo()
    assert begin(open_store(tmp_path / "game-data"))


def test_a_wait_that_was_interrupted_where_it_began_harms_no_commit(
    open_store: Opener, held: HeldEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lock:
        def acquire(self) -> None:
            raise KeyboardInterrupt

    store: Store = open_store(engine=held)
    begin(store)
    held.hold()
    reply = store.ask(AwardPoints(POST, "ann", 1))
    held.wait_for_commit()
    monkeypatch.setattr(replies, "Lock", Lock)
    with pytest.raises(KeyboardInterrupt):
        reply.get()
    monkeypatch.undo()
    held.let_go()
    assert reply.get().points == 1
    assert store.award_points(POST, "ann", 1).points == 2


def test_a_database_closes_although_its_reader_was_interrupted_at_the_door(tmp_path: Path) -> None:
    leveldb.create(tmp_path / "state")
    database = leveldb.Database(tmp_path / "state", 65_536, 65_536)
    database._enter()
    assert database.get(b"a") is None
    database._enter()
    database.close()
    assert not database.is_open


def test_a_handler_closes_the_store_in_the_middle_of_a_read(store: Store) -> None:
    begin(store)
    with store.runtime.committed._moment:  # as in the frame that was interrupted
        store.close()
    with pytest.raises(StoreClosed):
        store.match(POST)


def test_a_handler_closes_the_store_in_the_middle_of_closing_it(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    begin(store)
    stop = store.runtime.space.stop

    def interrupted() -> None:
        monkeypatch.undo()
        store.close()
        stop()

    monkeypatch.setattr(store.runtime.space, "stop", interrupted)
    store.close()
    assert open_store().match(POST)
