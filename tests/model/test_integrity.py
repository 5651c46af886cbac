"""What `check()` says of records that contradict each other, and that it is silent about those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from world import NOW, World

from pictact_actors.model.commands import AddTrophy, AwardPoints, CloseRound, CreateRound, RecordAnalytics
from pictact_actors.model.indexes import index_keys
from pictact_actors.model.integrity import Indexes, flaws
from pictact_actors.model.records import (
    Analytics,
    AnsweredRequest,
    Lifetime,
    Match,
    PlayedMatch,
    Record,
    Round,
    Score,
    Texts,
)


def kinds(*records: Record) -> list[tuple[str, str]]:
    return [(flaw.kind, flaw.key) for flaw in flaws((record.key, record) for record in records)]


FLAWED: dict[str, tuple[list[Record], tuple[str, str]]] = {
    "round without match": ([Round("p", 1)], ("relationship", "round:p:1")),
    "score without match": ([Score("p", "u")], ("relationship", "score:p:u")),
    "analytics without match": ([Analytics("p")], ("relationship", "analytics:p")),
    "request without match": ([AnsweredRequest("match", "p", "r")], ("relationship", "request:match:p:r")),
    "history without lifetime": ([PlayedMatch("u", "p")], ("relationship", "history:u")),
    "lifetime without history": ([Lifetime("u", matches_played=1)], ("sum", "lifetime:u")),
    "wins do not add up": ([Lifetime("u", 2, 1, 5), PlayedMatch("u", "p", 5, 1)], ("sum", "lifetime:u")),
    "points do not add up": ([Lifetime("u", 1, 1, 5.5), PlayedMatch("u", "p", 5, 1)], ("sum", "lifetime:u")),
    "trophy twice": ([Lifetime("u", trophies=Texts(["gold", "gold"]))], ("trophies", "lifetime:u")),
    "completed without a time": ([Match("p", "completed")], ("match", "match:p")),
    "active with a time": ([Match("p", "active", completed_at=NOW, expires_at=NOW)], ("match", "match:p")),
}


@pytest.mark.parametrize(("records", "flaw"), FLAWED.values(), ids=FLAWED)
def test_a_contradiction_is_found_and_named(records: list[Record], flaw: tuple[str, str]) -> None:
    assert kinds(*records) == [flaw]


def test_a_record_under_the_key_of_another_is_found() -> None:
    assert [flaw.kind for flaw in flaws([("lifetime:bob", Lifetime("ann"))])] == ["key"]


def test_sums_of_floats_in_another_order_are_no_contradiction() -> None:
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    history = [PlayedMatch("u", f"p{points}", points) for points in (0.1, 0.2, 0.3)]
    assert kinds(Lifetime("u", 0, 3, 0.3 + 0.2 + 0.1), *history) == []


def test_requests_of_users_need_no_match() -> None:
    assert kinds(AnsweredRequest("lifetime", "ann", "r")) == []


def test_whatever_the_commands_write_agrees_with_itself(world: World) -> None:
    for post in ("t3_a", "t3_b", "t3_a"):
        world.create(post)
        world.do(CreateRound(post, 1, prompt_text="", start_ts=0, end_ts=1))
        world.do(CloseRound(post, 1, winner_user="ann", points=0.1))
        world.do(AwardPoints(post, "bob", 0.2, request_id=f"r{world.now}"))
        world.do(RecordAnalytics(post, invalid_rate=0.3))
        world.do(AddTrophy("ann", post, request_id=f"r{world.now}"))
        assert list(flaws(world.records.items())) == []
        world.complete(post, trophies={"bob": ["loud"], "guest": ["cheer"]})
        assert list(flaws(world.records.items())) == []
        world.expire(post)
        world.now += 1
    assert list(flaws(world.records.items())) == []


# -- indexes

PLAYERS: dict[str, Record] = {f"lifetime:u{n}": Lifetime(f"u{n}") for n in range(50)}
SHARING: dict[str, Record] = {
    f"request:lifetime:ann:r{n}": AnsweredRequest("lifetime", "ann", f"r{n}", created_at=NOW) for n in range(2)
}


def index_flaws(found: Callable[[list[str]], Iterable[str]], records: dict[str, Record]) -> list[tuple[str, str]]:
    keys = list(found(sorted({key for record in records.values() for key in index_keys(record)})))
    indexes = Indexes(lambda: keys, records.items)
    return [
        (flaw.key, flaw.detail.partition(",")[0]) for flaw in flaws(records.items(), indexes) if flaw.kind == "index"
    ]


@pytest.mark.parametrize("records", [PLAYERS, SHARING], ids=["of their own", "shared"])
def test_an_index_key_that_is_missing_is_named(records: dict[str, Record]) -> None:
    assert index_flaws(lambda keys: keys, records) == []
    for gone in {key for record in records.values() for key in index_keys(record)}:
        told = index_flaws(lambda keys, gone=gone: [key for key in keys if key != gone], records)
        assert told == [(gone, "is missing from the index")]


def test_an_index_key_that_no_record_leads_to_is_named() -> None:
    (stranger,) = index_keys(Match("p", "active"))
    assert index_flaws(lambda keys: [*keys, stranger], PLAYERS) == [(stranger, "is in the index")]


def test_a_shared_index_key_may_outlive_its_records() -> None:
    (shared,) = index_keys(SHARING["request:lifetime:ann:r0"])
    assert index_flaws(lambda keys: [*keys, shared], PLAYERS) == []


def test_one_key_for_another_is_not_taken_for_balance() -> None:
    (stranger,) = index_keys(Match("p", "active"))
    told = index_flaws(lambda keys: [stranger, *keys[1:]], PLAYERS)
    assert {detail for _, detail in told} == {"is missing from the index", "is in the index"}
