"""Base or journal damaged while the store runs: noticed by whoever reads, written anew from the state, nobody waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from copying import copy_of
from opening import Opener
from waiting import until

from pictact_actors import EntriesGone, Lifetime, Store, StoreDamaged
from pictact_actors.storage.embedded import EmbeddedEngine

SMALL = {
    "journal_segment_bytes": 64 * 1024,
    "journal_bytes_max": 256 * 1024,
    "cleanup_interval_s": 1e9,
    "state_buffer_bytes": 64 * 1024,
}
LAYER, FIRST, LATER = "base/*.layer", "journal/*.journal", "journal/*[13579].journal"


@pytest.fixture(autouse=True)
def sums_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Players are put here without a history, and tests end with a check."""
    monkeypatch.setattr("pictact_actors.model.integrity._sum_flaws", lambda *_: iter(()))


@pytest.fixture
def store(open_store: Opener) -> Store:
    """A store with base and several full segments, in which nothing is given back for now."""
    store: Store = open_store(**SMALL)
    for number in range(40):
        grow(store, number)
    until(lambda: store.statistics().base_seq)
    store.runtime.space.stop()
    for number in range(40, 50):
        grow(store, number)
    return store


def grow(store: Store, number: int) -> None:
    users = [f"u{number * 71 % 400 + n}" for n in range(200)]
    store.put_many({f"lifetime:{user}": Lifetime(user, number) for user in users})


def engine_of(store: Store) -> EmbeddedEngine:
    engine = store.runtime.engine
    assert isinstance(engine, EmbeddedEngine)
    return engine


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(200)


def mended(store: Store) -> None:
    """Let the steps be done that the store's own thread does otherwise."""
    engine = engine_of(store)
    assert engine.suspected
    engine.roll()
    for _ in engine.reclaim(urgent=False):
        pass


@pytest.mark.parametrize("pattern", [LAYER, FIRST, LATER])
@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_what_the_scrub_finds_is_written_anew(store: Store, pattern: str, harm: Callable[[Path], object]) -> None:
    engine = engine_of(store)
    before = dict(engine.scan(""))
    path = min(engine.path.glob(pattern))
    harm(path)
    assert [problem.kind for problem in engine.scrub(lambda _: None)][:1] == ["damage"]
    mended(store)
    assert not engine.suspected
    (recovery,) = engine.recoveries
    assert recovery.case == "base or journal damaged while running"
    assert harm is Path.unlink or path.name in recovery.found
    assert not path.exists()
    kept = [kept.name.partition("-")[2] for kept in (engine.path / "damaged").glob("*-*")]
    assert (path.name in kept) is (harm is not Path.unlink)
    assert list(engine.scrub(lambda _: None)) == []
    assert list(store.check()) == []
    grow(store, 99)
    assert dict(engine.folded()[1]) == before


def test_the_running_store_does_it_by_itself(open_store: Opener) -> None:
    store: Store = open_store(**SMALL, scrub_interval_s=0.05, scrub_bytes_per_s=1e9)
    for number in range(30):
        grow(store, number)
    engine = engine_of(store)
    until(lambda: engine._base.seq)
    flip(max(engine.path.glob(LAYER)))
    number = iter(range(30, 10_000))
    until(lambda: grow(store, next(number)) or engine.recoveries)
    assert "while running" in engine.recoveries[0].case
    until(lambda: not engine.suspected)
    assert list(store.check()) == []
    before = dict(engine.scan(""))
    store.close()
    again = open_store()
    assert dict(again.runtime.engine.scan("")) == before
    assert again.runtime.engine.replayed == 0
    assert len(again.runtime.engine.recoveries) == 1


@pytest.mark.parametrize("reader", ["log", "folding", "base", "backup"])
def test_whoever_reads_it_first_tells(store: Store, reader: str, tmp_path: Path) -> None:
    engine = engine_of(store)
    follows = engine._base.stack.next
    assert follows is not None
    flip(min(engine.path.glob(LAYER)) if reader == "base" else engine._journal.path_of(follows.number))
    reads: dict[str, Callable[[], object]] = {
        "log": lambda: list(store.entries()),
        "base": lambda: list(engine.folded()[1]),
        "backup": lambda: store.backup(tmp_path / "backup"),
        "folding": lambda: list(engine.reclaim(urgent=True)),
    }
    with pytest.raises(StoreDamaged):
        reads[reader]()
    mended(store)
    assert list(store.check()) == []
    store.backup(tmp_path / "good")
    with pytest.raises(EntriesGone):
        store.runtime.engine.entries(1)


def test_a_false_alarm_changes_nothing(store: Store) -> None:
    engine = engine_of(store)
    engine.suspect("a reader that was mistaken")
    mended(store)
    assert not engine.suspected
    assert engine.recoveries == ()


def test_a_state_that_is_damaged_too_takes_nobody_s_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(store)
    layers = sorted(engine.path.glob(LAYER))
    flip(layers[0])

    def damaged() -> object:
        yield from ()
        raise StoreDamaged("the state fails its checksum")

    list(engine.scrub(lambda _: None))
    with monkeypatch.context() as patched:
        patched.setattr(engine._state, "scan", lambda _prefix: damaged())
        engine.roll()
    with pytest.raises(StoreDamaged, match="state fails"):
        list(engine.reclaim(urgent=False))
    assert sorted(engine.path.glob(LAYER)) == layers
    assert engine.suspected
    mended(store)
    assert list(store.check()) == []


@pytest.mark.parametrize("steps", [1, 5, 20, 40, 80])
def test_what_is_left_in_the_middle_is_healed_by_the_next_opening(
    store: Store, open_store: Opener, steps: int, tmp_path: Path
) -> None:
    engine = engine_of(store)
    before = dict(engine.scan(""))
    flip(min(engine.path.glob(FIRST)))
    list(engine.scrub(lambda _: None))
    engine.roll()
    doing = engine.reclaim(urgent=False)
    for _ in zip(range(steps), doing, strict=False):
        pass
    left = copy_of(engine.path, tmp_path / "left")
    again = open_store(left, **SMALL)
    assert dict(again.runtime.engine.scan("")) == before
    assert list(again.check()) == []
    doing.close()
    mended(store)
