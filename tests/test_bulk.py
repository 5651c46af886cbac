"""Records in bulk: get, get_many, put_many, scan, entries."""

from __future__ import annotations

from typing import Any

import pytest
from games import begin, play
from opening import Opener

from pictact_actors import (
    InvalidKey,
    InvalidValue,
    Lifetime,
    Match,
    NotFound,
    PlayedMatch,
    Round,
    Score,
    Store,
)
from pictact_actors.model import codec, keys
from pictact_actors.testing import ManualClock

NOW = 1_700_000_000.0


@pytest.fixture
def game(store: Store) -> Store:
    """Two matches, one with three players."""
    begin(store, "t3_a", "t3_b")
    play(store, {"ann": 3, "bob": 2, "cat": 1})
    return store


def test_any_record_is_found_by_its_key(game: Store) -> None:
    assert game.get("match:t3_a") == game.match("t3_a")
    assert game.get("score:t3_a:ann") == game.score("t3_a", "ann")
    with pytest.raises(NotFound, match="lifetime:ann"):
        game.get("lifetime:ann")


@pytest.mark.parametrize("key", ["", "nonsense", "match:", "match:a:b", "round:a:x", "request:match:a:r", 5, None])
def test_what_is_no_key_is_refused(game: Store, key: Any) -> None:
    with pytest.raises(InvalidKey):
        game.get(key)
    with pytest.raises(InvalidKey):
        game.get_many(["match:t3_a", key])


def test_many_records_come_by_key_without_those_that_are_missing(game: Store) -> None:
    found = game.get_many(["score:t3_a:bob", "match:t3_b", "match:nope", "score:t3_a:bob"])
    assert found == {"score:t3_a:bob": game.score("t3_a", "bob"), "match:t3_b": game.match("t3_b")}
    assert game.get_many([]) == {}


def test_records_of_any_groups_are_put_in_one_step(open_store: Opener) -> None:
    store = open_store(clock=ManualClock(NOW))
    records = {
        "match:t3_x": Match("t3_x", "completed", completed_at=5.0, expires_at=NOW + 1, created_at=4.0, updated_at=5.0),
        "round:t3_x:1": Round("t3_x", 1, "what?"),
        "score:t3_x:ann": Score("t3_x", "ann", 7, 1, reached_at=4.5),
        "lifetime:ann": Lifetime("ann", 1, 1, 7),
        "history:ann:t3_x": PlayedMatch("ann", "t3_x", 7, 1, 1, "sunsets", 5.0),
    }
    store.put_many(records)
    (entry,) = store.entries()
    assert {key for key in entry.changes if not keys.is_index(key)} == set(records)
    assert store.match("t3_x") == records["match:t3_x"]
    assert store.score("t3_x", "ann").reached_at == 4.5
    assert store.round("t3_x", 1).created_at == NOW
    assert store.player("ann").matches[0].points == 7


def test_putting_nothing_does_nothing(game: Store) -> None:
    seq = game.statistics().seq
    game.put_many({})
    assert game.statistics().seq == seq


@pytest.mark.parametrize(
    ("records", "error"),
    [
        ({"match:t3_x": Match("t3_y")}, InvalidKey),
        ({"match:t3_x": Score("t3_x", "ann")}, InvalidKey),
        ({"match:a:b": Match("a:b")}, InvalidKey),
        ({"request:match:t3_a:r": Match("t3_a")}, InvalidKey),
        ({5: Match("t3_x")}, InvalidKey),
        ({"match:t3_x": {"status": "active"}}, InvalidValue),
        ({"match:t3_x": None}, InvalidValue),
        ({"match:t3_x": Match("t3_x", status="odd")}, InvalidValue),
        ({"score:t3_a:ann": Score("t3_a", "ann", float("nan"))}, InvalidValue),
        ({"round:t3_a:1": Round("t3_a", 1, "x" * 70_000)}, InvalidValue),
    ],
)
def test_one_bad_record_refuses_them_all(game: Store, records: Any, error: type[Exception]) -> None:
    before = dict(game.scan(""))
    with pytest.raises(error):
        game.put_many({"match:t3_c": Match("t3_c"), **records})
    assert dict(game.scan("")) == before


def test_putting_leaves_the_callers_records_alone(game: Store) -> None:
    records = {"match:t3_c": Match("t3_c")}
    game.put_many(records)
    assert records == {"match:t3_c": Match("t3_c")}


def test_a_scan_comes_in_key_order_under_its_prefix(game: Store) -> None:
    assert [key for key, _ in game.scan("score:t3_a:")] == ["score:t3_a:ann", "score:t3_a:bob", "score:t3_a:cat"]
    assert [key for key, _ in game.scan("match:")] == ["match:t3_a", "match:t3_b"]
    assert list(game.scan("nonsense")) == []
    assert len(list(game.scan(""))) == 5


def test_a_scan_goes_on_after_a_key(game: Store) -> None:
    first = list(game.scan("score:", limit=2))
    rest = list(game.scan("score:", after=first[-1][0]))
    assert [key for key, _ in first + rest] == [key for key, _ in game.scan("score:")]
    assert list(game.scan("score:", limit=0)) == []
    assert list(game.scan("match:", after="score:t3_a:ann")) == []
    assert [key for key, _ in game.scan("match:", after="match:t3_a0")] == ["match:t3_b"]


NO_SCANS: list[dict[str, Any]] = [
    {"limit": -1},
    {"limit": "5"},
    {"limit": 1.5},
    {"after": 5},
    {"after": "\ud800"},
    {"prefix": 5},
    {"prefix": "\ud800"},
]


@pytest.mark.parametrize("arguments", NO_SCANS, ids=repr)
def test_a_scan_that_cannot_be_is_refused_before_it_begins(game: Store, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        game.scan(**{"prefix": "", **arguments})


def test_a_scan_that_is_left_half_way_holds_nothing_up(game: Store) -> None:
    half_way = game.scan("score:")
    next(half_way)
    game.award_points("t3_a", "ann", 1)
    game.close()
    assert not hasattr(half_way, "__len__")


def test_the_journal_tells_what_was_done_in_order(game: Store) -> None:
    game.award_points("t3_a", "ann", 1, request_id="r1")
    causes = [(entry.seq, entry.cause, entry.request_id) for entry in game.entries()]
    assert [seq for seq, _, _ in causes] == list(range(1, len(causes) + 1))
    assert causes[-1][1:] == ("award_points", "r1")
    (last,) = game.entries(from_seq=len(causes))
    value = last.changes["score:t3_a:ann"]
    assert value is not None
    assert codec.decode("score:t3_a:ann", value) == game.score("t3_a", "ann")


def test_bulk_and_commands_see_each_other(game: Store) -> None:
    for n in range(20):
        game.put_many({"score:t3_a:ann": Score("t3_a", "ann", n), "score:t3_b:ann": Score("t3_b", "ann", n)})
        assert game.award_points("t3_a", "ann", 100).points == n + 100
        assert game.leaderboard("t3_a", 1)[0].points == n + 100
