"""The trail: what is missing of what was written to a state shows, wherever it was lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors import StoreDamaged
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.state import trail as trails
from pictact_actors.storage.state.leveldb import Database
from pictact_actors.storage.state.trail import Trail
from pictact_actors.storage.truth.position import Position

STORE_ID = b"store id 16 long"


def position(seq: int) -> Position:
    return Position(seq, seq + 0.5, seq + 0.25, b"chain", 1, 78)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    leveldb.create(tmp_path / "state")
    database = Database(tmp_path / "state", 65536, 65536)
    yield database
    database.close()


class Pairs:
    """A database in memory."""

    def __init__(self) -> None:
        self.pairs: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.pairs.get(key)

    def cursor(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        return sorted(pair for pair in self.pairs.items() if pair[0].startswith(prefix))

    def write(self, changes: dict[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value


def test_it_says_which_commits_are_there_and_where_they_end(database: Database) -> None:
    trail = Trail(database, STORE_ID)
    assert (trail.seq, trail.position) == (0, None)
    database.write(trail.next(7, position(7)))
    again = Trail(database, STORE_ID)
    assert (again.seq, again.position, again.number) == (7, position(7), 1)
    database.write(again.next(9, None))
    assert Trail(database, STORE_ID).position is None


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.data())
def test_a_hole_shows_whatever_was_lost_behind_what_is_certain(settles: list[bool], data: st.DataObject) -> None:
    """Batches are lost in a row; all that was settled before them is in tables, and what follows was written later."""
    written: list[dict[bytes, bytes | None]] = []
    trail, settled = Trail(Pairs(), STORE_ID), 0  # type: ignore[arg-type]
    for number, settle in enumerate(settles, 1):
        written.append(trail.next(number, position(number)))
        if settle:
            trail.settled(number)
            settled = number
    lost_from = data.draw(st.integers(max(0, settled - 1), len(written) - 1), label="first that is lost")
    lost_to = data.draw(st.integers(lost_from, len(written)), label="first behind them")
    left = Pairs()
    for changes in (*written[:lost_from], *written[lost_to:]):
        left.write(changes)
    if lost_from < lost_to < len(written):
        with pytest.raises(StoreDamaged, match="lost what was written"):
            Trail(left, STORE_ID)  # type: ignore[arg-type]
    else:
        assert Trail(left, STORE_ID).seq == (lost_from if lost_from < lost_to else len(written))  # type: ignore[arg-type]


def test_it_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trails, "_UNSETTLED_MAX", 10)
    pairs = Pairs()
    trail = Trail(pairs, STORE_ID)  # type: ignore[arg-type]
    for number in range(1, 100):
        pairs.write(trail.next(number, None))
        if trail.is_long:
            trail.settled(trail.number)
    assert len(pairs.pairs) < 13
