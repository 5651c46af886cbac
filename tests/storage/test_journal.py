"""The journal: what was appended is there, in order, whatever the disk does."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commits import GROUPS, Put, put
from engines import PATIENCE_S
from faulty import BROKEN, FULL, FaultyOs, faulty_os
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictact_actors import CommitFailed, StorageFull, StoreDamaged
from pictact_actors.storage.engine import Entry
from pictact_actors.storage.truth import journal as journal_module
from pictact_actors.storage.truth import segment
from pictact_actors.storage.truth.journal import Journal
from pictact_actors.storage.truth.segment import HEADER_BYTES, segment_name

STORE_ID = b"store id 16 long"
SEGMENT_BYTES = 512
BIG = b"x" * 300
"""Two of these do not fit into one segment."""

in_a_fresh_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


class Disk:
    """The directory of a journal, opened as often as a test likes."""

    def __init__(self, home: Path, store_id: bytes = STORE_ID) -> None:
        self.path = home / "journal"
        self.store_id = store_id
        self._opened: list[Journal] = []
        home.mkdir(exist_ok=True)
        self.clear()

    def clear(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        Journal.create(self.path, self.store_id, SEGMENT_BYTES)

    def open(self) -> Journal:
        self.close()
        journal = Journal.open(self.path, self.store_id, SEGMENT_BYTES)
        self._opened.append(journal)
        return journal

    def close(self) -> None:
        while self._opened:
            self._opened.pop().close()

    def segment(self, number: int) -> Path:
        return self.path / segment_name(number)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with closing(Disk(tmp_path)) as disk:
        yield disk


@pytest.fixture
def faults(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> FaultyOs:  # noqa: ARG001 - created before it can fail
    return faulty_os(monkeypatch, segment)


def append(journal: Journal, *values: bytes) -> None:
    """Append a group for each value."""
    for value in values:
        journal.append(put(k=value), 1.0, 1.0)


def values(journal: Journal, from_seq: int = 1) -> list[bytes | None]:
    return [entry.changes["k"] for entry in journal.entries(from_seq)]


@in_a_fresh_directory
@given(st.lists(GROUPS, max_size=12), st.data())
def test_every_commit_comes_back_in_order_from_any_place(
    disk: Disk, groups: list[list[Put]], data: st.DataObject
) -> None:
    disk.clear()
    journal = disk.open()
    for ts, group in enumerate(groups):
        journal.append(group, float(ts), float(-ts))
    commits = [(float(ts), *commit) for ts, group in enumerate(groups) for commit in group]
    expected = [
        Entry(seq, ts, cause, request_id, changes) for seq, (ts, changes, cause, request_id) in enumerate(commits, 1)
    ]
    from_seq = data.draw(st.integers(1, len(expected) + 1), label="from_seq")
    for opened in (journal, disk.open()):
        assert list(opened.entries(from_seq)) == expected[from_seq - 1 :]
        assert opened.seq == len(expected)


def test_time_and_mark_survive_reopening(disk: Disk) -> None:
    disk.open().append(put(k=b""), 1_700_000_000.5, 1_700_000_001.25)
    journal = disk.open()
    assert (journal.ts, journal.mark) == (1_700_000_000.5, 1_700_000_001.25)


def test_time_mark_and_order_survive_in_a_new_segment_that_is_still_empty(disk: Disk, faults: FaultyOs) -> None:
    journal = disk.open()
    journal.append(put(k=BIG), 5.0, 6.0)
    faults.fail("pwrite", FULL, passing=1)  # the header of the new segment passes
    with pytest.raises(StorageFull):
        append(journal, BIG)
    journal = disk.open()
    assert (journal.numbers(), journal.seq, journal.ts, journal.mark) == ([1, 2], 1, 5.0, 6.0)
    append(journal, b"next")
    assert values(disk.open()) == [BIG, b"next"]


def test_a_group_larger_than_a_segment_gets_one_of_its_size(disk: Disk) -> None:
    append(disk.open(), b"small", b"y" * 10 * SEGMENT_BYTES, b"after")
    assert values(disk.open()) == [b"small", b"y" * 10 * SEGMENT_BYTES, b"after"]


def test_entries_are_those_of_the_moment_of_the_call(disk: Disk) -> None:
    journal = disk.open()
    append(journal, b"1", BIG)
    pinned = journal.entries()
    append(journal, BIG, b"4")
    assert [entry.changes["k"] for entry in pinned] == [b"1", BIG]


class Growing(Journal):
    """Something happens right after somebody has looked where the end is."""

    meanwhile: list[Callable[[], object]]

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "_end" and self.meanwhile:
            self.meanwhile.pop()()
        return value


def test_a_group_appended_between_two_looks_does_not_confuse_a_reader(disk: Disk) -> None:
    journal = disk.open()
    append(journal, b"1")
    Growing.meanwhile = [lambda: append(journal, b"2")]
    journal.__class__ = Growing
    assert (values(journal), values(journal)) == ([b"1"], [b"1", b"2"])


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_threads")
def test_readers_never_see_half_a_group_while_others_are_appended(disk: Disk) -> None:
    journal, done, read = disk.open(), threading.Event(), list[int]()
    failures: list[Exception] = []

    def read_on() -> None:
        try:
            while not done.is_set():
                seqs = [entry.seq for entry in journal.entries(max(1, journal.seq - 8))]
                read.append(seqs[-1] if seqs else 0)
        except Exception as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    readers = [threading.Thread(target=read_on) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(400):
        journal.append([Put({"k": b"%d" % number}), Put({"k": b""})], 1.0, 1.0)
    done.set()
    for reader in readers:
        reader.join(PATIENCE_S)
    assert failures == []
    assert all(seq % 2 == 0 for seq in read)


# -- what is wrong with the files


def lose(disk: Disk) -> None:
    disk.segment(2).unlink()


def empty(disk: Disk) -> None:
    disk.segment(2).write_bytes(b"")


def swap(disk: Disk) -> None:
    shutil.copy(disk.segment(3), disk.segment(2))


def borrow(disk: Disk) -> None:
    """Take the segment of the same number from another store."""
    with closing(Disk(disk.path.parent / "other", b"another store's ")) as other:
        append(other.open(), BIG, BIG, BIG)
        shutil.copy(other.segment(2), disk.segment(2))


def tear(disk: Disk) -> None:
    """Take the frame out of a segment that is not the last."""
    data = disk.segment(2).read_bytes()
    disk.segment(2).write_bytes(data[:HEADER_BYTES] + bytes(len(data) - HEADER_BYTES))


@pytest.mark.parametrize("harm", [lose, empty, swap, borrow, tear])
def test_a_segment_that_is_not_what_it_was_is_named(disk: Disk, harm: Callable[[Disk], None]) -> None:
    append(disk.open(), BIG, BIG, BIG)
    disk.close()
    harm(disk)
    with pytest.raises(StoreDamaged, match=segment_name(2)):
        values(disk.open())


def test_a_frame_that_breaks_while_the_journal_is_open_is_named(disk: Disk) -> None:
    journal = disk.open()
    append(journal, b"1", b"2", b"3")
    data = disk.segment(1).read_bytes()
    disk.segment(1).write_bytes(data[:HEADER_BYTES] + b"?" + data[HEADER_BYTES + 1 :])
    with pytest.raises(StoreDamaged, match=f"{segment_name(1)} at byte {HEADER_BYTES} breaks off.* 3 were committed"):
        values(journal)


def test_a_journal_without_segments_is_damage(disk: Disk) -> None:
    disk.segment(1).unlink()
    with pytest.raises(StoreDamaged, match="no segments"):
        disk.open()


def test_a_journal_does_not_open_for_another_store(disk: Disk) -> None:
    disk.store_id = b"another store's "
    with pytest.raises(StoreDamaged, match="another store"):
        disk.open()


def test_what_an_interrupted_roll_left_is_cleared_away(disk: Disk) -> None:
    (disk.path / "0000000002.new").write_bytes(b"half a segment")
    append(disk.open(), BIG, BIG)
    assert [path.name for path in sorted(disk.path.iterdir())] == [segment_name(1), segment_name(2)]


def test_files_that_are_no_segments_do_no_harm(disk: Disk) -> None:
    (disk.path / "0000000001 (copy).journal").write_bytes(b"somebody's")
    append(disk.open(), b"1")
    assert values(disk.open()) == [b"1"]


def test_opening_changes_nothing_and_a_torn_tail_waits_to_be_cut(disk: Disk) -> None:
    append(disk.open(), b"1")
    with disk.segment(1).open("r+b") as file:
        file.seek(400)
        file.write(b"torn")
    before = disk.segment(1).read_bytes()
    journal = disk.open()
    assert (journal.torn_bytes > 0, disk.segment(1).read_bytes() == before) == (True, True)
    journal.cut_tail()
    append(journal, b"2")
    assert (values(disk.open()), disk.open().torn_bytes) == ([b"1", b"2"], 0)


# -- what is wrong with the disk


@pytest.mark.parametrize("written", [0, 1, 40])
def test_a_write_that_finds_no_room_is_taken_back_and_the_next_one_goes_on(
    disk: Disk, faults: FaultyOs, written: int
) -> None:
    journal = disk.open()
    append(journal, b"1")
    before = disk.segment(1).read_bytes()
    faults.fail("pwrite", FULL, written=written)
    with pytest.raises(StorageFull):
        append(journal, b"refused")
    assert disk.segment(1).read_bytes() == before
    append(journal, b"2")
    assert values(journal) == values(disk.open()) == [b"1", b"2"]


@pytest.mark.parametrize("call", ["open", "posix_fallocate", "pwrite", "fsync"])
def test_a_segment_that_finds_no_room_refuses_what_does_not_fit_and_takes_what_does(
    disk: Disk, faults: FaultyOs, call: str
) -> None:
    journal = disk.open()
    append(journal, BIG)
    faults.fail(call, FULL)
    with pytest.raises(StorageFull):
        append(journal, BIG)
    append(journal, b"fits")
    assert values(disk.open()) == [BIG, b"fits"]


def test_a_rename_that_finds_no_room_refuses_the_write(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = disk.open()
    append(journal, BIG)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", no_room)
        with pytest.raises(StorageFull):
            append(journal, BIG)
    append(journal, b"fits")
    assert (values(disk.open()), disk.open().numbers()) == ([BIG, b"fits"], [1])


def no_room(*_: object) -> None:
    raise OSError(FULL, "No space left on device")


@pytest.mark.parametrize("code", [FULL, BROKEN])
def test_a_new_segment_whose_name_is_not_durable_ends_the_journal(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    journal = disk.open()
    append(journal, BIG)

    def fail(_: Path) -> None:
        raise OSError(code, "the directory")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "sync_directory", fail)
        with pytest.raises(CommitFailed, match="no new journal segment"):
            append(journal, BIG)
    journal = disk.open()
    append(journal, b"2")
    assert values(disk.open()) == [BIG, b"2"]


@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "posix_fallocate"])
def test_a_broken_disk_makes_the_outcome_unknown(disk: Disk, faults: FaultyOs, call: str) -> None:
    journal = disk.open()
    append(journal, BIG if call == "posix_fallocate" else b"1")
    faults.fail(call, BROKEN)
    with pytest.raises(CommitFailed):
        append(journal, BIG if call == "posix_fallocate" else b"2")


def test_a_write_that_cannot_be_taken_back_makes_the_outcome_unknown(disk: Disk, faults: FaultyOs) -> None:
    journal = disk.open()
    faults.fail("pwrite", FULL, times=2, written=5)
    with pytest.raises(CommitFailed, match="taking it back"):
        append(journal, b"1")


def test_one_sync_makes_a_group_durable(disk: Disk, faults: FaultyOs) -> None:
    journal = disk.open()
    faults.calls.clear()
    journal.append([Put({"a": b"1"}), Put({"b": b"2"})], 1.0, 1.0)
    assert faults.calls == ["pwrite", "fdatasync"]


def test_a_journal_that_fails_to_open_keeps_no_file_open(disk: Disk) -> None:
    disk.segment(1).write_bytes(b"nonsense")
    with pytest.raises(StoreDamaged):
        disk.open()
    open_files = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert disk.segment(1) not in open_files
