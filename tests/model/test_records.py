"""Records: frozen values with the contract's names."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields

import pytest
from generated import BY_CLASS, texts
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.model import keys
from pictact_actors.model.records import (
    RECORDS,
    AnsweredRequest,
    Lifetime,
    Match,
    PlayedMatch,
    Player,
    Record,
    Round,
    Score,
    Standing,
    Texts,
    camel,
    snake,
)

CONTRACT = {
    "match": "status subreddit roundsTotal currentRound theme createdBy completedAt expiresAt",
    "round": "promptText referenceImages startTs endTs winnerUser winnerCommentId closed",
    "score": "points wins",
    "lifetime": "totalWins matchesPlayed trophies totalPoints",
    "history": "points wins rank theme completedAt",
    "analytics": "invalidRate avgSolveTime modResponsiveness participationRate samples",
}
EXAMPLES = [Match("p"), Round("p", 3), Score("p", "u"), Lifetime("u"), PlayedMatch("u", "p")]


@pytest.mark.parametrize("kind", CONTRACT)
def test_a_record_shows_every_field_of_the_contract(kind: str) -> None:
    ids = ("p", 3) if kind == "round" else ("p", "u")
    shown = RECORDS[kind](*ids[: len(RECORDS[kind].IDS)]).to_dict()
    assert {*CONTRACT[kind].split(), "createdAt", "updatedAt"} <= shown.keys()


@given(st.one_of(*BY_CLASS.values()))
def test_what_a_record_shows_is_json_and_names_its_ids(record: Record) -> None:
    shown = json.loads(json.dumps(record.to_dict()))
    assert shown == record.to_dict()
    assert [shown[camel(name)] for name in record.IDS] == [getattr(record, name) for name in record.IDS]
    assert record.unknown is None or record.unknown.items() <= shown.items()


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: record.KIND)
def test_a_record_is_frozen_slotted_and_hashable(record: Record) -> None:
    with pytest.raises(FrozenInstanceError):
        record.created_at = 1.0
    assert not hasattr(record, "__dict__")
    assert hash(record) == hash(type(record)(*(getattr(record, name) for name in record.IDS)))


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: record.KIND)
def test_a_records_key_is_the_contracts(record: Record) -> None:
    assert keys.parse(record.key).kind == record.KIND


def test_every_kind_of_key_has_its_record() -> None:
    assert RECORDS.keys() == {*CONTRACT, "observation", "audit", "request"}
    assert RECORDS["request"] is AnsweredRequest


@pytest.mark.parametrize("name", sorted({f.name for cls in RECORDS.values() for f in fields(cls)}))
def test_camel_and_snake_are_inverse_on_every_field(name: str) -> None:
    assert snake(camel(name)) == name


@given(st.lists(texts), st.lists(texts))
def test_texts_equal_a_list_or_tuple_of_the_same(one: list[str], other: list[str]) -> None:
    assert Texts(one) == one == list(Texts(one))
    assert Texts(one) == tuple(one)
    assert (Texts(one) == other) == (one == other)
    assert (Texts(one) != other) == (one != other)
    assert hash(Texts(one)) == hash(tuple(one))
    assert Texts(one) != "".join(one)


def test_a_standing_shows_matches_played_only_on_lifetime_boards() -> None:
    assert Standing(1, "ann", 2.5, 1).to_dict() == {"rank": 1, "user": "ann", "points": 2.5, "wins": 1}
    assert Standing(1, "ann", 2.5, 1, 4).to_dict()["matchesPlayed"] == 4


def test_a_player_shows_the_lifetime_and_every_match() -> None:
    shown = Player(Lifetime("ann"), [PlayedMatch("ann", "t3_a", rank=2)]).to_dict()
    assert shown["lifetime"] == Lifetime("ann").to_dict()
    assert shown["matches"] == [PlayedMatch("ann", "t3_a", rank=2).to_dict()]
