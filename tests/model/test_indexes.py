"""Index keys: derived from records, in order of time, and always those of the records that are there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from generated import matches, times
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.model import keys
from pictact_actors.model.indexes import due_key, due_parts, index_keys, reindexed
from pictact_actors.model.records import (
    Analytics,
    AnsweredRequest,
    Audit,
    Match,
    Observation,
    PlayedMatch,
    Record,
    Round,
    Score,
)

T = 1_700_000_000.0
TEXT = "00000001700000000.000000"

INDEXED: list[tuple[Record, str]] = [
    (Match("p", "active", updated_at=T), f"due:idle:{TEXT}:p"),
    (Match("p", "lobby", updated_at=T), f"due:idle:{TEXT}:p"),
    (Match("p", "active", updated_at=T, expires_at=T + 5), f"due:idle:{TEXT}:p"),
    (Match("p", "cancelled", updated_at=T), f"due:cancelled:{TEXT}:p"),
    (Match("p", "cancelled", updated_at=T + 5, expires_at=T), f"due:completed:{TEXT}:p"),
    (Match("p", "completed", updated_at=T - 7, completed_at=T - 7, expires_at=T), f"due:completed:{TEXT}:p"),
    (Observation("p", 7, created_at=T), f"due:observed:{TEXT}:p:7"),
    (AnsweredRequest("lifetime", "ann", "r", created_at=T), "due:answered:00000001699999200.000000:ann"),
    (Audit(TEXT, "idle", "p", created_at=T), f"due:audited:{TEXT}:{TEXT}:idle:p"),
]


@pytest.mark.parametrize(("record", "key"), INDEXED, ids=lambda item: getattr(item, "key", ""))
def test_a_record_is_found_by_its_time(record: Record, key: str) -> None:
    assert index_keys(record) == (key,)
    assert reindexed(None, record) == {key: b""}


NOT_INDEXED = [
    Round("p", 1),
    Score("p", "ann"),
    Analytics("p"),
    PlayedMatch("ann", "p"),
    AnsweredRequest("match", "p", "r"),
]


@pytest.mark.parametrize("record", NOT_INDEXED, ids=lambda record: record.key)
def test_what_goes_with_something_else_has_no_index_key(record: Record) -> None:
    assert index_keys(record) == ()
    assert reindexed(None, record) == reindexed(record, None) == {}


@given(times, st.sampled_from(["completed", "idle"]), st.sampled_from(["p", "p:7", "t:i:m:e"]))
def test_an_index_key_says_what_it_was_made_of(time: float, basis: str, owner: str) -> None:
    key = due_key(basis, time, owner)
    assert due_parts(key) == (basis, pytest.approx(time, abs=1e-6), owner)
    assert keys.is_index(key)
    assert not keys.is_public(key)


@given(st.lists(times, min_size=2))
def test_index_keys_are_in_order_of_time(given_times: list[float]) -> None:
    in_order = sorted(due_key("completed", time, "p") for time in given_times)
    found = [due_parts(key)[1] for key in in_order]
    assert found == sorted(found)
    assert found == pytest.approx(sorted(given_times), abs=1e-6)


def test_a_match_moves_in_the_index() -> None:
    before, after = Match("p", updated_at=1.0), Match("p", updated_at=2.0)
    assert reindexed(before, after) == {due_key("idle", 1.0, "p"): None, due_key("idle", 2.0, "p"): b""}
    assert reindexed(after, None) == {due_key("idle", 2.0, "p"): None}


def test_a_match_that_did_not_move_leaves_the_index_alone() -> None:
    assert reindexed(Match("p", theme="a", updated_at=1.0), Match("p", theme="b", updated_at=1.0)) == {}


def test_a_key_that_several_records_share_is_not_removed_with_one_of_them() -> None:
    first = AnsweredRequest("lifetime", "ann", "r1", created_at=T)
    assert reindexed(first, None) == {}
    assert reindexed(first, AnsweredRequest("lifetime", "ann", "r1", created_at=T + 7_200)) == {
        due_key("answered", (T + 7_200) // 3_600 * 3_600, "ann"): b""
    }


@given(st.lists(st.none() | matches, max_size=12))
def test_whatever_becomes_of_a_match_the_index_has_it_once(history: Sequence[Match | None]) -> None:
    index: set[str] = set()
    before: Match | None = None
    for record in history:
        after = (
            None
            if record is None
            else Match("p", record.status, expires_at=record.expires_at, updated_at=record.updated_at)
        )
        for key, value in reindexed(before, after).items():
            if value is None:
                index.remove(key)
            else:
                index.add(key)
        before = after
        assert index == set(() if after is None else index_keys(after))
