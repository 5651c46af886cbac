"""A bookmark in the journal: it remembers its place, and nothing is read twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pictact_actors.errors import EntriesGone, StoreDamaged
from pictact_actors.storage.engine import Changes
from pictact_actors.storage.truth.bookmark import JournalBookmark
from pictact_actors.storage.truth.journal import Journal
from pictact_actors.storage.truth.segment import SegmentFile

STORE = b"0123456789abcdef"


class Step(NamedTuple):
    cause: str
    request_id: str | None
    changes: Changes


class Desk:
    """A journal, and how much is read of it."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Journal.create(directory, STORE, 4_096)
        self.journal = Journal.open(directory, STORE, 4_096)
        self.frames = 0
        read = SegmentFile.frame

        def counted(segment: SegmentFile, at: int, chain: bytes) -> Any:
            self.frames += 1
            return read(segment, at, chain)

        monkeypatch.setattr(SegmentFile, "frame", counted)

    def write(self, count: int = 1, *, size: int = 300) -> None:
        self.journal.append([Step("put", None, {"match:a": bytes(size)})] * count, 1.0, 1.0)

    def bookmark(self, from_seq: int, last: int | None = None) -> JournalBookmark:
        return JournalBookmark(self.journal, from_seq, lambda: self.journal.seq if last is None else last)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(tmp_path / "journal", monkeypatch)
    yield desk
    desk.journal.close()


def numbers(bookmark: JournalBookmark, count: int = 1_000) -> list[int]:
    return [entry.seq for entry in bookmark.read(count)]


def test_it_reads_on_from_where_it_was_over_many_segments(desk: Desk) -> None:
    bookmark = desk.bookmark(1)
    for seq in range(1, 101):
        desk.write()
        assert numbers(bookmark) == [seq]
    assert len(desk.journal.numbers()) > 5
    assert desk.frames < 100 + 2 * len(desk.journal.numbers())


def test_it_reads_no_more_than_it_is_asked_for_but_whole_frames(desk: Desk) -> None:
    for _ in range(10):
        desk.write(3, size=10)
    bookmark = desk.bookmark(2)
    assert numbers(bookmark, 1) == [2, 3]
    assert numbers(bookmark, 4) == [4, 5, 6, 7, 8, 9]
    assert desk.frames == 3


def test_it_goes_directly_to_the_segment_it_begins_in(desk: Desk) -> None:
    for _ in range(100):
        desk.write()
    assert numbers(desk.bookmark(95)) == list(range(95, 101))
    assert desk.frames < 30


def test_it_reads_nothing_that_is_not_published(desk: Desk) -> None:
    for _ in range(3):
        desk.write()
    assert numbers(desk.bookmark(1, last=2)) == [1, 2]
    assert numbers(desk.bookmark(4)) == []


def test_a_reader_at_the_end_of_a_segment_does_not_mind_that_it_goes(desk: Desk) -> None:
    bookmark = desk.bookmark(1)
    while len(desk.journal.numbers()) < 2:
        desk.write()
    last = desk.journal.header(2).first_seq - 1
    assert numbers(bookmark, last)[-1] == last
    assert list(desk.journal.remove(last))
    assert numbers(bookmark) == [last + 1]


def test_a_reader_that_is_overtaken_learns_the_first_that_is_kept(desk: Desk) -> None:
    bookmark = desk.bookmark(1)
    while len(desk.journal.numbers()) < 4:
        desk.write()
    assert numbers(bookmark, 1) == [1]
    first_seq = desk.journal.header(3).first_seq
    assert list(desk.journal.remove(first_seq - 1))
    with pytest.raises(EntriesGone) as gone:
        bookmark.read(1)
    assert (gone.value.from_seq, gone.value.first_seq) == (2, first_seq)
    with pytest.raises(EntriesGone):
        desk.bookmark(first_seq - 1)
    assert numbers(desk.bookmark(first_seq), 1) == [first_seq]


def test_damage_is_named_and_what_is_whole_before_it_is_read(desk: Desk) -> None:
    while len(desk.journal.numbers()) < 3:
        desk.write()
    path = desk.journal.path_of(2)
    data = bytearray(path.read_bytes())
    data[-2_000] ^= 1
    path.write_bytes(data)
    bookmark = desk.bookmark(1)
    found = numbers(bookmark)
    assert found == list(range(1, len(found) + 1))
    with pytest.raises(StoreDamaged, match="breaks off at byte"):
        bookmark.read(1)


def test_a_segment_of_another_journal_is_damage(desk: Desk) -> None:
    while len(desk.journal.numbers()) < 3:
        desk.write()
    desk.journal.path_of(2).write_bytes(desk.journal.path_of(1).read_bytes())
    with pytest.raises(StoreDamaged, match="another store or place"):
        desk.bookmark(1).read(1)
