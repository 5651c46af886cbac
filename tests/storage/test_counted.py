"""Counts of keys that nobody holds: against a plain sorted list, through splits, merges, and what a crash takes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pictact_actors import StoreDamaged
from pictact_actors.model.keys import COUNTED
from pictact_actors.storage.engine import Changes
from pictact_actors.storage.state import counted as module
from pictact_actors.storage.state.counted import PAIRS, Counted, loaded

PLAYED, POINTS, WINS = COUNTED
NAMES = st.text("ab\U0001f3c6", max_size=5)
KEYS = st.builds(str.__add__, st.sampled_from(COUNTED), NAMES)


class Disk:
    """What LevelDB has: keys, and pairs about them."""

    def __init__(self, *keys: str) -> None:
        self.held = set(keys)
        self.pairs: dict[bytes, bytes] = {}
        self.damaged = False
        self.reads = 0

    def keys(self, start: str, stop: str) -> Iterator[str]:
        self.reads += 1
        if self.damaged:
            raise StoreDamaged("a block")
        return iter(sorted(key for key in self.held if start <= key < stop))

    def has(self, key: str) -> bool:
        return key in self.held

    def open(self) -> Counted:
        return loaded(self, sorted(self.pairs.items()))

    def take(self, keys: set[str], pairs: dict[bytes, bytes | None]) -> None:
        """Take a batch."""
        self.held = set(keys)
        for key, value in pairs.items():
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value


def rank(counted: Counted, prefix: str, key: str) -> int:
    before, rest = counted.before(prefix, key)
    return before + len(list(rest))


def page(counted: Counted, prefix: str, position: int, limit: int) -> list[str]:
    skipped, found = counted.page(prefix, position, limit)
    return list(islice(found, skipped, skipped + limit))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_MAX", 8)
    monkeypatch.setattr(module, "CHUNK_FEW", 4)
    monkeypatch.setattr(module, "_BLOCK", 3)


class KeysAreCounted(RuleBasedStateMachine):
    """Add, remove, write and open in any order: it is always what a sorted list says."""

    @initialize(there=st.sets(KEYS, max_size=40))
    def begin(self, there: set[str]) -> None:
        self.disk = Disk(*there)
        self.counted = self.disk.open()
        self.there = there
        self.frozen: tuple[set[str], dict[bytes, bytes | None]] | None = None
        self.since: list[set[str]] = []

    @rule(toggled=st.sets(KEYS, min_size=1, max_size=30))
    def change(self, toggled: set[str]) -> None:
        before = self.there
        self.there = before ^ toggled
        self.counted.fold({key: b"" if key in self.there else None for key in toggled} | {"lifetime:a": b"?"})

    @rule(prefix=st.sampled_from(COUNTED), name=NAMES)
    def clear_some(self, prefix: str, name: str) -> None:
        gone = {key for key in self.there if key.startswith(prefix + name)}
        self.there = self.there - gone
        self.counted.fold(dict.fromkeys(gone))

    @rule(led_to=st.dictionaries(KEYS, st.sampled_from([b"", None]), max_size=20))
    def settle(self, led_to: Changes) -> None:
        self.counted.settle(led_to)
        self.there = (self.there | {key for key in led_to if led_to[key] is not None}) - {
            key for key in led_to if led_to[key] is None
        }

    @rule()
    def freeze(self) -> None:
        if self.frozen is None:
            self.frozen = (set(self.there), self.counted.freeze())

    @rule()
    def write(self) -> None:
        """LevelDB has what was frozen; the overlay is still there for a moment."""
        if self.frozen is not None:
            self.disk.take(*self.frozen)

    @rule()
    def wrote(self) -> None:
        if self.frozen is not None:
            self.disk.take(*self.frozen)
            self.counted.written()
            self.frozen = None

    @rule()
    def crash(self) -> None:
        """What was not written is done anew: settled, as if many commits had been folded into one."""
        self.counted, self.frozen = self.disk.open(), None
        self.counted.settle({key: b"" if key in self.there else None for key in self.there | self.disk.held})

    @rule(prefix=st.sampled_from(COUNTED), name=NAMES)
    def ask_rank(self, prefix: str, name: str) -> None:
        expected = sorted(key for key in self.there if key.startswith(prefix))
        assert rank(self.counted, prefix, prefix + name) == bisect_left(expected, prefix + name)

    @rule(prefix=st.sampled_from(COUNTED), position=st.integers(0, 60), limit=st.integers(0, 60))
    def ask_page(self, prefix: str, position: int, limit: int) -> None:
        expected = sorted(key for key in self.there if key.startswith(prefix))
        assert page(self.counted, prefix, position, limit) == expected[position : position + limit]

    @invariant()
    def counts_each_chunk_and_keeps_them_neither_large_nor_many(self) -> None:
        chunks = self.counted.chunks()
        starts = [start for start, _ in chunks]
        assert starts == sorted(set(starts))
        assert set(COUNTED) <= set(starts)
        found = [sum(start <= key < stop for key in self.there) for start, stop in zip(starts, [*starts[1:], "~"])]  # noqa: B905
        assert [count for _, count in chunks] == found
        assert max(found) <= 8
        assert len(chunks) <= 3 + 2 * len(self.there) // 4 + 3


def test_it_is_a_sorted_list_whatever_the_order_of_events() -> None:
    run_state_machine_as_test(
        KeysAreCounted, settings=settings(max_examples=60, stateful_step_count=30, suppress_health_check=[*HealthCheck])
    )


def put(*keys: str) -> Changes:
    return dict.fromkeys(keys, b"")


def many(count: int, prefix: str = WINS) -> list[str]:
    return [f"{prefix}{number:04}" for number in range(count)]


def test_a_chunk_that_grows_too_large_is_split_in_two_halves() -> None:
    counted = Disk().open()
    counted.fold(put(*many(9)))
    assert [chunk for chunk in counted.chunks() if chunk[0].startswith(WINS)] == [(WINS, 5), (f"{WINS}0005", 4)]


def test_two_small_chunks_that_follow_each_other_become_one() -> None:
    counted = Disk().open()
    counted.fold(put(*many(9)))
    counted.fold(dict.fromkeys(many(5)))
    assert [count for start, count in counted.chunks() if start.startswith(WINS)] == [4]


def test_what_goes_leaves_no_chunk_behind_but_the_first_of_each_prefix() -> None:
    counted = Disk().open()
    keys = [key for prefix in COUNTED for key in many(100, prefix)]
    counted.fold(put(*keys))
    assert len(counted.chunks()) > 30
    counted.fold(dict.fromkeys(keys))
    assert counted.chunks() == [(prefix, 0) for prefix in COUNTED]


def test_splits_and_merges_reach_leveldb_with_what_caused_them() -> None:
    disk = Disk()
    counted = disk.open()
    counted.fold(put(*many(50)))
    disk.take(set(many(50)), counted.freeze())
    counted.written()
    counted.fold(dict.fromkeys(many(50)[4:]))
    disk.take(set(many(4)), counted.freeze())
    assert disk.open().chunks() == counted.chunks()
    assert [key for key in disk.pairs if key.startswith(PAIRS + WINS.encode())] == [PAIRS + WINS.encode()]


def test_only_what_changed_is_written() -> None:
    counted = Disk(*many(100)).open()
    counted.freeze()
    counted.fold(put(f"{WINS}0050!"))
    ((key, value),) = counted.freeze().items()
    assert value is not None
    assert key.startswith(PAIRS + f"{WINS}00".encode())
    assert counted.freeze() == {}


def test_nothing_is_written_about_nothing() -> None:
    assert Disk().open().freeze() == {}


def test_counts_that_are_not_there_are_counted() -> None:
    counted = Disk(*many(100), *many(3, PLAYED), "lifetime:ann", "zzz").open()
    assert rank(counted, WINS, f"{WINS}0042") == 42
    assert page(counted, PLAYED, 1, 9) == many(3, PLAYED)[1:]
    assert max(count for _, count in counted.chunks()) <= 4


@pytest.mark.parametrize(
    ("key", "value"), [(WINS, b"-1"), (WINS, b""), (WINS, b"x"), ("lifetime:", b"1"), ("", b"1"), ("\udcff", b"1")]
)
def test_counts_that_cannot_be_are_damage(key: str, value: bytes) -> None:
    disk = Disk()
    disk.pairs[PAIRS + key.encode(errors="surrogateescape")] = value
    with pytest.raises(StoreDamaged, match="counts its keys"):
        disk.open()


def test_a_chunk_that_cannot_be_read_is_split_later() -> None:
    disk = Disk()
    counted = disk.open()
    disk.damaged = True
    counted.fold(put(*many(30)))
    disk.damaged = False
    assert rank(counted, WINS, f"{WINS}0020") == 20
    counted.fold(put(f"{WINS}x"))
    assert rank(counted, WINS, f"{WINS}x") == 30
    assert max(count for _, count in counted.chunks()) <= 8


def test_a_rank_or_a_page_reads_one_place_however_many_there_are() -> None:
    disk = Disk(*many(2_000))
    counted = disk.open()
    for ask in (lambda: rank(counted, WINS, f"{WINS}1500"), lambda: page(counted, WINS, 1_500, 10)):
        disk.reads = 0
        ask()
        assert disk.reads == 1


def test_what_it_returned_may_be_read_on_while_it_changes() -> None:
    counted = Disk(*many(20)).open()
    counted.fold(put(f"{WINS}0005!"))
    skipped, found = counted.page(WINS, 4, 5)
    counted.fold(dict.fromkeys(many(20)))
    assert list(islice(found, skipped, None))[:3] == [f"{WINS}0004", f"{WINS}0005", f"{WINS}0005!"]
