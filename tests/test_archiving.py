"""Details of analytics: kept for thirty days, then in the archive or gone, each once, whatever happens meanwhile."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from expiring import DAY_S, NOW, QUIET
from faulty import FULL, faulty_os
from games import POST, begin
from opening import MEMORY, Opener
from waiting import until

from pictact_actors import Observation, RecordAnalytics, StorageFull, Store, archiving
from pictact_actors.storage import archive
from pictact_actors.testing import ManualClock

MONTH_S = 30 * DAY_S
HOUR_S = 3_600.0
Archived = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def store(open_store: Opener, clock: ManualClock) -> Store:
    """A store on a disk, with a match, that is cleaned up only when it is told to."""
    store = open_store(clock=clock, **QUIET)
    begin(store)
    return store


@pytest.fixture
def archived(open_store: Opener) -> Archived:
    """Every line of the archive, file by file in the order of their names, read as anybody would."""

    def read() -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for file in sorted((open_store.path / "archive").glob("*.jsonl.gz")):
            with gzip.open(file, "rt", encoding="utf-8") as text:
                lines += map(json.loads, text)
        return lines

    return read


def observe(store: Store, count: int, post_id: str = POST) -> None:
    for reply in store.submit([RecordAnalytics(post_id, invalid_rate=number / 8) for number in range(count)]):
        reply.get()


def details(store: Store) -> list[Observation]:
    return [record for _, record in store.scan("observation:") if isinstance(record, Observation)]


def test_every_observation_is_kept_as_a_detail(store: Store) -> None:
    store.record_analytics(POST, invalid_rate=0.5, avg_solve_time=30)
    store.record_analytics(POST, participation_rate=0.25)
    assert store.get(f"observation:{POST}:1") == Observation(
        POST, 1, 0.5, 30, subreddit="pics", created_at=NOW, updated_at=NOW
    )
    assert [detail.participation_rate for detail in details(store)] == [None, 0.25]


def test_a_detail_is_archived_after_thirty_days_to_the_second(
    store: Store, clock: ManualClock, archived: Archived
) -> None:
    store.record_analytics(POST, invalid_rate=0.5, avg_solve_time=30)
    clock.set(NOW + MONTH_S - 1)
    assert store.cleanup().details == 0
    clock.advance(1)
    assert store.cleanup().details == 1
    assert archived() == [
        {
            "postId": POST,
            "seq": 1,
            "observedAt": NOW,
            "invalidRate": 0.5,
            "avgSolveTime": 30,
            "modResponsiveness": None,
            "participationRate": None,
            "subreddit": "pics",
        }
    ]
    assert details(store) == []
    assert store.analytics(POST).invalid_rate == 0.5


def test_details_outlive_their_match(store: Store, clock: ManualClock, archived: Archived) -> None:
    observe(store, 3)
    store.complete_match(POST)
    clock.advance(8 * DAY_S)
    assert store.cleanup().matches == 1
    assert len(details(store)) == 3
    clock.advance(MONTH_S)
    store.cleanup()
    assert [line["subreddit"] for line in archived()] == ["pics"] * 3


def test_each_detail_is_archived_once(store: Store, clock: ManualClock, archived: Archived) -> None:
    begin(store, "t3_b")
    for day in range(40):
        observe(store, 3)
        observe(store, day % 4, "t3_b")
        clock.advance(DAY_S)
        store.cleanup()
    live = Counter((detail.post_id, detail.seq) for detail in details(store))
    there = Counter((line["postId"], line["seq"]) for line in archived())
    assert live.keys() & there.keys() == set()
    assert there + live == Counter([(POST, seq) for seq in range(1, 121)] + [("t3_b", seq) for seq in range(1, 61)])
    assert [line["observedAt"] for line in archived()] == sorted(line["observedAt"] for line in archived())


def test_a_large_backlog_makes_several_files(
    store: Store, clock: ManualClock, archived: Archived, monkeypatch: pytest.MonkeyPatch, open_store: Opener
) -> None:
    monkeypatch.setattr(archiving, "_LINES_MAX", 100)
    observe(store, 950)
    clock.advance(MONTH_S)
    assert store.cleanup().details == 950
    assert sorted(line["seq"] for line in archived()) == list(range(1, 951))
    files = sorted(file.name for file in (open_store.path / "archive").glob("*.gz"))
    assert len(files) == 10
    assert [(entry.archive, entry.removed["observation"]) for entry in store.audit()] == [
        (name, 50 if name == files[-1] else 100) for name in files
    ]


def test_an_old_detail_that_is_put_back_is_archived_too(store: Store, clock: ManualClock, archived: Archived) -> None:
    observe(store, 2)
    clock.advance(MONTH_S)
    store.cleanup()
    late = Observation(POST, 9, 0.75, created_at=NOW, updated_at=NOW)
    store.put_many({late.key: late})
    assert store.cleanup().details == 1
    assert [line["seq"] for line in archived()] == [1, 2, 9]


def test_a_detail_that_is_deleted_or_moved_leaves_no_trace_in_the_index(store: Store, clock: ManualClock) -> None:
    observe(store, 2)
    with store.transaction() as tx:
        tx.delete(f"observation:{POST}:1")
        tx.put(f"observation:{POST}:2", Observation(POST, 2, created_at=NOW + DAY_S))
    clock.advance(MONTH_S)
    assert store.cleanup().details == 0
    clock.advance(DAY_S)
    assert store.cleanup().details == 1
    assert list(store.runtime.engine.scan("due:observed:")) == []


def test_a_detail_that_changes_while_it_is_archived_stays(
    store: Store, clock: ManualClock, archived: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe(store, 2)
    clock.advance(MONTH_S)
    write = archive.Archive.write

    def interrupted(self: archive.Archive, *args: Any) -> str:
        name = write(self, *args)
        store.put_many({f"observation:{POST}:2": Observation(POST, 2, 0.99, created_at=NOW)})
        monkeypatch.undo()
        return name

    monkeypatch.setattr(archive.Archive, "write", interrupted)
    assert store.cleanup().details == 1
    assert [detail.invalid_rate for detail in details(store)] == [0.99]
    store.cleanup()
    assert [(line["seq"], line["invalidRate"]) for line in archived()] == [(1, 0.0), (2, 0.125), (2, 0.99)]


@pytest.mark.parametrize("where", [None, MEMORY])
def test_without_an_archive_details_are_removed(open_store: Opener, clock: ManualClock, where: str | None) -> None:
    store = open_store(where, clock=clock, observation_archive=where is not None, **QUIET)
    begin(store)
    observe(store, 5)
    clock.advance(MONTH_S)
    assert store.cleanup().details == 5
    assert details(store) == []
    assert not (open_store.path / "archive").exists()
    assert [(entry.reason, entry.archive, entry.removed) for entry in store.audit()] == [
        ("discarded", "", {"observation": 5})
    ]


def test_by_itself_the_janitor_archives_whole_hours(open_store: Opener, clock: ManualClock, archived: Archived) -> None:
    clock.set(NOW // HOUR_S * HOUR_S + 60)
    store = open_store(clock=clock, cleanup_interval_s=0.01)
    begin(store)
    observe(store, 1)
    clock.advance(HOUR_S / 2)
    observe(store, 1)
    clock.advance(MONTH_S - HOUR_S / 2)
    assert len(details(store)) == 2
    clock.advance(HOUR_S)
    until(lambda: not details(store) and len(archived()) == 2)
    assert len(list((open_store.path / "archive").glob("*.gz"))) == 1


def test_a_full_disk_holds_up_the_archive_and_nothing_else(
    store: Store, clock: ManualClock, archived: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe(store, 3)
    store.complete_match(POST)
    clock.advance(MONTH_S)
    disk = faulty_os(monkeypatch, archive)
    disk.fail("fsync", FULL)
    with pytest.raises(StorageFull):
        store.cleanup()
    assert [entry.post_id for entry in store.audit()] == [POST]
    assert len(details(store)) == 3
    assert store.cleanup().details == 3
    assert len(archived()) == 3


def test_a_file_that_cannot_be_read_back_takes_nothing_out_of_the_store(
    store: Store, clock: ManualClock, archived: Archived, monkeypatch: pytest.MonkeyPatch, open_store: Opener
) -> None:
    observe(store, 300)
    clock.advance(MONTH_S)
    write = archive.Archive.write

    def harmed(self: archive.Archive, *args: Any) -> str:
        name = write(self, *args)
        file = self._path / f"{name}.pending"
        file.write_bytes(b"\x1f\x8b" + file.read_bytes()[7:])
        monkeypatch.undo()
        return name

    monkeypatch.setattr(archive.Archive, "write", harmed)
    assert store.cleanup().details == 0
    (problem,) = store.check()
    assert problem.key.endswith(".damaged")
    assert store.cleanup().details == 300
    assert len(archived()) == 300
    (open_store.path / "archive" / problem.key).unlink()


def test_the_archive_survives_a_check_and_another_opening(
    open_store: Opener, store: Store, clock: ManualClock, archived: Archived
) -> None:
    observe(store, 3)
    clock.advance(MONTH_S)
    store.cleanup()
    assert store.check() == []
    store.close()
    again = open_store(clock=clock, **QUIET)
    assert again.statistics().archive_bytes > 0
    assert len(archived()) == 3
    (file,) = (open_store.path / "archive").glob("*.gz")
    copy = open_store.path / "archive" / "copies" / file.name
    whole = file.read_bytes()
    for one in (file, copy):
        one.write_bytes(whole[:-4])
    assert [(problem.kind, problem.key) for problem in again.check()] == [("archive", file.name)]
    file.write_bytes(whole)


def test_an_archive_that_was_moved_away_with_its_copies_is_no_problem(
    store: Store, clock: ManualClock, archived: Archived, open_store: Opener
) -> None:
    for _ in range(2):
        observe(store, 3)
        clock.advance(MONTH_S)
        store.cleanup()
        (file,) = (open_store.path / "archive").glob("*.gz")
        assert len(archived()) == 3
        file.rename(open_store.path.with_name(file.name))
        (open_store.path / "archive" / "copies" / file.name).unlink()
        assert store.check() == []


def test_a_directory_with_an_archive_that_lost_its_identity_gets_it_back(
    store: Store, clock: ManualClock, open_store: Opener
) -> None:
    observe(store, 1)
    clock.advance(MONTH_S)
    store.cleanup()
    store.close()
    whole = (open_store.path / "STORE").read_bytes()
    (open_store.path / "STORE").unlink()
    assert open_store(clock=clock, **QUIET).check() == []
    assert (open_store.path / "STORE").read_bytes() == whole
