"""What may go into a record: each check returns what it was given or raises the named error."""

from __future__ import annotations

import time

import pytest
from generated import ids, plain, texts
from hypothesis import given

from pictact_actors.errors import InvalidKey, InvalidValue
from pictact_actors.model import validate
from pictact_actors.model.validate import NESTING_MAX, NUMBER_MAX, PLAIN_BYTES_MAX, TEXT_BYTES_MAX, TEXTS_MAX

BAD_IDS = {
    "colon": "t3:a",
    "empty": "",
    "129 bytes": "x" * 129,
    "129 bytes of UTF-8": "é" * 64 + "x",
    "a megabyte": "x" * 2**20,
    "NUL": "a\0",
    "newline": "a\n",
    "DEL": "a\x7f",
    "C1 control": "a\x9f",
    "lone surrogate": "\ud800",
    "bytes": b"t3_a",
    "number": 7,
    "nothing": None,
    "text of another class": type("Text", (str,), {})("t3_a"),
}
NO_NUMBERS = {"bool": True, "NaN": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "text": "1", "none": None}


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", BAD_IDS.values(), ids=BAD_IDS)
def test_an_id_that_breaks_the_contract_is_an_invalid_key(value: object) -> None:
    with pytest.raises(InvalidKey):
        validate.check_id(value)


@given(ids)
def test_every_other_id_is_returned_as_it_is(value: str) -> None:
    assert validate.check_id(value) == value


@pytest.mark.parametrize("value", ["x" * 128, "é" * 64, " ", "..", "/", "\u202e", "🏆"], ids=ascii)
def test_ids_at_the_edge_of_the_contract_are_allowed(value: str) -> None:
    assert validate.check_id(value) == value


@pytest.mark.parametrize("value", [-1, 1_000_000, True, 1.0, "1", None], ids=repr)
def test_an_index_is_a_whole_number_within_its_range(value: object) -> None:
    with pytest.raises(InvalidKey):
        validate.check_index(value)


@pytest.mark.parametrize(
    "value", ["x" * (TEXT_BYTES_MAX + 1), "é" * (TEXT_BYTES_MAX // 2) + "x", "\ud800", b"x", 1, None, ["x"]], ids=type
)
def test_text_is_valid_and_at_most_64_kib(value: object) -> None:
    with pytest.raises(InvalidValue, match="theme"):
        validate.check_text("theme", value)


@given(texts)
def test_every_other_text_is_returned_as_it_is(value: str) -> None:
    assert validate.check_text("theme", value) == value


@pytest.mark.parametrize("value", ["x" * TEXT_BYTES_MAX, "é" * (TEXT_BYTES_MAX // 2)], ids=["ascii", "UTF-8"])
def test_text_of_exactly_64_kib_is_allowed(value: str) -> None:
    assert validate.check_text("theme", value) == value


@pytest.mark.parametrize(
    "check", [validate.check_number, validate.check_int, validate.check_count, validate.check_time]
)
@pytest.mark.parametrize("value", [*NO_NUMBERS.values(), NUMBER_MAX + 1, 10**400], ids=[*NO_NUMBERS, "2**53+1", "huge"])
def test_what_is_no_number_is_refused_everywhere(check, value: object) -> None:  # noqa: ANN001
    with pytest.raises(InvalidValue, match="points"):
        check("points", value)


@pytest.mark.parametrize("value", [NUMBER_MAX, -NUMBER_MAX, 0, -0.5, 5e-324, float(NUMBER_MAX)], ids=repr)
def test_points_are_ints_or_finite_floats_up_to_their_limit(value: float) -> None:
    assert validate.check_number("points", value) is value


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (validate.check_count, -1),
        (validate.check_count, 1.0),
        (validate.check_int, 0.5),
        (validate.check_int, -NUMBER_MAX - 1),
        (validate.check_time, -1),
        (validate.check_bool, 1),
        (validate.check_bool, None),
        (validate.check_texts, "abc"),
        (validate.check_texts, iter(["a"])),
        (validate.check_texts, [1]),
        (validate.check_texts, ["x"] * (TEXTS_MAX + 1)),
        (validate.check_texts, ["x" * TEXT_BYTES_MAX] * (PLAIN_BYTES_MAX // TEXT_BYTES_MAX + 1)),
        (validate.check_ids, "abc"),
        (validate.check_ids, ["x"] * (TEXTS_MAX + 1)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_value_of_the_wrong_kind_or_size_is_refused_by_name(check, value: object) -> None:  # noqa: ANN001
    with pytest.raises(InvalidValue, match="field"):
        check("field", value)


def test_lists_of_texts_may_be_as_long_as_their_limits() -> None:
    assert len(validate.check_texts("images", ["x"] * TEXTS_MAX)) == TEXTS_MAX
    full = ["x" * TEXT_BYTES_MAX] * (PLAIN_BYTES_MAX // TEXT_BYTES_MAX)
    assert validate.check_texts("images", full) == tuple(full)


@pytest.mark.parametrize("value", ["done", "Active", "", None, 1, ["active"]], ids=repr)
def test_a_choice_is_one_of_its_choices(value: object) -> None:
    with pytest.raises(InvalidValue, match="lobby, active"):
        validate.check_choice("status", value, ("lobby", "active"))


@given(plain)
def test_plain_data_is_returned_as_it_is(value: object) -> None:
    assert validate.check_plain("unknown", value) is value


@pytest.mark.parametrize(
    "value",
    [
        nested(NESTING_MAX + 1),
        nested(100_000),
        {"a": b"bytes"},
        {1: "number as a name"},
        {"\ud800": 1},
        {"a": float("nan")},
        {"a": 2**60},
        {"a": {1, 2}},
        {"a": object()},
        ["x" * (TEXT_BYTES_MAX + 1)],
        ["x" * TEXT_BYTES_MAX] * 65,
        [None] * 300_000,
        {str(n): None for n in range(300_000)},
    ],
    ids=range(13),
)
def test_what_is_not_plain_is_too_deep_or_too_big_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match="unknown"):
        validate.check_plain("unknown", value)


def test_data_at_the_deepest_level_is_allowed() -> None:
    assert validate.check_plain("unknown", nested(NESTING_MAX))


def test_a_small_value_that_unfolds_without_end_is_refused_at_once() -> None:
    bomb: object = ["x"]
    for _ in range(30):
        bomb = [bomb, bomb]
    cycle: list[object] = []
    cycle += [cycle, cycle]
    start = time.perf_counter()
    for value in (bomb, cycle):
        with pytest.raises(InvalidValue):
            validate.check_plain("unknown", value)
    assert time.perf_counter() - start < 5
