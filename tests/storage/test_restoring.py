"""Restoring: exactly what was there, at any moment, and nothing overwritten."""

from __future__ import annotations

import random
import shutil
import threading
from pathlib import Path

import pytest
from timeline import START, Timeline, records_in, restore

from pictact_actors import BackupInvalid, NotAStore
from pictact_actors.errors import InvalidValue


@pytest.fixture
def timeline(tmp_path: Path) -> Timeline:
    return Timeline(tmp_path / "game-data", seed=random.getrandbits(32))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def test_a_backup_is_restored_as_the_store_was(timeline: Timeline, place: Path, tmp_path: Path) -> None:
    timeline.live(20)
    info = timeline.backup(place)
    timeline.live(20)
    report = restore(Path(info.path), tmp_path / "restored")
    assert (report.seq, report.records, report.digest) == (info.seq, info.records, info.digest)
    assert records_in(tmp_path / "restored") == timeline.held[info.seq]


def test_of_several_backups_in_a_place_the_latest_is_restored(timeline: Timeline, place: Path, tmp_path: Path) -> None:
    for _ in range(3):
        timeline.live(10)
        info = timeline.backup(place)
    assert restore(place, tmp_path / "restored").seq == info.seq == timeline.seq


@pytest.mark.parametrize("round_number", range(10))
def test_any_commit_can_be_restored(tmp_path: Path, round_number: int) -> None:
    seed = random.getrandbits(32)
    timeline, place = Timeline(tmp_path / "game-data", seed=seed), tmp_path / "backups"
    oldest = None
    for _ in range(4):
        timeline.live(timeline.rng.randint(5, 60))
        if timeline.rng.random() < 0.6:
            timeline.reclaim(urgent=True)
        info = timeline.backup(place)
        if oldest is None:
            oldest = timeline.engine._base.seq
            timeline.keep_in(place)
    timeline.live(20)
    if round_number % 2:
        timeline.engine.close()
        shutil.rmtree(timeline.path / "state")
    assert oldest is not None
    for number in range(20):
        seq = timeline.rng.randint(oldest, timeline.seq)
        path = tmp_path / f"restored{number}"
        assert restore(place, path, to_seq=seq).seq == seq, seed
        assert records_in(path) == timeline.held[seq], (seed, seq)
    assert info.seq < timeline.seq


@pytest.mark.parametrize("round_number", range(4))
def test_any_time_can_be_restored(tmp_path: Path, round_number: int) -> None:
    timeline, place = Timeline(tmp_path / "game-data", seed=round_number), tmp_path / "backups"
    timeline.live(10)
    timeline.backup(place)
    timeline.live(10)
    for number in range(5):
        time = START + timeline.rng.uniform(0, 25)
        report = restore(place, tmp_path / f"restored{number}", to_time=time)
        seq = max(seq for seq, ts in enumerate(timeline.times) if ts <= time)
        assert (report.seq, report.ts) == (seq, timeline.times[seq])
        assert records_in(tmp_path / f"restored{number}") == timeline.held[seq]


def test_a_data_directory_that_is_open_is_a_source_too(timeline: Timeline, tmp_path: Path) -> None:
    timeline.live(30)
    timeline.reclaim(urgent=True)
    timeline.live(30)
    restore(timeline.path, tmp_path / "restored")
    assert records_in(tmp_path / "restored") == timeline.held[-1]
    timeline.live(5)
    assert timeline.seq == len(timeline.held) - 1


def test_a_data_directory_is_a_source_while_space_is_given_back_in_it(timeline: Timeline, tmp_path: Path) -> None:
    timeline.live(30)
    stop = threading.Event()

    def live() -> None:
        while not stop.is_set():
            timeline.live(20)
            timeline.reclaim(urgent=True)

    living = threading.Thread(target=live)
    living.start()
    try:
        reports = [restore(timeline.path, tmp_path / f"restored{number}") for number in range(10)]
    finally:
        stop.set()
        living.join()
    for number, report in enumerate(reports):
        assert records_in(tmp_path / f"restored{number}") == timeline.held[report.seq]
    assert [report.seq for report in reports] == sorted(report.seq for report in reports)


@pytest.mark.parametrize("lost", ["state", "STORE", "LOCK"])
def test_a_data_directory_that_lost_something_is_a_source(timeline: Timeline, tmp_path: Path, lost: str) -> None:
    timeline.live(60)
    timeline.engine.close()
    path = timeline.path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    restore(timeline.path, tmp_path / "restored")
    assert records_in(tmp_path / "restored") == timeline.held[-1]


def test_a_torn_last_frame_does_not_count(timeline: Timeline, tmp_path: Path) -> None:
    timeline.live(10)
    timeline.commit_group(3)
    timeline.engine.close()
    segment = max((timeline.path / "journal").glob("*.journal"))
    data = segment.read_bytes()
    end = len(data.rstrip(b"\0"))
    segment.write_bytes(data[: end - 4] + bytes(len(data) - end + 4))
    report = restore(timeline.path, tmp_path / "restored")
    assert report.seq == timeline.seq - 3
    assert records_in(tmp_path / "restored") == timeline.held[-4]


def test_what_is_broken_in_the_middle_of_a_journal_is_told_and_what_is_before_it_restored(
    timeline: Timeline, tmp_path: Path
) -> None:
    timeline.live(60)
    timeline.engine.close()
    first = min((timeline.path / "journal").glob("*.journal"))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    with pytest.raises(BackupInvalid, match=r"leads to commit \d+ and no further") as refusal:
        restore(timeline.path, tmp_path / "restored")
    seq = int(refusal.value.reason.partition("commit ")[2].partition(" ")[0])
    assert 0 < seq < timeline.seq
    restore(timeline.path, tmp_path / "restored", to_seq=seq)
    assert records_in(tmp_path / "restored") == timeline.held[seq]


def test_a_moment_that_is_not_kept_is_refused_and_the_oldest_named(timeline: Timeline, place: Path) -> None:
    timeline.fill_segments(2)
    timeline.reclaim(urgent=True)
    base_seq = timeline.engine._base.seq
    info = timeline.backup(place)
    for source in (place, Path(info.path), timeline.path):
        with pytest.raises(BackupInvalid, match=f"the oldest moment is commit {base_seq},"):
            restore(source, place.with_name("restored"), to_seq=base_seq - 1)
        with pytest.raises(BackupInvalid, match=f"leads to commit {timeline.seq} and no further"):
            restore(source, place.with_name("restored"), to_seq=timeline.seq + 1)
    assert not place.with_name("restored").exists()


@pytest.mark.parametrize("thing", ["file", "directory", "store", "link"])
def test_nothing_is_overwritten(timeline: Timeline, tmp_path: Path, thing: str) -> None:
    timeline.live(3)
    path = tmp_path / "there"
    match thing:
        case "file":
            path.write_text("mine")
        case "directory":
            path.mkdir()
            (path / "file").write_text("mine")
        case "store":
            path = timeline.path
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    if thing == "link":
        restore(timeline.path, path)
        assert (tmp_path / "elsewhere" / "STORE").exists()
        return
    with pytest.raises(NotAStore, match="nothing is overwritten"):
        restore(timeline.path, path)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_directory_may_be_there(timeline: Timeline, tmp_path: Path) -> None:
    timeline.live(3)
    (tmp_path / "restored").mkdir()
    restore(timeline.path, tmp_path / "restored")
    assert records_in(tmp_path / "restored") == timeline.held[-1]


def test_only_what_a_restore_left_gives_way_to_the_next(timeline: Timeline, tmp_path: Path) -> None:
    timeline.live(3)
    aside = tmp_path / "restored.restoring"
    aside.mkdir()
    (aside / "mine").write_text("mine")
    with pytest.raises(NotAStore, match="holds something else"):
        restore(timeline.path, tmp_path / "restored")
    (aside / "mine").rename(aside / "RESTORING")
    (aside / "store" / "journal").mkdir(parents=True)
    restore(timeline.path, tmp_path / "restored")
    assert not aside.exists()


def test_a_moment_is_a_commit_or_a_time_and_not_both(timeline: Timeline, tmp_path: Path) -> None:
    for to_seq, to_time in ((1, 1.0), (-1, None), (True, None), (None, "1")):
        with pytest.raises(InvalidValue):
            restore(timeline.path, tmp_path / "restored", to_seq=to_seq, to_time=to_time)  # type: ignore[arg-type]
