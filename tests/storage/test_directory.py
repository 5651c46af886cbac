"""The data directory: ours or not ours, created whole or not at all, held by one."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from faulty import FULL, Killed, faulty_os

from pictact_actors import NotAStore, StorageFull, StoreDamaged, StoreLocked
from pictact_actors.storage import directory as directory_module
from pictact_actors.storage import identity
from pictact_actors.storage.directory import Directory
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.truth import segment
from pictact_actors.storage.truth.journal import Journal

NOW = 1_700_000_000.5
SEGMENT_BYTES = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "game-data"


def opened(path: Path, *, create: bool = True) -> Directory:
    return Directory.open(path, create=create, now=NOW, segment_bytes=SEGMENT_BYTES)


def created(path: Path) -> bytes:
    """Create a directory and let it go; return its store's id."""
    directory = opened(path)
    directory.release()
    return directory.store_id


def snapshot(path: Path) -> dict[str, bytes | None]:
    """Everything below a path: the contents of files, None for directories."""
    return {
        str(entry.relative_to(path)): entry.read_bytes() if entry.is_file() else None
        for entry in sorted(path.rglob("*"))
    }


# -- creating


def test_a_new_directory_says_what_it_is(path: Path) -> None:
    store_id = created(path)
    said = json.loads((path / "STORE").read_bytes())
    assert len(said.pop("crc32c")) == 8
    assert said == {"format": 1, "store": store_id.hex(), "createdAt": NOW}
    assert {entry.name for entry in path.iterdir()} == {"STORE", "LOCK", "journal", "state"}


def test_it_keeps_its_identity(path: Path) -> None:
    assert created(path) == created(path)


def test_two_directories_are_two_stores(path: Path) -> None:
    assert created(path / "one") != created(path / "other")


def test_every_new_name_on_the_way_to_it_is_durable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(directory_module, "sync_directory", synced.append)
    created(path / "a" / "b")
    assert {path.parent, path, path / "a"} <= set(synced)


def test_its_identity_comes_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present: list[bool] = []
    create = Journal.create

    def recorded(*args: Any) -> None:
        create(*args)
        present.append((path / "STORE").exists())

    monkeypatch.setattr(Journal, "create", recorded)
    created(path)
    assert (present, (path / "STORE").exists()) == ([False], True)


class Steps:
    """Every step on the disk, counted; the process ends at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
        self.left = last
        for module in (directory_module, segment, leveldb):
            disk = faulty_os(monkeypatch, module)
            for name in ("open", "fsync", "pwrite", "posix_fallocate", "ftruncate"):
                monkeypatch.setattr(disk, name, self._counted(getattr(os, name)), raising=False)
        for name in ("rename", "mkdir"):
            monkeypatch.setattr(Path, name, self._counted(getattr(Path, name)))
        monkeypatch.setattr(shutil, "rmtree", self._counted(shutil.rmtree))

    def _counted(self, step: Any) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            if not self.left:
                raise Killed
            self.left -= 1
            return step(*args, **options)

        return counted


def interrupted(path: Path, steps: int) -> bool:
    """Create a directory, and be killed after some steps; return whether it came to that."""
    with pytest.MonkeyPatch.context() as patch:
        Steps(patch, steps)
        try:
            created(path)
        except Killed:
            return True
    return False


@pytest.fixture
def steps_to_create(tmp_path: Path) -> int:
    return next(steps for steps in range(1_000) if not interrupted(tmp_path / f"probe{steps}", steps))


def test_an_interrupted_creation_is_taken_up_again_whatever_step_it_reached(
    tmp_path: Path, steps_to_create: int
) -> None:
    assert steps_to_create > 20
    for steps in range(steps_to_create):
        path = tmp_path / f"killed{steps}"
        assert interrupted(path, steps)
        directory = opened(path)
        assert Journal.open(directory.journal, directory.store_id, SEGMENT_BYTES).seq == 0
        leveldb.Database(directory.state, 65536, 65536).close()
        assert not (path / "STORE.new").exists()
        directory.release()


def test_a_creation_that_is_interrupted_again_and_again_ends_well(path: Path, steps_to_create: int) -> None:
    for steps in range(steps_to_create):
        interrupted(path, steps)
    assert opened(path, create=False).store_id


@pytest.mark.parametrize(
    ("module", "call", "passing"),
    [
        (directory_module, "open", 0),
        (segment, "fsync", 1),  # of the identity: the first one is of the directory above
        (segment, "pwrite", 1),  # the name of the holder may be missing, the identity may not
        (segment, "pwrite", 2),
        (segment, "posix_fallocate", 0),
        (leveldb, "fsync", 1),
    ],
)
def test_a_creation_that_finds_no_room_says_so_and_is_taken_up_when_there_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, call: str, passing: int
) -> None:
    with monkeypatch.context() as patch:
        faulty_os(patch, module).fail(call, FULL, passing=passing)
        with pytest.raises(StorageFull):
            opened(path)
    assert created(path)


def test_a_full_disk_does_not_keep_anybody_from_holding_a_directory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_id = created(path)
    faulty_os(monkeypatch, segment).fail("pwrite", FULL, times=1_000)
    assert created(path) == store_id


# -- not ours


FOREIGN = [
    {"notes.txt": b"mine"},
    {"journal/monday.md": b"a diary", "state/of-mind.md": b"good"},
    {"journal": b"a file"},
    {"CURRENT": b"MANIFEST-000001\n", "LOCK": b"", "000003.log": b""},
    {"STORE": None},
    {"LOCK": b"", "journal/x": b""},
    {"STORE.new": b"", "photos/cat.jpg": b"cat"},
]


@pytest.mark.parametrize("files", FOREIGN, ids="+".join)
def test_a_directory_of_something_else_is_refused_and_untouched(path: Path, files: dict[str, bytes | None]) -> None:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            (path / name).mkdir()
        else:
            (path / name).write_bytes(content)
    before = snapshot(path)
    for create in (True, False):
        with pytest.raises(NotAStore, match="something else"):
            opened(path, create=create)
    assert snapshot(path) == before


LOST = [None, b"", b"{", b"[]", bytes(100), b'{"format": 1}', b'{"format": 1, "store": "00", "createdAt": 1}']


@pytest.mark.parametrize("content", LOST, ids=range(len(LOST)))
@pytest.mark.parametrize("create", [True, False])
def test_a_lost_identity_is_found_out_from_the_journal(path: Path, content: bytes | None, *, create: bool) -> None:
    store_id = created(path)
    (path / "STORE").unlink()
    if content is not None:
        (path / "STORE").write_bytes(content)
    before = snapshot(path)
    directory = opened(path, create=create)
    assert (directory.store_id, directory.identity.lost is None, snapshot(path)) == (store_id, False, before)
    directory.identity.mend(path)
    directory.release()
    assert opened(path).identity == (store_id, 0.0, None)


def test_an_identity_without_a_checksum_that_no_other_file_knows_is_lost(path: Path) -> None:
    store_id = created(path)
    other = {"format": 1, "store": bytes(16).hex(), "createdAt": NOW}
    (path / "STORE").write_text(json.dumps(other))
    assert opened(path).store_id == store_id


def test_a_store_of_a_newer_version_is_refused(path: Path) -> None:
    created(path)
    shown = {"format": 2, "store": bytes(16).hex(), "createdAt": NOW}
    (path / "STORE").write_text(json.dumps({**shown, "crc32c": identity._checksum(shown)}))
    with pytest.raises(StoreDamaged, match="has format 2"):
        opened(path)


def test_a_store_that_nobody_can_name_is_refused_and_untouched(path: Path) -> None:
    created(path)
    for file in (path / "STORE", path / "journal" / "0000000001.journal"):
        file.write_bytes(b"")
    before = snapshot(path)
    with pytest.raises(StoreDamaged, match="no other file says which store this is"):
        opened(path)
    assert snapshot(path) == before


def test_nothing_is_created_where_it_should_be_there(path: Path) -> None:
    with pytest.raises(NotAStore, match="there is none"):
        opened(path, create=False)
    assert not path.exists()


@pytest.mark.parametrize("name", ["a file", "a file/below"])
def test_a_file_is_no_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_bytes(b"mine")
    with pytest.raises(NotAStore, match=r"it is a file|Not a directory"):
        opened(tmp_path / name)
    assert (tmp_path / "a file").read_bytes() == b"mine"


def test_a_path_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(NotAStore, match=r"null (byte|character)"):
        opened(Path("game\0data"))


# -- held by one


@pytest.fixture
def held(path: Path) -> Iterator[Directory]:
    directory = opened(path)
    yield directory
    directory.release()


def test_a_held_directory_names_its_holder(path: Path, held: Directory) -> None:
    assert held.path == path
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        opened(path)


def test_a_held_directory_is_the_same_under_any_spelling(
    path: Path, held: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(held.path)
    monkeypatch.chdir(path)
    for spelling in ("link", "game-data/../link/./", "game-data/"):
        with pytest.raises(StoreLocked):
            opened(tmp_path / spelling)
    with pytest.raises(StoreLocked):
        opened(Path())


def test_letting_go_twice_is_fine(path: Path) -> None:
    directory = opened(path)
    directory.release()
    directory.release()
    assert created(path) == directory.store_id


def test_letting_go_lets_go_for_everybody_who_has_the_file_open(path: Path) -> None:
    directory = opened(path)
    copy = os.dup(directory._lock_fd)  # as a process that was forked at the wrong moment has it
    directory.release()
    assert created(path) == directory.store_id
    os.close(copy)


def test_a_forked_child_gives_up_what_its_parent_holds(held: Directory) -> None:
    lock_fd = held._lock_fd
    if not (child := os.fork()):
        try:
            os.fstat(lock_fd)
        except OSError:
            os._exit(0 if held._lock_fd < 0 else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with (held.path / "LOCK").open("r+b") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
