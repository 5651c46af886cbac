from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.cli.gamelog import Message, messages
from pictact_actors.cli.lines import BadLine, read_lines
from pictact_actors.model.commands import AwardPoints

AWARD = {"type": "award_points", "ts": 100, "postId": "t3_abc", "user": "ann", "points": 2.5}


def read(*lines: dict[str, object]) -> list[Message | BadLine]:
    return list(messages(read_lines(io.BytesIO("\n".join(map(json.dumps, lines)).encode()))))


def reason(fields: dict[str, object]) -> str:
    (line,) = read(fields)
    assert isinstance(line, BadLine)
    return line.reason


def test_a_line_becomes_a_command_at_its_time() -> None:
    (message,) = read({**AWARD, "requestId": "r1"})
    assert isinstance(message, Message)
    assert message.ts == 100.0
    assert message.command == AwardPoints("t3_abc", "ann", 2.5, request_id="r1")


def test_a_line_without_a_request_id_gets_the_same_one_every_time() -> None:
    first, again = read(AWARD)[0], read(AWARD)[0]
    assert isinstance(first, Message)
    assert isinstance(again, Message)
    assert first.command.request_id == again.command.request_id
    assert first.command.request_id is not None


def test_equal_lines_at_different_places_are_different_requests() -> None:
    first, second = read(AWARD, AWARD)
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert first.command.request_id != second.command.request_id


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "win_everything"}, "type"),
        ({"type": None}, "type"),
        ({"type": ["award_points"]}, "type"),
        ({"ts": None}, "ts"),
        ({"ts": "today"}, "ts"),
        ({"ts": -1}, "ts"),
        ({"ts": True}, "ts"),
        ({"ts": 1_700_000_000_000}, "beyond the year 9999"),
        ({"user": "a:b"}, "':'"),
        ({"user": "a\x00b"}, "control characters"),
        ({"user": "\ud800"}, "lone surrogates"),
        ({"user": ""}, "1 to 128 bytes"),
        ({"user": "x" * 129}, "1 to 128 bytes"),
        ({"user": 7}, "ids are text"),
        ({"points": "ten"}, "points"),
        ({"points": True}, "points"),
        ({"points": 2**60}, "points"),
        ({"wins": 1.5}, "wins"),
        ({"colour": "red"}, "is no field of award_points"),
        ({"post_id": "t3_abc"}, "is no field of award_points"),
        ({"requestId": ""}, "1 to 128 bytes"),
        ({"requestId": {}}, "ids are text"),
    ],
)
def test_a_line_with_a_bad_value_says_which(change: dict[str, object], words: str) -> None:
    assert words in reason({**AWARD, **change})


def test_a_line_that_lacks_a_field_says_which() -> None:
    assert "points" in reason({name: value for name, value in AWARD.items() if name != "points"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["type", "ts", "postId", "user", "points", "wins", "index", "trophies", "trophy", "status", "startTs", "endTs"]
)
types = st.sampled_from(
    ["create_match", "create_round", "close_round", "update_round", "add_trophy", "complete_match", "record_analytics"]
)


@given(st.dictionaries(names | st.text(), json_values, max_size=8), types)
def test_any_object_is_a_message_or_a_bad_line(fields: dict[str, object], name: str) -> None:
    for line in ({**fields, "type": name, "ts": 1}, fields):
        (read_as,) = read(line)
        assert isinstance(read_as, Message | BadLine)
