"""Reading everything again while the store goes on: silent about what is whole, and damage of any kind is named."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from games import POST, begin, play
from opening import Opener
from waiting import until

from pictact_actors import Lifetime, Store
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.engine import Problem

SMALL = {
    "journal_segment_bytes": 64 * 1024,
    "journal_bytes_max": 128 * 1024,
    "cleanup_interval_s": 1e9,
    "state_buffer_bytes": 64 * 1024,
}


@pytest.fixture
def store(open_store: Opener) -> Store:
    """A store with base and journal."""
    store: Store = open_store(**SMALL)
    begin(store)
    for number in range(12):
        grow(store, number)
    until(lambda: store.statistics().base_seq)
    return store


def grow(store: Store, number: int) -> None:
    """Write over some players, add others, and give the journal up that is old enough."""
    rng = random.Random(number)
    users = [f"u{rng.randrange(2_000)}" for _ in range(300)]
    store.put_many({f"lifetime:{user}": Lifetime(user, rng.randrange(9)) for user in users})
    store.runtime.space.give_back()


@pytest.fixture(autouse=True)
def sums_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Players are put here without a history, and tests end with a check."""
    monkeypatch.setattr("pictact_actors.model.integrity._sum_flaws", lambda *_: iter(()))


def engine_of(store: Store) -> EmbeddedEngine:
    engine = store.runtime.engine
    assert isinstance(engine, EmbeddedEngine)
    return engine


@contextmanager
def written_over(store: Store, key: str, value: bytes | None) -> Iterator[None]:
    """Have the state hold something that nobody committed."""
    engine = engine_of(store)
    good = engine.get(key)
    engine._state.publish([{key: value}], engine._journal.position)
    yield
    engine._state.publish([{key: good}], engine._journal.position)


def scrubbed(store: Store) -> tuple[list[Problem], int]:
    read: list[int] = []
    return list(engine_of(store).scrub(read.append)), sum(read)


def test_a_whole_store_is_read_in_silence(store: Store) -> None:
    problems, size_bytes = scrubbed(store)
    assert problems == []
    assert size_bytes > store.statistics().base_bytes


def test_a_store_without_a_base_is_compared_too(open_store: Opener) -> None:
    store: Store = open_store()
    begin(store)
    play(store, {"ann": 3})
    assert scrubbed(store)[0] == []
    key = f"score:{POST}:ann"
    with written_over(store, key, b"other"):
        assert [problem.key for problem in scrubbed(store)[0]] == [key]


def test_it_reads_along_while_everything_changes(store: Store) -> None:
    ended = threading.Event()
    numbers = iter(range(100, 10_000))

    def change() -> None:
        while not ended.is_set():
            grow(store, next(numbers))

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(5):
            assert scrubbed(store)[0] == []
    finally:
        ended.set()
        changing.join()


@pytest.mark.parametrize("value", [None, b"other"], ids=["missing", "other"])
def test_a_value_that_is_not_what_was_written_is_named(store: Store, value: bytes | None) -> None:
    engine = engine_of(store)
    keys = [key for key, _ in engine.scan("lifetime:")]
    for key in (keys[0], keys[len(keys) // 2], keys[-1]):
        with written_over(store, key, value):
            assert [(problem.kind, problem.key) for problem in scrubbed(store)[0]] == [("state", key)]
    assert scrubbed(store)[0] == []


def test_a_record_that_nobody_wrote_is_named(store: Store) -> None:
    with written_over(store, "lifetime:zz", b"ghost"):
        assert [problem.key for problem in scrubbed(store)[0]] == ["lifetime:zz"]


@pytest.mark.parametrize(("pattern", "at"), [("base/*.layer", 30), ("base/*.layer", 4_200), ("journal/*.journal", 200)])
def test_a_file_with_another_byte_is_named(store: Store, pattern: str, at: int) -> None:
    store.runtime.space.stop()  # nothing is given up under our hands
    path: Path = min(engine_of(store).path.glob(pattern))
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    problems, _ = scrubbed(store)
    path.write_bytes(whole)
    assert {problem.kind for problem in problems} == {"damage"}
    assert path.name in problems[0].detail
