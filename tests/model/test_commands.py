"""Commands: checked in the sender's thread, before anybody else sees them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from pictact_actors.errors import InvalidKey, InvalidValue
from pictact_actors.model import keys
from pictact_actors.model.commands import (
    COMMANDS,
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
    changed_fields,
    from_fields,
)
from pictact_actors.model.records import AnsweredRequest, Record, Score, Texts, camel

MATCH = {"subreddit": "pics", "rounds_total": 3, "theme": "sunsets", "created_by": "mod"}
ROUND = {"prompt_text": "what?", "start_ts": 100, "end_ts": 200}
VALID: dict[str, Command] = {
    "create_match": CreateMatch("t3_a", **MATCH),
    "update_match": UpdateMatch("t3_a", theme="rivers"),
    "cancel_match": CancelMatch("t3_a"),
    "create_round": CreateRound("t3_a", 1, **ROUND),
    "update_round": UpdateRound("t3_a", 1, closed=True),
    "close_round": CloseRound("t3_a", 1, winner_user="ann", points=1.5),
    "award_points": AwardPoints("t3_a", "ann", 10),
    "add_trophy": AddTrophy("ann", "gold"),
    "record_analytics": RecordAnalytics("t3_a", invalid_rate=0.5),
    "complete_match": CompleteMatch("t3_a", trophies={"ann": ["gold"]}),
}
BAD_IDS = ["t3:a", "", "x" * 129, "a\n", "\ud800", None, 7]
BAD_VALUES = {
    "no text": CreateMatch("t3_a", **{**MATCH, "theme": 7}),
    "long text": CreateMatch("t3_a", **{**MATCH, "theme": "x" * 65_537}),
    "lone surrogate": CreateMatch("t3_a", **{**MATCH, "subreddit": "\ud800"}),
    "negative count": CreateMatch("t3_a", **{**MATCH, "rounds_total": -1}),
    "half a round": CreateMatch("t3_a", **{**MATCH, "rounds_total": 1.5}),
    "bool count": CreateMatch("t3_a", **{**MATCH, "rounds_total": True}),
    "born completed": CreateMatch("t3_a", **MATCH, status="completed"),
    "completed by update": UpdateMatch("t3_a", status="completed"),
    "cancelled by update": UpdateMatch("t3_a", status="cancelled"),
    "theme cleared": UpdateMatch("t3_a", theme=None),
    "round before 0": UpdateMatch("t3_a", current_round=-1),
    "ends before it starts": CreateRound("t3_a", 1, prompt_text="", start_ts=2, end_ts=1),
    "starts at NaN": CreateRound("t3_a", 1, prompt_text="", start_ts=float("nan"), end_ts=1),
    "images as text": CreateRound("t3_a", 1, **ROUND, reference_images="a.png"),
    "an image is no text": CreateRound("t3_a", 1, **ROUND, reference_images=[None]),
    "closed is no bool": UpdateRound("t3_a", 1, closed=1),
    "prompt cleared": UpdateRound("t3_a", 1, prompt_text=None),
    "points for nobody": CloseRound("t3_a", 1, points=1),
    "comment is no text": CloseRound("t3_a", 1, winner_user="ann", winner_comment_id=7),
    "NaN points": AwardPoints("t3_a", "ann", float("nan")),
    "infinite points": AwardPoints("t3_a", "ann", float("-inf")),
    "bool points": AwardPoints("t3_a", "ann", True),
    "points beyond 2**53": AwardPoints("t3_a", "ann", 2**53 + 1),
    "text points": AwardPoints("t3_a", "ann", "10"),
    "half a win": AwardPoints("t3_a", "ann", 1, wins=0.5),
    "bool wins": AwardPoints("t3_a", "ann", 1, wins=True),
    "negative rate": RecordAnalytics("t3_a", invalid_rate=-0.1),
    "bool rate": RecordAnalytics("t3_a", participation_rate=True),
    "infinite time": RecordAnalytics("t3_a", avg_solve_time=float("inf")),
    "trophies are no map": CompleteMatch("t3_a", trophies=["ann"]),
    "trophies are one text": CompleteMatch("t3_a", trophies={"ann": "gold"}),
}


@pytest.mark.parametrize("command", VALID.values(), ids=VALID)
def test_a_valid_command_passes_its_check(command: Command) -> None:
    checked = command.checked()
    assert type(checked) is type(command)
    assert checked.checked() == checked


def test_every_command_of_the_contract_is_here_by_its_name() -> None:
    assert COMMANDS.keys() == VALID.keys()
    assert all(COMMANDS[name] is type(command) for name, command in VALID.items())
    assert all("".join(map(str.capitalize, name.split("_"))) == cls.__name__ for name, cls in COMMANDS.items())


@pytest.mark.parametrize("command", BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_bad_value_is_refused_by_its_check(command: Command) -> None:
    with pytest.raises(InvalidValue):
        command.checked()


@pytest.mark.parametrize("bad", BAD_IDS, ids=ascii)
@pytest.mark.parametrize("name", VALID)
def test_a_bad_id_is_refused_in_every_command(name: str, bad: object) -> None:
    command = VALID[name]
    ids = [f.name for f in fields(command) if f.name in ("post_id", "user", "trophy", "winner_user", "request_id")]
    given = {f.name: getattr(command, f.name) for f in fields(command)}
    for field in ids:
        if bad is None and field in ("request_id", "winner_user"):
            continue
        with pytest.raises(InvalidKey):
            type(command)(**{**given, field: bad}).checked()


@pytest.mark.parametrize("trophies", [{"a:b": ["gold"]}, {"ann": ["a:b"]}, {7: []}, {"ann": [7]}], ids=str)
def test_users_and_trophies_of_a_completion_are_ids(trophies: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidKey):
        CompleteMatch("t3_a", trophies=trophies).checked()


@pytest.mark.parametrize(
    "command", [CreateRound("t3_a", -1, **ROUND), UpdateRound("t3_a", 10**6), CloseRound("t3_a", True)]
)
def test_a_bad_index_is_an_invalid_key(command: Command) -> None:
    with pytest.raises(InvalidKey):
        command.checked()


@pytest.mark.parametrize("command", VALID.values(), ids=VALID)
def test_a_command_is_frozen(command: Command) -> None:
    with pytest.raises(FrozenInstanceError):
        command.request_id = "r1"


@pytest.mark.parametrize("command", VALID.values(), ids=VALID)
def test_the_group_of_a_command_is_a_group_of_keys(command: Command) -> None:
    assert keys.parse(command.group).group == command.group
    assert command.group == ("lifetime:ann" if isinstance(command, AddTrophy) else "match:t3_a")


def test_a_check_freezes_what_the_sender_could_still_change() -> None:
    images, won = ["a.png"], ["gold"]
    opened = CreateRound("t3_a", 1, **ROUND, reference_images=images).checked()
    done = CompleteMatch("t3_a", trophies={"ann": won}).checked()
    images.append("b.png")
    won.append("silver")
    assert opened.reference_images == Texts(["a.png"])
    assert done.trophies["ann"] == ["gold"]
    assert hash(done) == hash(CompleteMatch("t3_a"))


@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("score:t3_a:bob", Score("t3_a", "ann")),
        ("request:match:t3_a:r1", AnsweredRequest("match", "t3_a", "r1")),
        ("nothing", Score("t3_a", "ann")),
        (7, Score("t3_a", "ann")),
        ("score:t3_a:ann", Score("t3_a", "ann", True)),
        ("score:t3_a:ann", {"points": 1}),
    ],
    ids=str,
)
def test_records_that_are_put_are_checked_like_everything_else(key: str, record: Record) -> None:
    good = Score("t3_a", "zoe", 1)
    assert PutMany({good.key: good}).checked().records == {good.key: good}
    with pytest.raises((InvalidKey, InvalidValue)):
        PutMany({good.key: good, key: record}).checked()


def test_an_update_says_only_what_it_changes() -> None:
    assert changed_fields(UpdateMatch("t3_a", theme="rivers", request_id="r1")) == {"theme": "rivers"}
    assert changed_fields(UpdateRound("t3_a", 1, winner_user=None)) == {"winner_user": None}
    assert repr(UNCHANGED) == "UNCHANGED"


@pytest.mark.parametrize("command", VALID.values(), ids=VALID)
def test_a_line_of_a_game_log_builds_the_same_command(command: Command) -> None:
    set_fields = {
        f.name: getattr(command, f.name) for f in fields(command) if getattr(command, f.name) is not UNCHANGED
    }
    line = {camel(name): list(value) if isinstance(value, tuple) else value for name, value in set_fields.items()}
    assert from_fields(command.NAME, line) == command.checked()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("fly", {}),
        ([], {}),
        (None, {}),
        ("award_points", {"postId": "t3_a", "user": "ann"}),
        ("award_points", {"postId": "t3_a", "user": "ann", "points": 1, "colour": "red"}),
        ("award_points", {"post_id": "t3_a", "user": "ann", "points": 1}),
        ("award_points", {"postId": "t3_a", "user": "ann", "points": None}),
        ("award_points", {"postId": "t3_a", "user": "ann", "points": {}}),
        ("award_points", {}),
        ("update_match", {"postId": "t3_a", "theme": None}),
        ("complete_match", {"postId": "t3_a", "trophies": None}),
    ],
    ids=str,
)
def test_a_line_that_is_no_command_is_an_invalid_value(name: object, line: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        from_fields(name, line)


@pytest.mark.parametrize("bad", [[], {}, 7, True, None], ids=repr)
def test_a_line_with_an_id_of_another_type_is_an_invalid_key(bad: object) -> None:
    with pytest.raises(InvalidKey):
        from_fields("award_points", {"postId": bad, "user": "ann", "points": 1})
