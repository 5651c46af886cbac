"""A place for backups on a disk that fills to its last byte: it says so, keeps what it has, and goes on with room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import KIB, SmallDisk, opened, small_disk_at
from games import begin, play, points_of

from pictact_actors import BackupInfo, StorageFull, Store
from pictact_actors.storage.backup import backup
from pictact_actors.storage.backup.backup import verdicts

PLAYERS = {f"user{number}": number + 1 for number in range(300)}
SPARE_KIB = (0, 4, 8, 12, 20, 28, 40)
"""Room for nothing, for some of the files, and for all of them but the manifest."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store on another disk, with a match."""
    with opened(tmp_path / "game-data") as store:
        begin(store)
        play(store, dict.fromkeys(PLAYERS, 1))
        yield store
        assert store.check() == []


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk_at(tmp_path / "destination", 1024 * KIB) as disk:
        yield disk


def require_whole_backups(disk: SmallDisk, taken: list[BackupInfo], home: Path) -> None:
    """What was declared is there and good, and restores; there is nothing else."""
    place = disk.path / "backups"
    assert [path.name for path, _ in verdicts(place)] == [Path(info.path).name for info in taken]
    assert all(isinstance(verdict, BackupInfo) for _, verdict in verdicts(place))
    assert not [path for path in place.rglob("*") if path.suffix == ".new"]
    restored = home / f"restored-{len(list(home.iterdir()))}"
    assert Store.restore(place, restored).seq == taken[-1].seq


def unforeseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room that goes while a backup is written cannot be foreseen."""
    monkeypatch.setattr(backup, "_require_room", lambda *_: None)


@pytest.mark.parametrize("surprise", [lambda _: None, unforeseen], ids=["foreseen", "unforeseen"])
def test_a_backup_to_a_disk_that_is_full_says_so_and_the_earlier_one_stays_good(
    store: Store,
    destination: SmallDisk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    surprise: Callable[[pytest.MonkeyPatch], None],
) -> None:
    place = destination.path / "backups"
    taken = [store.backup(place)]
    play(store, PLAYERS)
    surprise(monkeypatch)
    refused = 0
    for spare in SPARE_KIB:
        destination.fill(spare=spare * KIB)
        try:
            taken.append(store.backup(place))
        except StorageFull as full:
            refused += 1
            assert str(place) in full.cause  # noqa: PT017 - those with enough room are good
        require_whole_backups(destination, taken, tmp_path)
        destination.free()
        play(store, {"another": 1})
    assert refused >= 2
    taken.append(store.backup(place))
    require_whole_backups(destination, taken, tmp_path)
    assert points_of(store)["another"] == len(SPARE_KIB)
