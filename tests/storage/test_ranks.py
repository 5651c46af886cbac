"""Ranks and pages of counted keys: always of what is published, whatever LevelDB has of it."""

from __future__ import annotations

import shutil
import threading
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from commits import Put
from following import FaultyDatabase, Following
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from waiting import PATIENCE_S

from pictact_actors import StoreClosed
from pictact_actors.model.keys import COUNTED
from pictact_actors.storage.check import Recount
from pictact_actors.storage.engine import FOLDED, Entry
from pictact_actors.storage.memory import MemoryEngine
from pictact_actors.storage.state import counted as counted_module
from pictact_actors.storage.state import state as state_module

WINS = COUNTED[-1]
NAMES = st.text("ab\U0001f3c6", max_size=4)
KEYS = st.builds(str.__add__, st.sampled_from(COUNTED), NAMES)
TOGGLED = st.lists(st.sets(KEYS, min_size=1, max_size=12), min_size=1, max_size=3)
BROKEN = OSError("no space left on device")


@pytest.fixture(autouse=True)
def small_chunks_and_no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted_module, "CHUNK_MAX", 8)
    monkeypatch.setattr(counted_module, "CHUNK_FEW", 4)
    monkeypatch.setattr(state_module, "_RETRY_S", 0.0)


class Ranked(RuleBasedStateMachine):
    """What both have in common. `engine` has `rank` and `page`."""

    engine: MemoryEngine | state_module.State

    def __init__(self) -> None:
        super().__init__()
        self.there: set[str] = set()

    def changes(self, toggled: list[set[str]]) -> Iterator[dict[str, bytes | None]]:
        """Commits that add what is not there and take away what is, with a record beside it."""
        for some in toggled:
            self.there = self.there ^ some
            yield {"lifetime:ann": b"?"} | {key: b"" if key in self.there else None for key in sorted(some)}

    @rule(prefix=st.sampled_from(COUNTED), name=NAMES)
    def rank(self, prefix: str, name: str) -> None:
        expected = sorted(key for key in self.there if key.startswith(prefix))
        assert self.engine.rank(prefix, prefix + name) == bisect_left(expected, prefix + name)

    @rule(prefix=st.sampled_from(COUNTED), position=st.integers(0, 30), limit=st.sampled_from([0, 1, 5, 2**53]))
    def page(self, prefix: str, position: int, limit: int) -> None:
        expected = sorted(key for key in self.there if key.startswith(prefix))
        assert list(self.engine.page(prefix, position, limit)) == expected[position : position + limit]


class RanksInMemory(Ranked):
    """The engine without a disk."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = MemoryEngine()

    @rule(toggled=TOGGLED)
    def publish(self, toggled: list[set[str]]) -> None:
        self.engine.commit([Put(change) for change in self.changes(toggled)], 0.0, 0.0)
        self.engine.publish()


class RanksOnDisk(Ranked):
    """The state: written, failed, reopened, killed, and brought forward by commits or by what they led to."""

    home: Path

    def __init__(self) -> None:
        super().__init__()
        shutil.rmtree(self.home, ignore_errors=True)
        self.subject = Following(self.home)
        self.engine = self.subject.state
        self.base_seq = 0

    def teardown(self) -> None:
        self.subject.state.close()

    @rule(toggled=TOGGLED)
    def publish(self, toggled: list[set[str]]) -> None:
        self.subject.publish(*self.changes(toggled))

    @rule()
    def write(self) -> None:
        self.engine._flush()

    @rule(toggled=TOGGLED)
    def publish_while_leveldb_writes(self, toggled: list[set[str]]) -> None:
        def meanwhile() -> None:
            self.subject.faults.meanwhile = None
            self.publish(toggled)
            self.page(WINS, 0, 2**53)

        self.publish(toggled)
        self.subject.faults.meanwhile = meanwhile
        self.engine._flush()

    @rule(forgotten=TOGGLED, toggled=TOGGLED)
    def fail(self, forgotten: list[set[str]], toggled: list[set[str]]) -> None:
        """A handle takes something and forgets it, refuses the next, and another one takes its place."""
        self.subject.faults.forgetting = True
        self.publish(forgotten)
        self.engine._flush()
        self.publish(toggled)
        self.subject.faults.writing = BROKEN
        with pytest.raises(OSError, match="no space"):
            self.engine._flush()
        self.engine._fail(BROKEN)
        self.subject.faults.heal()
        self.engine._reopen()

    @rule(toggled=TOGGLED, folded=st.booleans(), clean=st.booleans())
    def reopen(self, toggled: list[set[str]], folded: bool, clean: bool) -> None:  # noqa: FBT001
        """Go, cleanly or not, and come back to a journal that has grown; the first part of it may be folded."""
        if clean:
            self.engine._flush()
        self.subject.note(*self.changes(toggled))
        self.subject.state.close()
        if folded:
            self.base_seq = len(self.subject.journal)
        self.engine = self.subject.state = self.subject.opened()
        self.engine._replay = self.since
        self.engine.catch_up()

    def since(self, from_seq: int) -> Iterator[Entry]:
        """What is folded comes key by key; which commits are whole is known behind it only."""
        if from_seq <= self.base_seq:
            folded = self.subject.journal[from_seq - 1 : self.base_seq]
            led_to = {key: value for entry in folded for key, value in entry.changes.items()}
            for key in sorted(led_to):
                yield Entry(from_seq - 1, 0.0, FOLDED, None, {key: led_to[key]})
            yield Entry(self.base_seq, 0.0, FOLDED, None, {})
        yield from self.subject.entries(max(from_seq, self.base_seq + 1))

    @invariant()
    def counts_what_is_there(self) -> None:
        recount = Recount(self.engine.chunks())
        assert {key for key, _ in recount.along(self.engine.scan("top:"))} == self.there
        assert list(recount.problems()) == []


def test_a_store_in_memory_is_a_sorted_list() -> None:
    run_state_machine_as_test(RanksInMemory, settings=settings(max_examples=25, stateful_step_count=20))


def test_a_state_is_a_sorted_list_whatever_happens_to_it(tmp_path: Path) -> None:
    RanksOnDisk.home = tmp_path / "home"
    run_state_machine_as_test(
        RanksOnDisk, settings=settings(max_examples=20, stateful_step_count=12, suppress_health_check=[*HealthCheck])
    )


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Following]:
    subject = Following(tmp_path / "home")
    yield subject
    subject.state.close()


def places(count: int) -> dict[str, bytes | None]:
    return {f"{WINS}{number:03}": b"" for number in range(count)}


def test_a_crash_while_what_was_folded_is_brought_forward_counts_nothing_twice(subject: Following) -> None:
    subject.note(places(20))
    for _ in range(2):
        subject.state.close()
        subject.state = subject.opened()
        for key, value in sorted(places(20).items())[:15]:
            entry = Entry(0, 0.0, FOLDED, None, {key: value})
            subject.state._active.update(entry.changes)
            subject.state._counted.take(entry)
        subject.state._flush()
    assert subject.state.rank(WINS, f"{WINS}999") == 15


def test_a_page_is_pinned_to_its_moment(subject: Following) -> None:
    subject.publish(places(10))
    subject.state._flush()
    subject.publish({f"{WINS}000!": b""})
    found = subject.state.page(WINS, 0, 5)
    subject.publish(dict.fromkeys(places(10)))
    subject.state._flush()
    assert list(found) == [f"{WINS}000", f"{WINS}000!", f"{WINS}001", f"{WINS}002", f"{WINS}003"]


def test_a_rank_and_a_short_page_are_read_from_the_next_handle_when_one_goes(
    subject: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject.publish(places(10))
    subject.state._flush()
    keys = FaultyDatabase.keys
    going = [True]

    def gone(database: FaultyDatabase, start: str, stop: str) -> Iterator[str]:
        found = keys(database, start, stop)
        if going and going.pop():
            database.close()
            subject.state._reopen()
        return found

    monkeypatch.setattr(FaultyDatabase, "keys", gone)
    monkeypatch.setattr(subject.state, "_counting", threading.RLock())  # it goes in the middle of a question
    assert subject.state.rank(WINS, f"{WINS}007") == 7
    going.append(True)
    assert list(subject.state.page(WINS, 8, 5)) == [f"{WINS}008", f"{WINS}009"]
    assert subject.faults.handles == 3


def test_a_state_that_is_closed_has_no_ranks(subject: Following) -> None:
    subject.publish(places(3))
    subject.state.close()
    for ask in (lambda: subject.state.rank(WINS, WINS), lambda: subject.state.page(WINS, 0, 1)):
        with pytest.raises(StoreClosed):
            ask()


def test_ranks_are_of_one_moment_while_players_come_and_handles_go(subject: Following) -> None:
    subject.state.start()
    done, failures = threading.Event(), list[object]()

    def look() -> None:
        before = subject.state.rank(WINS, f"{WINS}~")
        found = len(list(subject.state.page(WINS, 0, 2**53)))
        if not before <= found <= subject.state.rank(WINS, f"{WINS}~"):
            failures.append((before, found))

    def look_on() -> None:
        while not done.is_set():
            with suppress(StoreClosed):  # the handle went while it was read
                look()

    readers = [threading.Thread(target=look_on) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(200):
        subject.publish({f"{WINS}{number * 37 % 200:03}": b"", "lifetime:ann": b"?"})
        if number % 40 == 39:
            subject.fail({f"{WINS}x{number:03}": b""})
            subject.settle()
    done.set()
    for reader in readers:
        reader.join(PATIENCE_S)
    assert failures == []
    assert subject.state.rank(WINS, f"{WINS}~") == 205
