"""Folding the journal into the base: nothing is lost at any moment, and space is given back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from faulty import BROKEN, FULL, faulty_os
from folded import SEGMENT_BYTES, Folded, Images
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictact_actors import EntriesGone, StoreDamaged
from pictact_actors.storage.folding import PART_BYTES_MIN
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.truth import layer as layer_module
from pictact_actors.storage.truth import segment


@pytest.fixture
def folded(tmp_path: Path) -> Iterator[Folded]:
    folded = Folded(tmp_path / "game-data")
    yield folded
    assert folded.problems() == []
    folded.reopen()
    assert folded.problems() == []
    folded.engine.close()


def test_a_short_journal_is_left_alone(folded: Folded) -> None:
    folded.fill_segments(4)
    folded.reclaim(urgent=False)
    assert (folded.engine.usage().base_bytes, len(folded.engine._journal.closed())) == (0, 4)
    assert len(list(folded.engine.entries(1))) == folded.engine.seq


def test_of_a_long_journal_the_older_half_is_folded(folded: Folded) -> None:
    folded.fill_segments(6)
    folded.reclaim(urgent=False)
    usage = folded.engine.usage()
    assert len(folded.engine._journal.closed()) == 2
    assert usage.journal_bytes == 3 * SEGMENT_BYTES
    assert usage.base_seq == folded.engine._journal.first_seq - 1
    assert next(iter(folded.engine.entries())).seq == usage.base_seq + 1


def test_all_that_is_full_is_folded_when_it_is_urgent(folded: Folded) -> None:
    folded.fill_segments(3)
    folded.reclaim()
    assert folded.engine._journal.closed() == []
    assert folded.engine.usage().base_seq == folded.engine._journal.first_seq - 1
    folded.fill_segments(3)
    folded.reclaim()
    assert len(folded.layers()) == len(folded.engine._base.stack.tiles) == 1


def test_commits_that_are_folded_are_gone_one_by_one_and_said_to_be(folded: Folded) -> None:
    folded.fill_segments(3)
    folded.reclaim()
    first_seq = folded.engine._journal.first_seq
    with pytest.raises(EntriesGone, match=f"commit {first_seq - 1} any more.* begin at {first_seq}") as gone:
        folded.engine.entries(first_seq - 1)
    assert (gone.value.from_seq, gone.value.first_seq) == (first_seq - 1, first_seq)
    assert [entry.seq for entry in folded.engine.entries()] == list(range(first_seq, folded.engine.seq + 1))


def test_who_reads_commits_more_slowly_than_they_go_learns_that_they_are_gone(folded: Folded) -> None:
    folded.fill_segments(3)
    entries = folded.engine.entries(1)
    assert next(entries).seq == 1
    folded.reclaim()
    with pytest.raises(EntriesGone):
        list(entries)


def test_a_check_is_not_disturbed_and_what_it_reads_goes_afterwards(folded: Folded) -> None:
    folded.fill_segments(3)
    folded.reclaim()
    folded.fill_segments(3)
    check = folded.engine.check()
    before = folded.files().keys()
    folded.reclaim()
    assert before <= folded.files().keys()
    assert list(check) == []
    folded.reclaim()
    assert folded.engine._base.stack.left_over == ()
    assert folded.engine._journal.closed() == []


def test_a_check_that_nobody_reads_to_the_end_holds_nothing_up(folded: Folded) -> None:
    folded.fill_segments(3)
    check = folded.engine.check()
    del check
    folded.reclaim()
    assert folded.engine._journal.closed() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=6)
@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(1, 90), st.booleans(), st.integers(1, 400)), max_size=8))
def test_whatever_is_given_back_and_wherever_it_stops_the_records_stay(
    tmp_path: Path, seed: int, rounds: list[tuple[int, bool, int]]
) -> None:
    path = tmp_path / "game-data"
    shutil.rmtree(path, ignore_errors=True)
    folded = Folded(path, seed)
    for commits, urgent, steps in rounds:
        folded.work(commits)
        for _ in islice(folded.engine.reclaim(urgent=urgent), steps):
            pass
        assert folded.problems() == []
        if steps % 3 == 0:
            folded.reopen()
    folded.reclaim()
    assert folded.engine._base.stack.left_over == ()
    assert folded.problems() == []
    folded.engine.close()


def test_many_keys_make_many_parts_and_deleting_them_makes_few_again(folded: Folded) -> None:
    keys = [f"key{number:05}" for number in range(1000)]
    for start in range(0, 1000, 50):
        folded.commit(**dict.fromkeys(keys[start : start + 50], b"x" * 100))
    folded.fill_segments(1)
    folded.reclaim()
    assert len(folded.engine._base.stack.tiles) >= 1000 * 100 // (PART_BYTES_MIN + layer_module.FRAME_BODY_BYTES)
    for start in range(0, 1000, 50):
        folded.commit(**dict.fromkeys(keys[start : start + 50]))
    folded.fill_segments(2)
    folded.reclaim()
    assert len(folded.engine._base.stack.tiles) == 1


def test_the_state_gives_back_what_was_deleted(folded: Folded) -> None:
    for start in range(0, 4000, 50):
        folded.commit(**{f"key{number:05}": os.urandom(200) for number in range(start, start + 50)})
    folded.fill_segments(1)
    folded.reclaim()
    before = folded.engine.usage()
    assert before.state_bytes > 4000 * 200
    for start in range(0, 4000, 50):
        folded.commit(**{f"key{number:05}": None for number in range(start, start + 50)})
    folded.fill_segments(1)
    folded.reclaim()
    after = folded.engine.usage()
    assert after.size_bytes < before.size_bytes // 4


# -- what a crash leaves behind


def watched(monkeypatch: pytest.MonkeyPatch, images: Images) -> None:
    """Take an image before each call that changes base or journal."""

    def taking(call: Callable[..., Any]) -> Callable[..., Any]:
        def taken(*args: Any, **options: Any) -> Any:
            images.take()
            return call(*args, **options)

        return taken

    for name in ("rename", "unlink", "mkdir"):
        monkeypatch.setattr(Path, name, taking(getattr(Path, name)))
    for name in ("pwrite", "fsync"):
        monkeypatch.setattr(os, name, taking(getattr(os, name)))


@pytest.mark.parametrize("state", ["beginning", "empty"])
def test_a_kill_before_any_call_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """The state is as old as it can be then: that of the beginning, or nothing of it has reached the disk."""
    (tmp_path / "images").mkdir()
    folded = Folded(tmp_path / "game-data")
    folded.fill_segments(2, keys=900)
    folded.reclaim()
    folded.fill_segments(2, keys=900)
    folded.fold()
    folded.fill_segments(2, keys=900)
    folded.reopen()
    folded.engine.close()
    shutil.copytree(folded.path / "state", tmp_path / "state")
    folded.engine = folded.opened()
    images = Images(folded.path, tmp_path / "images")
    with monkeypatch.context() as patch:
        watched(patch, images)
        folded.reclaim()
        images.take()
    folded.engine.close()
    for image in images.all():
        if state == "empty":
            leveldb.create(image / "state")
        else:
            shutil.copytree(tmp_path / "state", image / "state")
        left = Folded(image, records=dict(folded.records))
        assert left.problems() == [], image
        left.work(20)
        left.reclaim()
        assert left.problems() == [], image
        assert left.engine._base.stack.left_over == ()
        assert not list((image / "base").glob("*.new"))
        left.engine.close()
    assert image.name > "0020"


def test_a_state_that_is_behind_the_journal_follows_the_runs(folded: Folded, tmp_path: Path) -> None:
    folded.fill_segments(2)
    folded.reclaim()
    folded.reopen()
    shutil.copytree(folded.path / "state", tmp_path / "behind")
    folded.fill_segments(2)
    folded.fold()
    folded.engine.close()
    shutil.rmtree(folded.path / "state")
    shutil.copytree(tmp_path / "behind", folded.path / "state")
    inode = (folded.path / "state").stat().st_ino
    folded.engine = folded.opened()
    assert (folded.path / "state").stat().st_ino == inode


@pytest.mark.parametrize("left", ["old", "rebuilt", "both", "moved"])
def test_what_an_interrupted_rebuilding_leaves_is_finished_or_undone(folded: Folded, left: str) -> None:
    folded.fill_segments(2)
    folded.reclaim()
    folded.engine.close()
    state, old, rebuilt = (folded.path / name for name in ("state", "state.old", "state.rebuilt"))
    if left == "moved":
        state.rename(old)
    for name, path in (("old", old), ("rebuilt", rebuilt)):
        if left in (name, "both"):
            leveldb.create(path)
    folded.engine = folded.opened()
    assert (state.exists(), old.exists(), rebuilt.exists()) == (True, False, False)


# -- what harms it


def test_what_the_state_loses_does_not_get_into_the_base(folded: Folded) -> None:
    folded.fill_segments(2)
    folded.reclaim()
    lost = sorted(folded.records)[3]
    assert folded.engine._state.settle(folded.engine.seq, 10)
    value = folded.engine.get(lost)
    folded.engine._state._database.write({lost.encode(): None})
    folded.fill_segments(2, keys=1)
    folded.reclaim()
    assert folded.base()[lost] == folded.records[lost] == value
    assert [problem.key for problem in folded.engine.check()] == [lost]
    folded.engine._state._database.write({lost.encode(): value})


def test_a_damaged_segment_is_not_folded_and_stays(tmp_path: Path) -> None:
    folded = Folded(tmp_path / "game-data")
    folded.fill_segments(3)
    first = min((folded.path / "journal").iterdir())
    data = bytearray(first.read_bytes())
    data[2000] ^= 1
    first.write_bytes(data)
    with pytest.raises(StoreDamaged, match="breaks off"):
        folded.reclaim()
    assert first.exists()
    assert list((folded.path / "base").glob("*")) == [] if (folded.path / "base").exists() else True
    folded.engine.close()


@pytest.mark.parametrize("passing", [0, 1, 2])
@pytest.mark.parametrize("code", [FULL, BROKEN])
@pytest.mark.parametrize(("module", "call"), [(layer_module, "open"), (segment, "pwrite"), (layer_module, "fsync")])
def test_a_failing_disk_leaves_what_is_there_and_it_works_the_next_time(
    folded: Folded, monkeypatch: pytest.MonkeyPatch, module: Any, call: str, code: int, passing: int
) -> None:
    folded.fill_segments(2)
    folded.reclaim()
    folded.fill_segments(2)
    with monkeypatch.context() as patch:
        faulty_os(patch, module).fail(call, code, passing=passing)
        with pytest.raises(OSError, match=r"\[Errno"):  # noqa: PT012 - whichever of them meets it
            folded.reclaim()
            folded.fill_segments(2)
            folded.reclaim()
    assert folded.problems() == []
    assert not list((folded.path / "base").glob("*.new"))
    folded.reclaim()
    assert folded.engine._journal.closed() == []


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[segment.HEADER_BYTES // 2] ^= 1
    path.write_bytes(data)


HARMS: list[Callable[[Path], object]] = [
    flip,
    Path.unlink,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:5000]),
    lambda path: path.write_bytes(bytes(path.stat().st_size)),
]


@pytest.fixture
def layered(tmp_path: Path) -> Folded:
    """A closed directory with parts, runs and segments."""
    folded = Folded(tmp_path / "game-data")
    folded.fill_segments(2)
    folded.reclaim()
    folded.fill_segments(2)
    folded.fold()
    folded.fill_segments(1)
    folded.engine.close()
    assert len(folded.layers()) >= 3
    return folded


def healed(folded: Folded) -> None:
    """Open it: everything is there again, and it goes on."""
    folded.engine = folded.opened()
    assert folded.problems() == []
    assert [recovery.case for recovery in folded.engine.recoveries] == ["base or journal damaged"]
    folded.work(20)
    folded.reclaim()
    folded.reopen()
    assert folded.problems() == []
    folded.engine.close()


@pytest.mark.parametrize("harm", HARMS, ids=["flip", "delete", "empty", "halve", "zero"])
@pytest.mark.parametrize("place", [0, -1])
def test_a_harmed_layer_is_written_anew_from_the_state(
    layered: Folded, harm: Callable[[Path], object], place: int
) -> None:
    harm(layered.layers()[place])
    healed(layered)


@pytest.mark.parametrize("harm", HARMS, ids=["flip", "delete", "empty", "halve", "zero"])
def test_a_harmed_layer_is_refused_if_the_state_is_gone_too(layered: Folded, harm: Callable[[Path], object]) -> None:
    harm(layered.layers()[0])
    (layered.path / "state" / "CURRENT").unlink()
    before = layered.files()
    with pytest.raises(StoreDamaged, match=r"base.*; the state cannot make up for it|base.*has no CURRENT"):
        layered.opened()
    assert layered.files() == before


def test_a_flipped_value_in_the_base_is_found_by_the_check(tmp_path: Path) -> None:
    folded = Folded(tmp_path / "game-data")
    folded.fill_segments(2)
    folded.reclaim()
    layer = folded.layers()[0]
    data = bytearray(layer.read_bytes())
    data[-10] ^= 1
    layer.write_bytes(data)
    folded.reopen()
    (problem,) = folded.engine.check()
    assert (problem.kind, str(layer) in problem.detail) == ("damage", True)
    folded.engine.close()


@pytest.mark.parametrize("name", ["base", "journal"])
def test_a_missing_base_or_journal_is_written_anew_from_the_state(layered: Folded, name: str) -> None:
    shutil.rmtree(layered.path / name)
    healed(layered)


def test_a_missing_segment_is_written_anew_from_the_state(layered: Folded) -> None:
    min((layered.path / "journal").iterdir()).unlink()
    healed(layered)


def test_a_base_of_another_history_is_not_believed(tmp_path: Path) -> None:
    """Two copies of a store went on by themselves: they have the same identity, but not the same commits."""
    one = Folded(tmp_path / "one", seed=1)
    one.work(3)
    one.engine.close()
    shutil.copytree(one.path, tmp_path / "two")
    two = Folded(tmp_path / "two", seed=2)
    one.engine = one.opened()
    for folded in (one, two):
        folded.fill_segments(3)
        folded.reclaim()
        folded.engine.close()
    shutil.rmtree(one.path / "base")
    shutil.copytree(two.path / "base", one.path / "base")
    healed(one)


def test_an_old_directory_without_a_base_is_opened_and_gets_one_when_it_needs_it(folded: Folded) -> None:
    assert not (folded.path / "base").exists()
    folded.fill_segments(1)
    folded.reopen()
    folded.reclaim()
    assert (folded.path / "base").exists()
