"""The archive's files: whole or not there, in the order of time, and never given up before they are durable."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty import BROKEN, FULL, FaultyOs, faulty_os

from pictact_actors.errors import StorageFull, StoreDamaged
from pictact_actors.storage import archive as archives
from pictact_actors.storage.archive import Archive
from pictact_actors.storage.truth import segment

T0 = 1_700_000_000.0
FIRST = "details-20231114T221320Z-000001.jsonl.gz"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FaultyOs:
    return faulty_os(monkeypatch, archives, segment)


def lines(count: int) -> Iterator[dict[str, Any]]:
    return ({"postId": "t3_a", "seq": seq, "observedAt": T0 + seq} for seq in range(count))


def read(file: Path) -> list[dict[str, Any]]:
    """Read a file as anybody would."""
    with gzip.open(file, "rt", encoding="utf-8") as text:
        return [json.loads(line) for line in text]


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir() if file.name != "copies")


def finished(path: Path, *, at: float = T0, count: int = 3) -> Path:
    archive = Archive(path)
    name = archive.write(at, lines(count))
    archive.finish(name)
    return path / name


def test_there_is_no_directory_before_there_is_a_file(path: Path) -> None:
    archive = Archive(path)
    assert (archive.pending, list(archive.check())) == ((), [])
    assert not path.exists()


def test_a_file_is_gzipped_json_lines_named_by_its_first_second(path: Path) -> None:
    assert finished(path).name == FIRST
    assert names(path) == [FIRST]
    assert read(path / FIRST) == list(lines(3))


def test_names_sort_by_time_and_then_by_number(path: Path) -> None:
    times = [T0, T0 + 1, T0 + 1, T0 - 1, 0.0, 2.0**50, 2.0**51]
    written = [finished(path, at=at).name for at in times]
    assert len(set(written)) == len(times)
    in_order = sorted(zip(times, written, strict=True))
    assert names(path) == [name for _, name in in_order]


def test_a_file_is_pending_until_it_is_finished(path: Path) -> None:
    archive = Archive(path)
    name = archive.write(T0, lines(3))
    assert archive.pending == (name,)
    assert names(path) == [f"{name}.pending"]
    assert list(archive.lines(name)) == list(lines(3))
    archive.finish(name)
    assert (archive.pending, names(path)) == ((), [name])


def test_a_pending_file_is_found_again(path: Path) -> None:
    name = Archive(path).write(T0, lines(3))
    again = Archive(path)
    assert again.pending == (name,)
    assert list(again.lines(name)) == list(lines(3))


def test_what_was_half_written_goes_and_its_number_is_not_lost(path: Path) -> None:
    finished(path)
    (path / "details-20231114T221320Z-000002.jsonl.gz.new").write_bytes(b"half")
    archive = Archive(path)
    assert names(path) == [FIRST]
    assert archive.write(T0, lines(1)) != FIRST


def test_other_files_are_left_alone(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("moved the older ones to the cellar")
    finished(path)
    assert list(Archive(path).check()) == []
    assert names(path) == [FIRST, "notes.txt"]


def test_the_same_lines_make_the_same_file(tmp_path: Path) -> None:
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()


def test_a_file_is_durable_before_it_is_read_back(path: Path, disk: FaultyOs) -> None:
    """Its contents before it has its name, and its copy; and then its name and that of the directory."""
    archive = Archive(path)
    name = archive.write(T0, lines(3))
    assert disk.calls[0] == "fsync"
    written = disk.calls.count("fsync")
    next(iter(archive.lines(name)))
    assert disk.calls.count("fsync") == written + 2


@pytest.mark.parametrize("passing", range(4))
@pytest.mark.parametrize("code", [FULL, BROKEN])
def test_a_disk_that_fails_leaves_no_file_and_the_next_one_works(
    path: Path, disk: FaultyOs, code: int, passing: int
) -> None:
    archive = Archive(path)
    disk.fail("fsync", code, passing=passing)
    with pytest.raises(StorageFull if code == FULL else OSError):
        archive.write(T0, lines(3))
    assert (names(path), archive.pending) == ([], ())
    archive.finish(archive.write(T0, lines(3)))
    assert names(path) == [FIRST]


def test_lines_that_cannot_be_had_leave_no_file(path: Path) -> None:
    def failing() -> Iterator[dict[str, Any]]:
        yield from lines(2)
        raise StoreDamaged("a block of the state")

    with pytest.raises(StoreDamaged, match="a block of the state"):
        Archive(path).write(T0, failing())
    assert names(path) == []


def damaged(whole: bytes, harm: str) -> bytes:
    return {
        "flip": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        "cut": whole[:-9],
        "empty": b"",
        "text": gzip.compress(b"not what we write\n"),
    }[harm]


HARMS = ["flip", "cut", "empty", "text"]
each_harm = pytest.mark.parametrize("harm", HARMS)


@each_harm
def test_a_damaged_file_is_found_if_its_copy_is_damaged_too(path: Path, harm: str) -> None:
    file = finished(path, count=500)
    whole = file.read_bytes()
    for one in (file, path / "copies" / FIRST):
        one.write_bytes(damaged(whole, harm))
    archive = Archive(path)
    (problem,) = archive.check()
    assert (problem.kind, problem.key) == ("archive", FIRST)


@each_harm
@pytest.mark.parametrize("which", ["", "copies"])
def test_a_file_and_its_copy_are_mended_from_each_other(path: Path, harm: str, which: str) -> None:
    file = finished(path, count=500)
    whole = file.read_bytes()
    (path / which / FIRST).write_bytes(damaged(whole, harm))
    archive = Archive(path)
    assert len(archive.mended) == 1
    assert file.read_bytes() == (path / "copies" / FIRST).read_bytes() == whole
    assert (list(archive.check()), Archive(path).mended) == ([], [])


@each_harm
def test_the_check_mends_what_was_damaged_while_it_was_open(path: Path, harm: str) -> None:
    file = finished(path, count=500)
    archive = Archive(path)
    whole = file.read_bytes()
    file.write_bytes(damaged(whole, harm))
    assert list(archive.check()) == []
    assert file.read_bytes() == whole


def test_a_missing_file_comes_back_as_pending(path: Path) -> None:
    file = finished(path)
    file.unlink()
    archive = Archive(path)
    assert (archive.pending, len(archive.mended)) == ((FIRST,), 1)
    archive.finish(FIRST)
    assert read(file) == list(lines(3))


def test_an_archive_without_copies_gets_them_in_silence(path: Path) -> None:
    finished(path)
    shutil.rmtree(path / "copies")
    assert Archive(path).mended == []
    assert (path / "copies" / FIRST).exists()


def test_a_pending_file_that_does_not_read_is_kept_for_people(path: Path) -> None:
    archive = Archive(path)
    name = archive.write(T0, lines(500))
    file = path / f"{name}.pending"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StoreDamaged, match="does not read"):
        list(archive.lines(name))
    archive.set_aside(name)
    assert (archive.pending, names(path)) == ((), [f"{name}.damaged"])
    assert [problem.kind for problem in Archive(path).check()] == ["archive"]
    assert Archive(path).pending == ()
