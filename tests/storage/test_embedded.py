"""Journal and state together: one is the truth, the other follows, and they know when they part."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commits import GROUPS, KEYS, Put, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictact_actors import StorageFull, StoreClosed, StoreConfig, StoreDamaged, StoreLocked
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.engine import Engine
from pictact_actors.storage.memory import MemoryEngine
from pictact_actors.storage.recovery import seal
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.state.leveldb import Database
from pictact_actors.testing import ManualClock

CONFIG = StoreConfig(journal_segment_bytes=4096, state_buffer_bytes=64 * 1024, state_cache_bytes=64 * 1024)
CLOCK = ManualClock(1_700_000_000)


class Home:
    """A data directory, opened as often as a test likes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: list[EmbeddedEngine] = []

    def open(self) -> EmbeddedEngine:
        self.close()
        self._opened.append(EmbeddedEngine.open(self.path, CONFIG, CLOCK))
        return self._opened[-1]

    def close(self) -> None:
        while self._opened:
            self._opened.pop().close()

    def segment(self) -> Path:
        return max((self.path / "journal").iterdir())

    def forget_state(self) -> None:
        """Let the state be as far behind the journal as it can be."""
        self.close()
        shutil.rmtree(self.path / "state")
        leveldb.create(self.path / "state")

    def write_state(self, changes: dict[bytes, bytes | None]) -> None:
        """Put something into the state behind the store's back."""
        self.close()
        database = Database(self.path / "state", 65536, 65536)
        database.write(changes)
        database.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "game-data")
    yield home
    home.close()


def commit(engine: Engine, *groups: list[Put]) -> None:
    for group in groups:
        engine.commit(group, 5.0, 6.0)
        engine.publish()


def seen(engine: Engine, keys: list[str]) -> list[object]:
    """Everything that can be asked of an engine."""
    return [
        [engine.get(key) for key in keys],
        [list(engine.scan(key[:1], key)) for key in keys],
        list(engine.entries()),
        list(engine.entries(2)),
        (engine.seq, engine.ts, engine.mark),
        list(engine.check()),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(GROUPS, max_size=6), st.lists(KEYS, max_size=4))
def test_the_engine_on_a_disk_answers_as_the_one_in_memory(
    home: Home, groups: list[list[Put]], keys: list[str]
) -> None:
    home.close()
    shutil.rmtree(home.path, ignore_errors=True)
    disk, memory = home.open(), MemoryEngine()
    for engine in (disk, memory):
        commit(engine, *groups)
    assert seen(disk, keys) == seen(memory, keys)
    assert seen(home.open(), keys) == seen(memory, keys)


def test_what_is_committed_is_shown_by_publishing_it(home: Home) -> None:
    engine = home.open()
    engine.commit(put(a=b"1"), 0.0, 0.0)
    before = (engine.get("a"), list(engine.scan("")), engine.seq)
    engine.publish()
    assert (before, engine.get("a"), engine.seq) == ((None, [], 0), b"1", 1)


def test_what_was_committed_and_not_published_is_there_after_opening(home: Home) -> None:
    home.open().commit(put(a=b"1"), 0.0, 0.0)
    engine = home.open()
    assert (engine.get("a"), engine.seq, engine.replayed) == (b"1", 1, 1)


def test_a_clean_close_leaves_nothing_to_replay(home: Home) -> None:
    commit(home.open(), put(a=b"1"), put(b=b"2"))
    assert (home.open().replayed, list(home.open().check())) == (0, [])


def test_its_size_counts_journal_and_state(home: Home) -> None:
    engine = home.open()
    state = sum(file.stat().st_size for file in (home.path / "state").iterdir())
    assert engine.size_bytes() == CONFIG.journal_segment_bytes + state


def test_closing_twice_is_fine_and_reading_then_is_refused(home: Home) -> None:
    engine = home.open()
    engine.close()
    engine.close()
    with pytest.raises(StoreClosed):
        engine.get("a")


def test_a_directory_has_one_engine(home: Home) -> None:
    home.open()
    with pytest.raises(StoreLocked):
        EmbeddedEngine.open(home.path, CONFIG, CLOCK)


# -- when they part


def test_a_journal_that_lost_what_the_state_has_gets_it_back_and_is_kept_aside(home: Home) -> None:
    """The last frame of a journal at rest was changed: it looks torn, but the state knows that it was whole."""
    commit(home.open(), put(a=b"1"), put(a=b"2"))
    home.close()
    data = bytearray(home.segment().read_bytes())
    data[len(data.rstrip(b"\0")) - 1] ^= 1
    home.segment().write_bytes(data)
    engine = home.open()
    assert (engine.get("a"), engine.seq, list(engine.check())) == (b"2", 2, [])
    (recovery,) = engine.recoveries
    assert "closed with 2 commits, but the journal has only 1 up to byte" in recovery.found
    assert (home.path / "damaged" / "000001-journal" / "0000000001.journal").read_bytes() == data


def test_a_frame_that_was_written_in_part_is_cut_whatever_its_length(home: Home) -> None:
    commit(home.open(), put(a=b"1"))
    before = home.segment().read_bytes()
    commit(home.open(), put(a=b"2"))
    after = home.segment().read_bytes()
    start, end = (len(data.rstrip(b"\0")) for data in (before, after))
    for length in range(end - start):
        torn = after[: start + length].ljust(len(after), b"\0")
        home.forget_state()
        seal.remove(home.path)
        home.segment().write_bytes(torn)
        engine = home.open()
        assert (engine.get("a"), engine.seq, list(engine.check())) == (b"1", 1, [])
        assert (engine.torn_bytes, home.segment().read_bytes()) == (len(torn.rstrip(b"\0")) - start, before)


def test_a_directory_that_did_not_open_can_be_opened_when_it_is_mended(home: Home) -> None:
    commit(home.open(), put(a=b"1"))
    home.forget_state()
    healthy = home.segment().read_bytes()
    home.segment().write_bytes(healthy[:100])
    with pytest.raises(StoreDamaged) as refused:
        home.open()
    home.segment().write_bytes(healthy)
    assert home.open().get("a") == b"1"
    assert refused.value.what


def test_a_state_of_another_store_is_kept_aside_and_built_anew(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    commit(other.open(), put(a=b"theirs"))
    other.close()
    commit(home.open(), put(a=b"ours"))
    home.close()
    shutil.rmtree(home.path / "state")
    shutil.copytree(other.path / "state", home.path / "state")
    engine = home.open()
    assert (engine.get("a"), list(engine.check())) == (b"ours", [])
    assert "belongs to another store" in engine.recoveries[0].found


def test_a_state_that_fell_behind_is_brought_forward(home: Home, tmp_path: Path) -> None:
    commit(home.open(), put(a=b"1", gone=b"1"))
    home.close()
    shutil.copytree(home.path / "state", tmp_path / "older")
    commit(home.open(), put(a=b"2", gone=None), put(b=b"3"))
    home.close()
    shutil.rmtree(home.path / "state")
    shutil.copytree(tmp_path / "older", home.path / "state")
    engine = home.open()
    assert (engine.replayed, dict(engine.scan("")), list(engine.check())) == (2, {"a": b"2", "b": b"3"}, [])


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({b"a": b"2"}, "another value"),
        ({b"a": None}, "missing from the state"),
        ({b"z": b"?"}, "no commit wrote it"),
    ],
)
def test_the_check_finds_what_was_changed_behind_its_back(
    home: Home, changes: dict[bytes, bytes | None], detail: str
) -> None:
    engine = home.open()
    commit(engine, put(a=b"1"))
    engine._state.settle(1, 10)
    engine._state._database.write(changes)
    (problem,) = engine.check()
    assert detail in problem.detail


@pytest.mark.parametrize("changes", [{b"a": b"2"}, {b"a": None}, {b"z": b"?"}, {b"\0chunk:due:": b"7"}])
def test_what_was_changed_behind_its_back_while_it_was_closed_is_healed(
    home: Home, changes: dict[bytes, bytes | None]
) -> None:
    commit(home.open(), put(a=b"1"))
    home.write_state(changes)
    engine = home.open()
    assert (dict(engine.scan("")), list(engine.check())) == ({"a": b"1"}, [])


def test_the_check_finds_a_journal_that_was_changed_in_the_middle(home: Home) -> None:
    engine = home.open()
    commit(engine, put(a=b"x" * 3000), put(a=b"y" * 3000), put(a=b"z"))
    (first, *_) = sorted((home.path / "journal").iterdir())
    data = bytearray(first.read_bytes())
    data[2000] ^= 1
    first.write_bytes(data)
    (problem,) = engine.check()
    assert (problem.kind, str(first) in problem.detail) == ("damage", True)


def test_a_full_backlog_refuses_the_commit_before_anything_is_written(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = home.open()

    def refuse() -> None:
        raise StorageFull("too much is pending")

    monkeypatch.setattr(engine._state, "make_room", refuse)
    with pytest.raises(StorageFull):
        engine.commit(put(a=b"1"), 0.0, 0.0)
    assert (engine.seq, list(engine.entries())) == (0, [])
