"""The archive after a restore: each detail is in the store or in the archive, never in both, never in neither."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from games import begin
from opening import Opener

from pictact_actors import Store, StoreConfig
from pictact_actors.testing import ManualClock

DAY_S = 86_400.0
NOW = 1_700_000_000.0
KEPT = StoreConfig(match_idle_s=1_000 * DAY_S, cleanup_interval_s=1_000 * DAY_S)


def archived(path: Path) -> list[tuple[str, int]]:
    found = []
    for file in sorted((path / "archive").glob("details-*.jsonl.gz")):
        with gzip.open(file, "rt") as lines:
            found += [(line["postId"], line["seq"]) for line in map(json.loads, lines)]
    return sorted(found)


def details(path: Path, now: float) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """What is in the archive of a restored store, and what comes to it when everything else is archived too."""
    clock = ManualClock(now)
    with Store.open(path, create=False, clock=clock, config=KEPT) as store:
        at_first = archived(path)
        clock.advance(1_000 * DAY_S)
        store.cleanup()
        assert store.check() == []
    return at_first, archived(path)


def test_the_archive_is_as_it_was_at_the_moment(open_store: Opener, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    store = open_store(clock=clock, match_idle_s=1_000 * DAY_S, cleanup_interval_s=1_000 * DAY_S)
    begin(store)
    expected = []
    seqs = []
    for number in range(1, 4):
        for _ in range(3):
            store.record_analytics("t3_a", invalid_rate=0.5)
            expected.append(("t3_a", len(expected) + 1))
        seqs.append(store.statistics().seq)
        if number == 2:
            store.backup(tmp_path / "backups")
        clock.advance(31 * DAY_S)
        store.cleanup()
        assert archived(open_store.path) == expected
    for source in (open_store.path, tmp_path / "backups"):
        for number, seq in enumerate(seqs):
            path = tmp_path / f"{source.name}{seq}"
            Store.restore(source, path, to_seq=seq)
            at_first, in_the_end = details(path, NOW + (number + 1) * 31 * DAY_S)
            assert at_first == expected[: 3 * number], source
            assert in_the_end == expected[: 3 * (number + 1)], source


def test_a_detail_that_was_being_archived_is_archived_once(open_store: Opener, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    store = open_store(clock=clock, cleanup_step=2, match_idle_s=1_000 * DAY_S, cleanup_interval_s=1_000 * DAY_S)
    begin(store)
    for _ in range(9):
        store.record_analytics("t3_a", invalid_rate=0.5)
    before = store.statistics().seq
    clock.advance(31 * DAY_S)
    store.cleanup()
    after = store.statistics().seq
    assert after - before > 3
    expected = [("t3_a", number) for number in range(1, 10)]
    for seq in range(before, after + 1):
        Store.restore(open_store.path, tmp_path / f"restored{seq}", to_seq=seq)
        assert details(tmp_path / f"restored{seq}", NOW + 31 * DAY_S)[1] == expected, seq


def harm(path: Path) -> None:
    path.write_bytes(b"something else")


@pytest.mark.parametrize("lose", [harm, Path.unlink], ids=["harmed", "deleted"])
def test_an_archived_file_that_is_lost_comes_from_its_copy(
    open_store: Opener, tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    clock = ManualClock(NOW)
    store = open_store(clock=clock, match_idle_s=1_000 * DAY_S, cleanup_interval_s=1_000 * DAY_S)
    begin(store)
    store.record_analytics("t3_a", invalid_rate=0.5)
    clock.advance(31 * DAY_S)
    store.cleanup()
    store.close()
    lost = tmp_path / "lost"
    shutil.copytree(open_store.path, lost)
    lose(next((lost / "archive").glob("*.gz")))
    Store.restore(lost, tmp_path / "restored")
    assert details(tmp_path / "restored", NOW + 31 * DAY_S)[0] == [("t3_a", 1)]
