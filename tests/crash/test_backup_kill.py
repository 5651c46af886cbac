"""Killed while a backup is taken, or while one is restored: what says that it is a backup is one, nothing is half."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from amounts import BACKUP_KILLS, RESTORE_KILLS
from children import Child, Report
from games import begin, play

from pictact_actors import Store, StoreConfig
from pictact_actors.storage.backup.backup import verdicts
from pictact_actors.storage.backup.manifest import BackupInfo

CONFIG = StoreConfig(
    journal_segment_bytes=16 * 1024,
    journal_bytes_max=64 * 1024,
    state_buffer_bytes=64 * 1024,
    state_cache_bytes=64 * 1024,
    cleanup_interval_s=0.02,
    backup_interval_s=0.01,
    backups_kept=3,
)
PLAYERS = [f"player{number}" for number in range(50)]


def back_up(report: Report, path: Path) -> None:
    """Write and take backups by oneself and by schedule, until killed."""
    store = Store.open(path, config=CONFIG)
    report.send("opened")
    post_id = f"t3_{store.statistics().seq}"
    begin(store, post_id)
    while True:
        play(store, dict.fromkeys(PLAYERS, 1), post_id)
        report.send("taken", store.backup(path.with_name("backups")).path)


def restore(report: Report, backup: Path, path: Path) -> None:
    report.send("opened")
    Store.restore(backup, path)
    report.send("restored")


def killed(child: Child, name: str, within_s: float) -> list[str]:
    """Kill a child some time after it has said something; return the backups that it said were taken."""
    events: list[tuple[str, ...]] = []
    with child:
        for event in child.events():
            events.append(event)
            if event[0] == name:
                break
        events += child.events(random.uniform(0, within_s))
        events += child.killed()
    return [event[1] for event in events if event[0] == "taken"]


def test_a_backup_that_was_declared_is_good_whenever_the_store_is_killed(tmp_path: Path) -> None:
    taken: list[str] = []
    for _ in range(BACKUP_KILLS):
        taken += killed(Child(back_up, tmp_path / "game-data"), "opened", 0.08)
        for place in (tmp_path / "backups", tmp_path / "game-data" / "backups"):
            if list(place.glob("*.backup")):
                found = list(verdicts(place))
                assert all(isinstance(verdict, BackupInfo) for _, verdict in found), found
    assert taken
    assert all(Path(path).exists() for path in taken)
    Store.restore(random.choice(taken), tmp_path / "restored")
    for path in (tmp_path / "restored", tmp_path / "game-data"):
        with Store.open(path, create=False) as store:
            assert store.check() == []


def test_a_killed_restore_leaves_nothing_or_everything(tmp_path: Path) -> None:
    with Store.open(tmp_path / "game-data", config=CONFIG) as store:
        begin(store)
        for number in range(20):
            play(store, dict.fromkeys(PLAYERS, number))
        info = store.backup(tmp_path / "backups")
    whole = 0
    for number in range(RESTORE_KILLS):
        path = tmp_path / "restored"
        killed(Child(restore, tmp_path / "backups", path), "opened", 0.2)
        if path.exists():
            whole += 1
            with Store.open(path, create=False) as store:
                assert store.check() == []
                assert store.statistics().seq == info.seq
            shutil.rmtree(path)
        elif number == RESTORE_KILLS - 1:
            assert Store.restore(info, path).seq == info.seq
