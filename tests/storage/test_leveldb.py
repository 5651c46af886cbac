"""The door to LevelDB: its traps stay closed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from copying import copy_of
from faulty import FULL, faulty_os
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import PATIENCE_S, until

from pictact_actors import StoreClosed, StoreDamaged
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.state.leveldb import Database

BUFFER_BYTES = CACHE_BYTES = 64 * 1024
KEYS = st.binary(min_size=1, max_size=3).filter(lambda key: key < b"\xff")  # no text begins with that byte


@pytest.fixture
def path(tmp_path: Path) -> Path:
    leveldb.create(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(opened(path)) as database:
        yield database


def opened(path: Path) -> Database:
    return Database(path, BUFFER_BYTES, CACHE_BYTES)


def numbered(count: int) -> dict[bytes, bytes | None]:
    return {b"k%05d" % number: os.urandom(64) for number in range(count)}


# -- reading and writing


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.dictionaries(KEYS, st.binary(max_size=8)), st.binary(max_size=2), st.none() | KEYS)
def test_a_cursor_gives_what_is_under_its_prefix_and_behind_after(
    database: Database, records: dict[bytes, bytes], prefix: bytes, after: bytes | None
) -> None:
    database.write(dict.fromkeys(dict(database.cursor(b"")), None))
    database.write(records)
    expected = [
        pair for pair in sorted(records.items()) if pair[0].startswith(prefix) and (after is None or pair[0] > after)
    ]
    assert list(database.cursor(prefix, after)) == expected


def test_a_cursor_goes_on_beyond_what_it_reads_at_once(database: Database) -> None:
    records = numbered(1_000)
    database.write(records)
    assert dict(database.cursor(b"k")) == records


def test_a_cursor_is_pinned_to_the_moment_it_was_made(database: Database) -> None:
    database.write({b"a": b"1", b"b": b"1"})
    cursor = database.cursor(b"")
    database.write({b"a": b"2", b"b": None, b"c": b"2"})
    assert list(cursor) == [(b"a", b"1"), (b"b", b"1")]


class Breaking(Mapping[bytes, bytes | None]):
    """Changes that end in an error after the first."""

    def __getitem__(self, key: bytes) -> bytes:
        return key

    def __iter__(self) -> Iterator[bytes]:
        yield b"first"
        raise MemoryError

    def __len__(self) -> int:
        return 2


def test_a_write_that_breaks_off_writes_nothing(database: Database) -> None:
    with pytest.raises(MemoryError):
        database.write(Breaking())
    assert database.get(b"first") is None


# -- creating and opening


def test_a_new_database_is_durable_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename
    disk = faulty_os(monkeypatch, leveldb)

    def recorded(fd: int) -> None:
        events.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        fsync(fd)

    def renamed(path: Path, target: Path) -> Path:
        events.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(disk, "fsync", recorded, raising=False)
    monkeypatch.setattr(leveldb, "sync_directory", lambda path: events.append(path.name))
    monkeypatch.setattr(Path, "rename", renamed)
    leveldb.create(tmp_path / "state")
    files = {file.name for file in (tmp_path / "state").iterdir()}
    assert set(events[: len(files)]) == files
    assert events[len(files) :] == ["state.new", "renamed", tmp_path.name]


def test_what_an_interrupted_creation_left_is_replaced(tmp_path: Path) -> None:
    rest = tmp_path / "state.new"
    leveldb.create(rest)
    (rest / "CURRENT").write_bytes(b"half")
    leveldb.create(tmp_path / "state")
    with closing(opened(tmp_path / "state")) as database:
        assert (list(database.cursor(b"")), rest.exists()) == ([], False)


def test_a_database_without_current_is_never_created_anew(path: Path) -> None:
    with closing(opened(path)) as database:
        database.write(numbered(2_000))
    (path / "CURRENT").unlink()
    before = sorted(path.iterdir())
    with pytest.raises(StoreDamaged, match="CURRENT"):
        opened(path)
    assert sorted(path.iterdir()) == before


def tables(path: Path) -> list[Path]:
    return sorted(path.glob("*.ldb"))


def flipped(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.fixture
def damaged(path: Path) -> Iterator[Database]:
    """A database of 4,000 records, with a flipped bit in the middle of its table."""
    with closing(opened(path)) as database:
        database.write(numbered(4_000))
    (table,) = tables(path)
    flipped(table, table.stat().st_size // 2)
    with closing(opened(path)) as database:
        yield database


def test_a_damaged_table_never_gives_fewer_records_in_silence(damaged: Database) -> None:
    with pytest.raises(StoreDamaged, match="orruption"):
        list(damaged.cursor(b""))


def test_a_damaged_table_never_gives_a_wrong_value(damaged: Database) -> None:
    refused = 0
    for key in numbered(4_000):
        try:
            assert damaged.get(key) is not None
        except StoreDamaged:
            refused += 1
    assert refused > 0


def test_a_damaged_log_does_not_open(path: Path, tmp_path: Path) -> None:
    left = tmp_path / "left by a crash"
    with closing(opened(path)) as database:
        database.write(numbered(10))
        copy_of(path, left)
    (log,) = left.glob("*.log")
    flipped(log, 100)
    with pytest.raises(StoreDamaged, match="orruption"):
        opened(left)


# -- room


def test_room_to_open_again_is_asked_for_and_given_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = faulty_os(monkeypatch, leveldb)
    with closing(opened(path)) as database:
        database.require_room()
        disk.fail("posix_fallocate", FULL)
        with pytest.raises(OSError, match="No space"):
            database.require_room()
    database.require_room()
    assert [entry.name for entry in path.parent.iterdir()] == ["state"]


# -- closing


def test_a_closed_database_refuses(database: Database) -> None:
    database.close()
    database.close()
    for call in (lambda: database.get(b"k"), lambda: database.write({}), lambda: database.cursor(b"")):
        with pytest.raises(StoreClosed):
            call()
    assert not database.is_open


def test_a_cursor_of_a_closed_database_says_that_its_read_is_over(database: Database) -> None:
    database.write(numbered(1_000))
    pairs = iter(database.cursor(b""))
    next(pairs)
    database.close()
    with pytest.raises(StoreClosed, match="read again"):
        list(pairs)


def test_closing_waits_for_those_inside(database: Database) -> None:
    db = database._db
    closer = threading.Thread(target=database.close)
    with database._entered():
        closer.start()
        until(lambda: not database.is_open)
        closer.join(0.1)
        assert closer.is_alive()
        assert not db.closed
    closer.join(PATIENCE_S)
    assert db.closed


CLOSE_UNDER_USE = """
import os, sys, threading
from pathlib import Path
from pictact_actors import StoreClosed
from pictact_actors.storage.state import leveldb

path = Path(sys.argv[1])
leveldb.create(path)
filling = leveldb.Database(path, 65536, 4096)
for start in range(0, 10_000, 500):
    filling.write({b"k%05d" % number: os.urandom(100) for number in range(start, start + 500)})
filling.close()
refused = []

def use(database, act, used):
    act(database)
    used.wait(20)
    try:
        while True:
            act(database)
    except StoreClosed:
        refused.append(act)

acts = [lambda db: list(db.cursor(b"k")), lambda db: db.get(b"k05000"), lambda db: db.write({b"x": b"y"}),
        lambda db: next(iter(db.cursor(b"k")))]
for round in range(30):
    database, used = leveldb.Database(path, 65536, 4096), threading.Barrier(9)
    threads = [threading.Thread(target=use, args=(database, act, used)) for act in acts * 2]
    for thread in threads:
        thread.start()
    used.wait(20)
    database.close()
    for thread in threads:
        thread.join(20)
print(len(refused))
"""


def test_closing_under_readers_writers_and_cursors_crashes_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "faulthandler", "-c", CLOSE_UNDER_USE, str(tmp_path / "state")]
    child = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (child.returncode, child.stdout.strip(), child.stderr) == (0, "240", "")
