"""Backups that a store takes by itself, and what can be restored from them."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
from games import POST, begin, play, points_of
from opening import Opener
from waiting import until

from pictact_actors import Store
from pictact_actors.storage.backup.backup import verdicts
from pictact_actors.storage.backup.manifest import BackupInfo

SMALL = {
    "journal_segment_bytes": 4096,
    "journal_bytes_max": 16 * 1024,
    "state_buffer_bytes": 64 * 1024,
    "state_cache_bytes": 64 * 1024,
}
SOON_S = 0.02
NEVER_S = 1_000_000.0


def manifests(path: Path) -> list[Path]:
    return sorted((path / "backups").glob("*.backup"))


def test_backups_are_taken_by_themselves_and_the_latest_are_kept(open_store: Opener) -> None:
    store = open_store(backup_interval_s=SOON_S, backups_kept=2)
    begin(store)
    seen: set[Path] = set()

    def played_on() -> bool:
        play(store, {"ann": 1})
        seen.update(manifests(open_store.path))
        return len(seen) > 4

    until(played_on)
    store.close()
    assert 2 <= len(manifests(open_store.path)) <= 3
    assert all(isinstance(verdict, BackupInfo) for _, verdict in verdicts(open_store.path / "backups"))


def test_no_backup_is_taken_unless_it_is_configured(open_store: Opener) -> None:
    begin(open_store())
    assert not (open_store.path / "backups").exists()


def test_after_a_restart_the_next_one_is_due_when_it_would_have_been(open_store: Opener) -> None:
    store = open_store(backup_interval_s=NEVER_S)
    until(lambda: manifests(open_store.path))
    store.close()
    again = open_store(backup_interval_s=NEVER_S)
    begin(again)
    assert again.statistics().backup_seq == 0
    again.close()
    assert len(manifests(open_store.path)) == 1


def test_a_place_that_fails_harms_nobody_and_is_tried_again(
    open_store: Opener, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    place = tmp_path / "elsewhere"
    place.write_text("in the way")
    with caplog.at_level(logging.WARNING, "pictact_actors"):
        store = open_store(backup_interval_s=SOON_S, backup_directory=str(place))
        begin(store)
        until(lambda: "backup_failed" in caplog.text)
        play(store, {"ann": 1})
    assert store.statistics().backup_seq is None
    place.unlink()
    until(lambda: store.statistics().backup_seq)
    assert sum("backup_failed" in record.message for record in caplog.records) <= 2


def test_every_commit_since_the_oldest_kept_backup_can_be_restored(open_store: Opener, tmp_path: Path) -> None:
    store = open_store(**SMALL, backup_interval_s=NEVER_S)
    begin(store)
    until(lambda: store.statistics().backup_seq is not None)
    first = store.statistics().backup_seq
    assert first is not None
    points = 0

    def folded() -> bool:
        nonlocal points
        points += 1
        store.award_points(POST, "ann", 1)
        return store.statistics().base_seq > first + 200

    until(folded)
    last = store.statistics().seq
    for seq in random.sample(range(first + 2, last + 1), 5):
        path = tmp_path / f"restored{seq}"
        assert Store.restore(open_store.path / "backups", path, to_seq=seq).seq == seq
        with Store.open(path, create=False) as restored:
            assert points_of(restored) == {"ann": seq - 1}


def test_what_is_restored_takes_backups_of_its_own(open_store: Opener, tmp_path: Path) -> None:
    store = open_store(backup_interval_s=SOON_S)
    begin(store)
    until(lambda: store.statistics().backup_seq)
    store.close()
    Store.restore(open_store.path / "backups", tmp_path / "restored")
    again = open_store(tmp_path / "restored", backup_interval_s=SOON_S)
    play(again, {"ann": 1})
    until(lambda: again.statistics().backup_seq == again.statistics().seq)
