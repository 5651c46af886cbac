"""The state: a dict that lives in LevelDB, follows the journal, and survives what LevelDB does not."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from commits import CHANGES, KEYS, under
from following import PENDING_MAX, FaultyDatabase, Following
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from waiting import PATIENCE_S, until

from pictact_actors import StorageFull, StoreClosed, StoreDamaged
from pictact_actors.storage.engine import Changes, Entry
from pictact_actors.storage.state import state as state_module
from pictact_actors.storage.state.state import State


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Following]:
    monkeypatch.setattr(state_module, "_RETRY_S", 0.005)
    monkeypatch.setattr(state_module, "_GATHER_S", 0.005)
    subject = Following(tmp_path / "home")
    yield subject
    subject.state.close()


# -- a dict


class StateIsADict(RuleBasedStateMachine):
    """Publish, write, look, close and open in any order: it is always what the journal leads to."""

    home: Path

    def __init__(self) -> None:
        super().__init__()
        shutil.rmtree(self.home, ignore_errors=True)
        self.subject = Following(self.home)
        self.pinned: list[tuple[Iterator[tuple[str, bytes]], list[tuple[str, bytes]]]] = []

    def teardown(self) -> None:
        self.subject.state.close()

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=3))
    def publish(self, changes: list[dict[str, bytes | None]]) -> None:
        self.subject.publish(*changes)

    @rule()
    def write(self) -> None:
        self.subject.state._flush()

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert self.subject.state.get(key) == self.subject.expected().get(key)

    @rule(prefix=st.text("ab:", max_size=2), after=st.none() | KEYS)
    def scan(self, prefix: str, after: str | None) -> None:
        assert list(self.subject.state.scan(prefix, after)) == under(self.subject.expected(), prefix, after)

    @rule(read=st.integers(0, 2))
    def pin(self, read: int) -> None:
        expected = under(self.subject.expected(), "")
        pairs = self.subject.state.scan("")
        assert list(islice(pairs, read)) == expected[:read]
        self.pinned.append((pairs, expected[read:]))

    @rule()
    def read_on(self) -> None:
        for pairs, expected in self.pinned:
            assert list(pairs) == expected
        self.pinned.clear()

    @rule(lost=st.integers(0, 2))
    def reopen(self, lost: int) -> None:
        """Close and open, with a journal that may have grown meanwhile."""
        self.read_on()
        for number in range(lost):
            self.subject.note({f"late{number}": b"!"})
        self.subject.reopen()

    @invariant()
    def says_how_far_it_is(self) -> None:
        assert self.subject.state.seq == len(self.subject.journal)


def test_it_is_a_dict_whatever_the_order_of_events(tmp_path: Path) -> None:
    StateIsADict.home = tmp_path / "home"
    run_state_machine_as_test(
        StateIsADict, settings=settings(max_examples=25, stateful_step_count=20, suppress_health_check=[*HealthCheck])
    )


def test_a_scan_keeps_its_moment_while_a_thread_writes_on(subject: Following) -> None:
    subject.state.start()
    for number in range(50):
        subject.publish({f"k{number:02}": b"old"})
    pairs = subject.state.scan("k")
    for number in range(200):
        subject.publish({f"k{number:03}": b"new"})
    subject.settle()
    assert [value for _, value in pairs] == [b"old"] * 50


def test_what_is_published_while_leveldb_writes_is_above_what_it_writes(subject: Following) -> None:
    def publish_and_look() -> None:
        subject.publish({"a": b"2", "b": None})
        assert (subject.state.get("a"), subject.state.get("b")) == (b"2", None)
        assert list(subject.state.scan("")) == [("a", b"2"), ("c", b"1")]

    subject.publish({"a": b"1", "b": b"1", "c": b"1"})
    subject.faults.meanwhile = publish_and_look
    subject.state._flush()
    assert dict(subject.state.scan("")) == subject.expected()


def test_what_a_crash_took_comes_back_from_the_journal(subject: Following) -> None:
    subject.publish({"a": b"1"}, {"b": b"1"})
    subject.state._flush()
    subject.publish({"a": None, "c": b"2"})
    assert (subject.reopen(), dict(subject.state.scan(""))) == (1, {"b": b"1", "c": b"2"})


def test_bringing_it_forward_needs_no_more_memory_than_what_may_be_pending(
    subject: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending: list[int] = []
    write = FaultyDatabase.write

    def measured(database: FaultyDatabase, changes: Mapping[bytes, bytes | None], records: Changes) -> None:
        pending.append(len(changes) + len(records))
        write(database, changes, records)

    monkeypatch.setattr(FaultyDatabase, "write", measured)
    subject.note(*({f"k{number}": b""} for number in range(10 * PENDING_MAX)))
    assert subject.reopen() == 10 * PENDING_MAX
    assert max(pending) <= PENDING_MAX + 2


def test_closing_writes_what_is_pending(subject: Following) -> None:
    subject.state.start()
    subject.publish({"a": b"1"})
    assert subject.reopen() == 0
    assert subject.state.get("a") == b"1"


# -- not ours, not readable


def test_a_state_of_another_store_does_not_open_and_is_let_go(subject: Following) -> None:
    subject.publish({"a": b"1"})
    subject.state._flush()
    subject.state.close()
    with pytest.raises(StoreDamaged, match="another store") as refused:
        subject.opened(b"another store's ")
    subject.state = subject.opened()
    assert refused.value.what


@pytest.mark.parametrize("value", [b"", b"\xf6", b"\xa1cseq\x01", b"\xa2cseqcone" + b"estoreA0"])
def test_a_state_that_does_not_say_what_is_in_it_does_not_open(subject: Following, value: bytes) -> None:
    subject.state._database.write({b"\0applied": value})
    subject.state.close()
    with pytest.raises(StoreDamaged, match="what is in it"):
        subject.opened()


# -- LevelDB refuses


def test_a_failed_write_loses_nothing_and_is_made_up_for_by_opening_again(subject: Following) -> None:
    subject.state.start()
    subject.publish({"before": b"1"})
    subject.fail()
    subject.publish({"during": b"2", "before": None})
    subject.settle()
    assert subject.faults.handles > 1
    assert dict(subject.state.scan("")) == subject.expected()
    assert subject.reopen() == 0
    assert dict(subject.state.scan("")) == subject.expected()


def test_what_a_failing_handle_took_and_forgot_comes_back_from_the_journal(subject: Following) -> None:
    subject.state.start()
    subject.publish({"kept": b"1"})
    subject.settle()
    subject.faults.forgetting = True
    subject.publish({"kept": None, "forgotten": b"2"})
    until(lambda: not subject.state.pending())
    subject.fail()
    subject.settle()
    assert dict(subject.state.scan("")) == {"forgotten": b"2", "failed": b"1"} == subject.expected()
    assert subject.state.get("kept") is None


def test_opening_again_shows_nothing_that_is_not_published(subject: Following) -> None:
    subject.state.start()
    subject.faults.full = True
    subject.fail()
    subject.note({"failed": b"not yet", "unpublished": b"1"})
    subject.settle()
    assert dict(subject.state.scan("")) == {"failed": b"1"}


def test_a_journal_that_does_not_read_is_asked_again_until_it_does(
    subject: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = [StoreDamaged("for a while")] * 3

    def entries(from_seq: int) -> Iterator[Entry]:
        if damaged:
            raise damaged.pop()
        return subject.entries(from_seq)

    monkeypatch.setattr(subject.state, "_replay", entries)
    subject.state.start()
    subject.fail()
    subject.settle()
    assert (damaged, dict(subject.state.scan(""))) == ([], subject.expected())


def test_reads_go_on_while_there_is_no_room_to_open_again(subject: Following) -> None:
    subject.state.start()
    subject.publish({"old": b"1"})
    subject.settle()
    subject.faults.full = True
    subject.fail()
    subject.publish({"new": b"2"})
    until(lambda: subject.faults.asked_for_room > 2)
    assert dict(subject.state.scan("")) == subject.expected()
    assert (subject.state.get("old"), subject.state.get("new"), subject.faults.handles) == (b"1", b"2", 1)


class Interrupted(dict[str, bytes | None]):
    """Something happens right after somebody has looked into it."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = [meanwhile]

    def get(self, key: str, default: Any = None) -> Any:
        found = super().get(key, default)
        if self._meanwhile:
            self._meanwhile.pop()()
        return found


def test_a_reader_between_two_looks_does_not_miss_what_comes_back_from_the_journal(subject: Following) -> None:
    subject.faults.forgetting = True
    subject.publish({"forgotten": b"1"})
    subject.state._flush()
    subject.state._frozen = Interrupted(subject.state._reopen)
    assert subject.state.get("forgotten") == b"1"


def test_a_reader_that_meets_the_gap_between_two_handles_waits_for_the_second(subject: Following) -> None:
    subject.state.start()
    subject.publish({"old": b"1"})
    subject.settle()
    subject.faults.opening = OSError("not yet")
    subject.fail()
    until(lambda: not subject.state._database.is_open)
    found: list[object] = []
    readers = [
        threading.Thread(target=lambda: found.append(subject.state.get("old"))),
        threading.Thread(target=lambda: found.append(dict(subject.state.scan("old")))),
    ]
    for reader in readers:
        reader.start()
    subject.faults.opening = subject.faults.writing = None
    for reader in readers:
        reader.join(PATIENCE_S)
    assert b"1" in found
    assert {"old": b"1"} in found


def test_a_reader_does_not_wait_for_ever_for_a_state_that_does_not_open(
    subject: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "_STALL_S", 0.05)
    subject.state.start()
    subject.faults.opening = OSError("the disk is gone")
    subject.fail()
    until(lambda: not subject.state._database.is_open)
    with pytest.raises(StoreClosed, match="the disk is gone"):
        subject.state.get("old")


def test_the_committer_is_refused_at_once_when_too_much_is_pending(subject: Following) -> None:
    subject.state.start()
    subject.faults.full = True
    subject.fail()
    for number in range(PENDING_MAX - 1):
        subject.state.make_room()
        subject.publish({f"k{number}": b""})
    with pytest.raises(StorageFull, match="no space left"):
        subject.state.make_room()


def test_what_is_pending_stays_bounded_however_long_nothing_can_be_written(subject: Following) -> None:
    subject.state.start()
    subject.faults.opening = OSError("still not")
    subject.fail()
    refused = 0
    for number in range(20 * PENDING_MAX):
        try:
            subject.state.make_room()
        except StorageFull:
            refused += 1
        else:
            subject.publish({f"k{number}": b""})
    assert (subject.state.pending() <= PENDING_MAX, refused > 0) == (True, True)


def test_the_committer_goes_on_when_there_is_room_again(subject: Following) -> None:
    subject.state.start()
    subject.faults.full = True
    subject.fail()
    subject.publish(*({f"k{number}": b""} for number in range(PENDING_MAX)))
    subject.settle()
    subject.state.make_room()


def test_a_slow_writer_holds_the_committer_up_and_then_refuses_it(
    subject: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "_FEW", PENDING_MAX)
    monkeypatch.setattr(state_module, "_STALL_S", 0.05)
    subject.publish(*({f"k{number}": b""} for number in range(PENDING_MAX)))
    with pytest.raises(StorageFull, match="LevelDB stalls"):
        subject.state.make_room()


def test_closing_does_not_wait_for_a_state_that_cannot_be_written(subject: Following) -> None:
    subject.state.start()
    subject.faults.full = True
    subject.fail()
    subject.state.close()
    subject.faults.writing = None
    assert subject.reopen() == 1
    assert subject.state.get("failed") == b"1"


def test_reading_is_refused_when_it_is_closed(subject: Following) -> None:
    subject.state.close()
    with pytest.raises(StoreClosed):
        subject.state.get("a")
    with pytest.raises(StoreClosed):
        subject.state.scan("")


# -- many threads


def test_readers_see_a_key_only_go_forward_while_handles_come_and_go(subject: Following) -> None:
    subject.state.start()
    subject.publish({"k": b"000000"})
    done, failures = threading.Event(), list[object]()

    def read_on() -> None:
        seen = b""
        while not done.is_set():
            values = [seen, subject.state.get("k") or b"", scanned(subject.state)]
            if values != sorted(values):
                failures.append(values)
            seen = values[-1]

    readers = [threading.Thread(target=read_on) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 100):
        subject.publish({"k": b"%06d" % number})
        if number % 10 == 0:
            subject.fail({"k": b"%06d" % number})
            subject.settle()
    done.set()
    for reader in readers:
        reader.join(PATIENCE_S)
    assert failures == []
    assert subject.faults.handles > 5


def scanned(state: State) -> bytes:
    while True:
        try:
            ((_, value),) = state.scan("k")
        except StoreClosed:  # the handle went while it was read
            continue
        return value
