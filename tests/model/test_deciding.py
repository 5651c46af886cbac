"""Request ids: answered once, and never for another command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace

import pytest
from world import NOW, World

from pictact_actors.errors import InvalidValue, MatchClosed
from pictact_actors.model import codec
from pictact_actors.model.commands import (
    UNCHANGED,
    AddTrophy,
    AwardPoints,
    CancelMatch,
    CloseRound,
    Command,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    PutMany,
    RecordAnalytics,
    UpdateMatch,
    UpdateRound,
)
from pictact_actors.model.deciding import answered_before, answering, crosses_groups, digest
from pictact_actors.model.records import AnsweredRequest, Record, Score

AWARD = AwardPoints("t3_a", "ann", 10, request_id="r1")
COMMANDS: list[Command] = [
    CreateMatch("t3_b", subreddit="", rounds_total=1, theme="", created_by="", request_id="r1"),
    UpdateMatch("t3_a", theme="rivers", request_id="r1"),
    CreateRound("t3_a", 2, prompt_text="", reference_images=["é.png"], start_ts=0, end_ts=1, request_id="r1"),
    UpdateRound("t3_a", 1, prompt_text="who?", request_id="r1"),
    CloseRound("t3_a", 1, winner_user="ann", points=0.5, request_id="r1"),
    AWARD,
    AddTrophy("ann", "gold", request_id="r1"),
    RecordAnalytics("t3_a", invalid_rate=0.25, request_id="r1"),
    CancelMatch("t3_a", request_id="r1"),
]


@pytest.fixture
def game(game: World) -> World:
    game.do(CreateRound("t3_a", 1, prompt_text="", start_ts=0, end_ts=1))
    return game


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.NAME)
def test_a_command_that_comes_twice_is_answered_twice_and_done_once(game: World, command: Command) -> None:
    first = game.do(command)
    game.now += 5
    assert game.changes(command) == {}
    assert game.do(command) == first


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.NAME)
def test_the_answer_is_remembered_in_the_same_commit_and_can_be_stored(game: World, command: Command) -> None:
    changes = game.changes(command)
    key = f"request:{command.group}:r1"
    request = changes[key]
    assert isinstance(request, AnsweredRequest)
    assert len(changes) > 1
    assert codec.decode(key, codec.encode(request)) == request
    assert (request.created_at, request.digest) == (NOW, digest(command))


def test_the_first_answer_is_given_again_also_after_more_has_happened(game: World) -> None:
    first = game.do(AWARD)
    game.do(AwardPoints("t3_a", "ann", 5))
    game.complete()
    assert game.do(AWARD) == first
    assert isinstance(first, Score)
    assert first.points == 10


def test_the_first_answer_survives_being_stored(game: World) -> None:
    game.put(Score("t3_a", "ann", 1, unknown={"streak": [1, {"x": None}]}))
    first = game.do(AWARD)
    game.records = {key: codec.decode(key, codec.encode(record)) for key, record in game.records.items()}
    assert game.do(AWARD) == first


def test_a_command_that_changed_nothing_is_remembered_too(game: World) -> None:
    game.do(AddTrophy("ann", "gold"))
    assert game.changes(AddTrophy("ann", "gold", request_id="r1")).keys() == {"request:lifetime:ann:r1"}


def test_a_refused_command_is_not_remembered(game: World) -> None:
    game.do(CancelMatch("t3_a"))
    before = dict(game.records)
    with pytest.raises(MatchClosed):
        game.do(AWARD)
    assert game.records == before


@pytest.mark.parametrize(
    "other",
    [
        replace(AWARD, points=11),
        replace(AWARD, points=10.5),
        replace(AWARD, user="bob"),
        replace(AWARD, wins=1),
        RecordAnalytics("t3_a", request_id="r1"),
        CompleteMatch("t3_a", request_id="r1"),
    ],
    ids=str,
)
def test_a_different_command_under_the_same_id_is_an_invalid_value(game: World, other: Command) -> None:
    game.do(AWARD)
    before = dict(game.records)
    with pytest.raises(InvalidValue, match="requestId"):
        game.do(other)
    assert game.records == before


def test_the_same_id_in_another_group_is_another_request(game: World) -> None:
    game.create("t3_b")
    game.do(AWARD)
    for command in (replace(AWARD, post_id="t3_b"), AddTrophy("ann", "gold", request_id="r1")):
        assert len(game.changes(command)) == 2


@pytest.mark.parametrize("name", [f.name for f in fields(UpdateRound) if f.name not in ("post_id", "request_id")])
def test_every_field_counts_in_what_makes_two_commands_different(name: str) -> None:
    one = UpdateRound("t3_a", 1)
    assert getattr(one, name) in (UNCHANGED, 1)
    assert digest(replace(one, **{name: 0})) != digest(one)
    assert digest(replace(one, request_id="r2")) == digest(one)


def test_clearing_a_field_is_not_the_same_as_leaving_it() -> None:
    assert digest(UpdateRound("t3_a", 1, winner_user=None)) != digest(UpdateRound("t3_a", 1))


def test_lists_and_tuples_and_any_order_of_users_are_the_same_command() -> None:
    one = CompleteMatch("t3_a", trophies={"ann": ["gold"], "bob": []}).checked()
    assert digest(one) == digest(CompleteMatch("t3_a", trophies={"bob": (), "ann": ("gold",)}))


def test_puts_of_the_same_records_are_the_same_command() -> None:
    one, other = Score("t3_a", "ann", 1), Score("t3_a", "bob", 2)
    digests = [digest(PutMany(records)) for records in ({"a": one, "b": other}, {"b": other, "a": one})]
    assert digests[0] == digests[1] != digest(PutMany({"a": one}))


def test_a_put_that_was_answered_with_nothing_is_answered_so_again(game: World) -> None:
    put = PutMany({"score:t3_a:ann": Score("t3_a", "ann", 1)}, request_id="r1")
    game.write(answering(put, None, game.now))
    assert game.records.keys() >= {"request:match:t3_a:r1"}
    assert answered_before(put, game, game.when) == (None, {})
    with pytest.raises(InvalidValue, match="requestId"):
        answered_before(AWARD, game, game.when)


def test_a_digest_is_the_same_in_every_process() -> None:
    script = (
        "from pictact_actors.model.commands import AwardPoints; from pictact_actors.model.deciding import digest;"
        "print(digest(AwardPoints('t3_a', 'ann', 10)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == digest(AWARD)


def test_a_completion_with_a_request_id_is_answered_with_the_standings(game: World) -> None:
    game.do(AwardPoints("t3_a", "ann", 10))
    command = CompleteMatch("t3_a", trophies={"ann": ["gold"]}, request_id="r1").checked()
    assert crosses_groups(command, game)
    final = game.complete(trophies=command.trophies)
    game.write(answering(command, final, game.now))
    assert not crosses_groups(command, game)
    assert game.do(command) == final
    with pytest.raises(InvalidValue, match="requestId"):
        game.do(CompleteMatch("t3_a", request_id="r1"))


def test_only_completing_an_open_match_crosses_groups(game: World) -> None:
    assert not crosses_groups(AWARD, game)
    assert crosses_groups(CompleteMatch("t3_a"), game)
    assert not crosses_groups(CompleteMatch("t3_b"), game)


def test_a_command_without_a_request_id_leaves_nothing_to_remember(game: World) -> None:
    assert answering(AwardPoints("t3_a", "ann", 1), Record(), NOW) == {}
    assert all("request:" not in key for key in game.changes(AwardPoints("t3_a", "ann", 1)))
