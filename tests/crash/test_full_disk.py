"""A disk that is full: a clear error, reads go on, nothing acknowledged is lost, and writes come back with the room."""

from __future__ import annotations

import random
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import KIB, SmallDisk, awards, opened, small_disk_at
from games import POST, begin, play
from waiting import until

from pictact_actors import StorageFull, Store
from pictact_actors.storage.state import state as state_module


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk_at(tmp_path / "disk", 4096 * KIB) as disk:
        yield disk


class Writers:
    """Threads that award points until they are refused, and what was acknowledged to them."""

    def __init__(self, store: Store, count: int = 3) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.acknowledged: Counter[str] = Counter()
        self.refusals: list[Exception] = []
        self._threads = [threading.Thread(target=self._write, args=(random.Random(place),)) for place in range(count)]

    def _write(self, rng: random.Random) -> None:
        try:
            while True:
                user = f"user{rng.randrange(500)}"
                self._store.award_points(POST, user, 1, request_id=f"{rng.random()}")
                with self._lock:
                    self.acknowledged[user] += 1
        except Exception as error:  # noqa: BLE001 - the test says which ones may come
            self.refusals.append(error)

    def run(self) -> None:
        """Write until all are refused."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)


def test_a_disk_that_fills_up_refuses_writes_loses_nothing_and_goes_on_when_there_is_room(
    small_disk: SmallDisk,
) -> None:
    path = small_disk.path / "game-data"
    with opened(path) as store:
        begin(store)
        small_disk.fill(spare=512 * KIB)
        writers = Writers(store)
        writers.run()
        assert {type(error) for error in writers.refusals} == {StorageFull}
        assert awards(store) == writers.acknowledged
        assert {at.user: at.points for at in store.leaderboard(POST, limit=1_000)} == writers.acknowledged
        small_disk.free()
        until(lambda: _works(store))
        play(store, {"after": 1})
        assert store.check() == []
    with opened(path) as store:
        assert store.check() == []
        assert awards(store) == writers.acknowledged + Counter(after=1)


def _works(store: Store) -> bool:
    try:
        store.create_match("t3_room", subreddit="s", rounds_total=1, theme="t", created_by="mod", request_id="room")
    except StorageFull:
        return False
    return True


def test_reads_go_on_while_the_state_has_no_room_although_the_journal_has(
    small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "_GATHER_S", 0.01)
    monkeypatch.setattr(state_module, "_RETRY_S", 0.01)
    path = small_disk.path / "game-data"
    with opened(path, state_buffer_bytes=64 * KIB, cache_bytes_max=1, journal_segment_bytes=1024 * KIB) as store:
        begin(store)
        play(store, {f"early{number}": number for number in range(100)})
        state = store.runtime.engine._state
        until(lambda: not state.pending())
        small_disk.fill()
        written = 0
        with pytest.raises(StorageFull, match="no room"):  # noqa: PT012 - the last of many
            while True:
                play(store, {f"late{written}": written})
                written += 1
        assert store.score(POST, "early42").points == 42
        assert len(list(store.scan(f"score:{POST}:"))) == 100 + written
        small_disk.free()
        until(lambda: not state.pending())
        assert store.check() == []
    with opened(path) as store:
        assert len(awards(store)) >= 100 + written - 1  # zero points count as none
        assert store.check() == []


@pytest.fixture
def crashed(small_disk: SmallDisk) -> Path:
    """A directory as a crash leaves it, with points for 100 players and as much ballast as there may be."""
    path = small_disk.path / "game-data"
    with opened(path) as store:
        begin(store)
        play(store, {f"user{number}": 1 for number in range(100)})
        until((path / "ballast").exists)
        subprocess.run(["cp", "-r", str(path), str(small_disk.path / "crashed")], check=True)  # noqa: S607
    return small_disk.path / "crashed"


def test_opening_without_any_room_says_so_and_harms_nothing(small_disk: SmallDisk, crashed: Path) -> None:
    (crashed / "ballast").unlink()
    small_disk.fill()
    with pytest.raises(StorageFull, match="No space left"):
        opened(crashed)
    with pytest.raises(StorageFull, match="No space left"):
        opened(small_disk.path / "new")
    small_disk.free()
    with opened(crashed) as store:
        assert store.check() == []
        assert awards(store) == Counter({f"user{number}": 1 for number in range(100)})
    with opened(small_disk.path / "new") as store:
        assert store.check() == []


def test_a_full_disk_is_opened_in_the_room_of_the_ballast(small_disk: SmallDisk, crashed: Path) -> None:
    small_disk.fill()
    with opened(crashed) as store:
        assert awards(store) == Counter({f"user{number}": 1 for number in range(100)})
        assert store.check() == []
