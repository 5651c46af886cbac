"""Backups: whole or none at all, and sharing what they have in common."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from timeline import Timeline, records_in, restore

from pictact_actors import BackupInvalid, StorageFull, StoreDamaged
from pictact_actors.storage.backup import backup, place
from pictact_actors.storage.backup.backup import verdicts
from pictact_actors.storage.backup.manifest import BackupInfo, read_manifest
from pictact_actors.storage.backup.place import Place
from pictact_actors.storage.truth.segment import crc_of


@pytest.fixture
def timeline(tmp_path: Path) -> Timeline:
    timeline = Timeline(tmp_path / "game-data", seed=random.getrandbits(32))
    timeline.live(20)
    timeline.fill_segments(2)
    return timeline


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def good(home: Path) -> list[bool]:
    return [isinstance(verdict, BackupInfo) for _, verdict in verdicts(home)]


def files(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


def test_backups_share_the_files_that_they_have_in_common(timeline: Timeline, home: Path) -> None:
    timeline.reclaim(urgent=True)
    first = timeline.backup(home)
    timeline.commit_group(1)
    second = timeline.backup(home)
    assert first.copied_bytes == first.size_bytes
    assert 0 < second.copied_bytes < second.size_bytes // 2
    assert good(home) == [True, True]


def test_a_second_backup_of_the_same_moment_is_the_same(timeline: Timeline, home: Path) -> None:
    first, second = timeline.backup(home), timeline.backup(home)
    assert (first.path, first.digest, second.copied_bytes) == (second.path, second.digest, 0)
    assert good(home) == [True]


def test_the_digest_says_the_same_whatever_the_files_are(timeline: Timeline, tmp_path: Path) -> None:
    before = timeline.backup(tmp_path / "before")
    timeline.reclaim(urgent=True)
    after = timeline.backup(tmp_path / "after")
    assert (before.digest, before.records) == (after.digest, after.records)


def test_an_empty_store_has_a_backup(tmp_path: Path, home: Path) -> None:
    info = Timeline(tmp_path / "empty").backup(home)
    assert (info.seq, info.records) == (0, 0)
    restore(home, tmp_path / "restored")
    assert records_in(tmp_path / "restored") == {}


def test_nothing_that_a_backup_is_copying_is_removed(timeline: Timeline, home: Path, tmp_path: Path) -> None:
    snapshot = timeline.engine.capture()
    taking = backup.taken(snapshot, Place(home), 1.0, math.inf)
    next(taking)
    seq = timeline.seq
    timeline.fill_segments(3)
    timeline.reclaim(urgent=True)
    info = backup.finished(taking)
    assert info.seq == seq
    restore(home, tmp_path / "restored")
    restored = records_in(tmp_path / "restored")
    timeline.engine.close()
    assert restored == dict(restored)
    assert restore(timeline.path, tmp_path / "now").seq > seq


def test_a_pool_file_that_rotted_is_copied_again(timeline: Timeline, home: Path) -> None:
    timeline.reclaim(urgent=True)
    timeline.backup(home)
    layer = next((home / "pool").glob("*.layer"))
    damage(layer)
    assert good(home) == [False]
    timeline.backup(home)
    assert good(home) == [True]


def test_a_state_that_shows_something_else_makes_no_backup(timeline: Timeline, home: Path) -> None:
    timeline.engine._state._active["stray"] = b"x"
    with pytest.raises(StoreDamaged, match="run `check`"):
        timeline.backup(home)
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["LOCK"]


def test_a_place_is_for_one_store(timeline: Timeline, home: Path, tmp_path: Path) -> None:
    timeline.backup(home)
    with pytest.raises(BackupInvalid, match="backups of another store"):
        Timeline(tmp_path / "other").backup(home)
    assert good(home) == [True]


def test_a_place_takes_one_backup_at_a_time(timeline: Timeline, home: Path) -> None:
    with Place(home).writing(), pytest.raises(BackupInvalid, match="another backup is being written"):
        timeline.backup(home)
    timeline.backup(home)


# -- a disk that fails


class Failing:
    """Calls of `os` that fail from the n-th on."""

    def __init__(self, count: int, code: int) -> None:
        self.left = count
        self.code = code

    def __call__(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise OSError(self.code, os.strerror(self.code))
            return real(*args, **options)

        return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("fails_at", range(12))
def test_what_fails_half_way_is_no_backup_and_leaves_nothing(
    timeline: Timeline, home: Path, monkeypatch: pytest.MonkeyPatch, code: int, fails_at: int
) -> None:
    timeline.backup(home)
    before = files(home)
    timeline.live(30)
    failing = Failing(fails_at, code)
    with monkeypatch.context() as patch:
        patch.setattr(place, "write_all", failing(place.write_all))
        patch.setattr(place, "write_durably", failing(place.write_durably))
        patch.setattr(place, "sync_directory", failing(place.sync_directory))
        try:
            timeline.backup(home)
        except (StorageFull, BackupInvalid) as error:
            assert isinstance(error, StorageFull) is (code == errno.ENOSPC)  # noqa: PT017 - it may also succeed
            left = files(home)
            assert left == before or len([name for name in left if name.endswith(".backup")]) == 2
        assert all(good(home))
    timeline.backup(home)
    assert all(good(home))


def test_no_room_is_noticed_before_anything_is_copied(timeline: Timeline, home: Path) -> None:
    with pytest.raises(StorageFull, match=r"needs [0-9,]+ bytes"):
        backup.finished(backup.taken(timeline.engine.capture(), Place(home), 1.0, 1000))
    assert not list((home / "pool").iterdir())


# -- backups that are none


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def delete(path: Path) -> None:
    path.unlink()


def swap(path: Path) -> None:
    path.write_bytes(b"something else of the kind that lies about\n")


HARMS = (damage, truncate, empty, zero, delete, swap)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_a_backup_with_any_file_harmed_is_refused_and_names_it(
    timeline: Timeline, home: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    timeline.reclaim(urgent=True)
    timeline.live(20)
    info = timeline.backup(home)
    for name in sorted(files(home).keys() - {"LOCK"}):
        harmed = tmp_path / "harmed"
        shutil.copytree(home, harmed)
        harm(harmed / name)
        with pytest.raises(BackupInvalid) as refusal:
            restore(harmed / Path(info.path).name, tmp_path / "restored")
        assert str(harmed / name) in str(refusal.value)
        assert not (tmp_path / "restored").exists()
        assert not list(tmp_path.glob("*.restoring"))
        if (harmed / Path(info.path).name).exists():
            assert good(harmed) == [False]
        shutil.rmtree(harmed)


def test_what_is_no_backup_is_refused_with_the_reason(tmp_path: Path) -> None:
    things = {
        "missing": "there is nothing of that name",
        "empty": "neither backups nor the journal",
        "text": "not the file of a backup",
        "nothing": "it is empty",
        "torn": "no complete backup",
        "lost": "no other file says which store",
    }
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("dear diary")
    (tmp_path / "nothing").write_bytes(b"")
    (tmp_path / "torn" / "pool").mkdir(parents=True)
    (tmp_path / "lost" / "journal").mkdir(parents=True)
    for name, reason in things.items():
        with pytest.raises(BackupInvalid, match=reason):
            restore(tmp_path / name, tmp_path / "restored")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"store": "00"},
        {"files": []},
        {"files": [{"name": "../../etc/passwd", "pooled": "a.journal", "sizeBytes": 1, "digest": "00"}]},
        {"files": [{"name": "journal/0000000001.journal", "pooled": "../../x", "sizeBytes": 1, "digest": "00"}]},
        {"seq": "many"},
        {"seq": None},
        {"digest": 7},
    ],
    ids=["newer", "no store", "no files", "a path out", "a pool out", "no number", "null", "no digest"],
)
def test_a_manifest_that_says_what_it_must_not_is_refused(
    timeline: Timeline, home: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = Path(timeline.backup(home).path)
    body = json.dumps({**json.loads(path.read_bytes().partition(b"\n")[0]), **change}).encode()
    path.write_bytes(body + b"\n" + crc_of(body).hex().encode() + b"\n")
    with pytest.raises(BackupInvalid, match="does not read as a backup"):
        restore(path, tmp_path / "restored")


def test_a_backup_that_says_another_digest_is_refused(timeline: Timeline, home: Path, tmp_path: Path) -> None:
    path = Path(timeline.backup(home).path)
    body = json.dumps({**json.loads(path.read_bytes().partition(b"\n")[0]), "digest": "00" * 16}).encode()
    path.write_bytes(body + b"\n" + crc_of(body).hex().encode() + b"\n")
    assert good(home) == [False]
    with pytest.raises(BackupInvalid, match="or others than the backup says"):
        restore(path, tmp_path / "restored")


def test_an_older_backup_helps_where_the_latest_is_damaged(timeline: Timeline, home: Path, tmp_path: Path) -> None:
    first = timeline.backup(home)
    timeline.live(10)
    second = timeline.backup(home)
    damage(Path(second.path))
    with pytest.raises(BackupInvalid, match="damaged or truncated"):
        restore(home, tmp_path / "restored")
    restore(home, tmp_path / "restored", to_seq=second.seq)
    assert records_in(tmp_path / "restored") == timeline.held[second.seq] if len(timeline.held) > second.seq else True
    assert first.seq < second.seq


# -- keeping some


def test_pruning_keeps_the_latest_and_what_they_need(timeline: Timeline, home: Path, tmp_path: Path) -> None:
    seqs = []
    for _ in range(5):
        timeline.live(10)
        timeline.reclaim(urgent=True)
        seqs.append(timeline.backup(home).seq)
    pool_before = len(files(home / "pool"))
    assert Place(home).prune(2) == 2
    assert [read_manifest(path).seq for path in Place(home).manifest_paths()] == seqs[-2:]
    assert good(home) == [True, True]
    assert len(files(home / "pool")) < pool_before
    restore(home, tmp_path / "restored")


def test_a_history_that_forks_is_not_guessed_at(timeline: Timeline, home: Path, tmp_path: Path) -> None:
    info = timeline.backup(home)
    restore(home, tmp_path / "restored")
    other = Timeline(tmp_path / "restored", seed=timeline.seed + 1)
    other.keep_in(home)
    timeline.keep_in(home)
    for one in (other, timeline):
        for _ in range(120):
            one.commit_group(1)
        one.fold()
    with pytest.raises(BackupInvalid, match="two histories go on from it"):
        restore(home, tmp_path / "which", to_seq=info.seq + 10)
    restore(home, tmp_path / "before", to_seq=info.seq)
    later = other.backup(home)
    restore(Path(later.path), tmp_path / "other", to_seq=later.seq - 1)
