"""Backups of a store that is in use: one moment, whatever goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from games import POST, begin, play, points_of
from opening import MEMORY, Opener
from waiting import PATIENCE_S, until

from pictact_actors import AsyncStore, BackupInvalid, InvalidValue, Store, StoreClosed, StoreConfig
from pictact_actors.storage.backup import backup
from pictact_actors.testing import ManualClock

SMALL = {
    "journal_segment_bytes": 16 * 1024,
    "journal_bytes_max": 64 * 1024,
    "state_buffer_bytes": 64 * 1024,
    "state_cache_bytes": 64 * 1024,
}
WRITERS = 16
GAP_S_MAX = 0.05


@contextmanager
def writing(store: Store) -> Iterator[list[int]]:
    """Have many writers give points, and count what each of them had acknowledged."""
    done = [0] * WRITERS
    stop = threading.Event()

    def write(number: int) -> None:
        while not stop.is_set():
            store.award_points(POST, f"player{number}", 1)
            done[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    until(lambda: all(done))
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)


def restored_points(backup: Path | str, path: Path) -> dict[str, int]:
    Store.restore(backup, path)
    with Store.open(path, create=False) as store:
        assert store.check() == []
        return points_of(store)


def test_a_backup_while_others_write_holds_what_was_acknowledged_before_it(open_store: Opener, tmp_path: Path) -> None:
    store = open_store(**SMALL)
    begin(store)
    with writing(store) as done:
        for number in range(3):
            before = list(done)
            info = store.backup(tmp_path / "backups")
            after = list(done)
            found = restored_points(info.path, tmp_path / f"restored{number}")
            points = [found[f"player{number}"] for number in range(WRITERS)]
            assert all(low <= at <= high + 1 for low, at, high in zip(before, points, after, strict=True))
            assert sum(points) == info.seq - 1


def test_a_backup_goes_on_while_old_matches_are_removed_and_space_is_given_back(
    open_store: Opener, tmp_path: Path
) -> None:
    clock = ManualClock(1_700_000_000)
    store = open_store(**SMALL, clock=clock)
    for number in range(20):
        begin(store, f"old{number}")
        play(store, dict.fromkeys((f"player{player}" for player in range(30)), 1), f"old{number}")
        store.complete_match(f"old{number}")
    begin(store)
    clock.advance(8 * 86_400)
    cleaning = threading.Thread(target=store.cleanup)
    cleaning.start()
    infos = [store.backup(tmp_path / "backups") for _ in range(4)]
    cleaning.join(PATIENCE_S)
    for number, info in enumerate(infos):
        Store.restore(info, tmp_path / f"restored{number}")
        with Store.open(tmp_path / f"restored{number}", clock=clock) as restored:
            assert restored.check() == []
            assert restored.lifetime("player1").matches_played == 20


def test_a_store_without_files_has_no_backup(open_store: Opener, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="has no files to back up"):
        open_store(MEMORY).backup(tmp_path / "backups")


def test_without_a_directory_the_configured_place_is_used(open_store: Opener, tmp_path: Path) -> None:
    assert Path(open_store().backup().path).parent == tmp_path / "game-data" / "backups"
    elsewhere = open_store(tmp_path / "other", backup_directory=str(tmp_path / "elsewhere"))
    assert Path(elsewhere.backup().path).parent == tmp_path / "elsewhere"


def test_a_directory_that_cannot_be_made_is_refused(open_store: Opener, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BackupInvalid, match="cannot be written"):
        open_store(tmp_path / "data").backup(tmp_path / "file" / "backups")


def test_statistics_show_the_last_backup(open_store: Opener) -> None:
    clock = ManualClock(1_700_000_000)
    store = open_store(clock=clock)
    assert (store.statistics().backup_seq, store.statistics().backup_age_s) == (None, None)
    begin(store)
    store.backup()
    clock.advance(60)
    play(store, {"ann": 1})
    assert (store.statistics().backup_seq, store.statistics().backup_age_s) == (1, 60)
    store.close()
    assert open_store(clock=clock).statistics().backup_seq == 1


def test_a_closed_store_takes_no_backup(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data")
    store.close()
    with pytest.raises(StoreClosed):
        store.backup(tmp_path / "backups")


def test_closing_ends_a_backup_which_is_none_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path / "data", config=StoreConfig(**SMALL))  # type: ignore[arg-type]  # whole numbers
    begin(store)
    monkeypatch.setattr("pictact_actors.backups._WORK_S", -1.0)
    monkeypatch.setattr("pictact_actors.backups._PAUSE_S", PATIENCE_S)
    ended: list[BaseException] = []

    def back_up() -> None:
        try:
            store.backup(tmp_path / "backups")
        except StoreClosed as error:
            ended.append(error)

    taking = threading.Thread(target=back_up)
    taking.start()
    until((tmp_path / "backups" / "LOCK").exists)
    store.close()
    taking.join(PATIENCE_S)
    assert len(ended) == 1
    assert not list((tmp_path / "backups").glob("*.backup"))


def test_a_backup_begins_again_when_the_state_was_opened_anew_meanwhile(
    open_store: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    begin(store)
    taken, attempts = backup.taken, []

    def interrupted(*args: Any) -> Any:
        attempts.append(1)
        if len(attempts) < 3:
            raise StoreClosed("the state was reopened during this read; read again")
        return taken(*args)

    monkeypatch.setattr(backup, "taken", interrupted)
    assert store.backup(tmp_path / "backups").seq == 1
    monkeypatch.setattr(backup, "taken", lambda *_: interrupted_for_ever())
    with pytest.raises(StoreClosed, match="read again"):
        store.backup(tmp_path / "backups")


def interrupted_for_ever() -> None:
    raise StoreClosed("the state was reopened during this read; read again")


def test_nobody_is_frozen_by_a_backup(open_store: Opener, tmp_path: Path) -> None:
    store = open_store()
    begin(store)
    for number in range(5):
        play(store, dict.fromkeys((f"player{player}" for player in range(2_000)), number))
    gaps: list[float] = []
    stop = threading.Event()

    def beat() -> None:
        last = monotonic()
        while not stop.wait(0.001):
            gaps.append(monotonic() - last)
            last = monotonic()

    beating = threading.Thread(target=beat)
    beating.start()
    store.backup(tmp_path / "backups")
    stop.set()
    beating.join(PATIENCE_S)
    assert sorted(gaps)[-2] < GAP_S_MAX * 4, "longer than a busy machine takes a thread away"


def test_the_asynchronous_store_has_backups_too(tmp_path: Path) -> None:
    async def evening() -> int:
        async with AsyncStore.open(tmp_path / "data") as store:
            await store.add_trophy("ann", "gold")
            info = await store.backup(tmp_path / "backups")
        await AsyncStore.restore(info, tmp_path / "restored")
        return info.seq

    assert asyncio.run(evening()) == 1
    with Store.open(tmp_path / "restored", create=False) as store:
        assert store.lifetime("ann").trophies == ["gold"]
