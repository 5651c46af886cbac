from __future__ import annotations

import pytest

from pictact_actors.cli.text import field, moment, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("sunsets", "sunsets"),
        ("Grande Prêmio", "Grande Prêmio"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b", "\\x9b"),
        ("\u202e", "\\u202e"),
        ("[bold]", "[bold]"),
        (26.5, "26.5"),
        (1234567, "1,234,567"),
        (12.0, "12"),
        (-0.25, "-0.25"),
        (True, "yes"),
        (False, "no"),
        (None, "-"),
        ((), "-"),
        (["a", "b"], "a, b"),
        ({"invalidRate": 3}, "invalidRate 3"),
    ],
)
def test_a_value_is_shown_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_times_are_shown_in_utc() -> None:
    assert moment(0) == "1970-01-01 00:00:00Z"
    assert moment(1_700_000_000.25) == "2023-11-14 22:13:20.250Z"


def test_a_time_beyond_the_calendar_stays_a_number() -> None:
    assert moment(2.0**53) == "9.0072e+15"


def test_only_the_times_of_a_record_are_shown_as_times() -> None:
    assert field("createdAt", 0) == "1970-01-01 00:00:00Z"
    assert field("points", 0) == "0"
    assert field("completedAt", None) == "-"
    assert field("closed", False) == "no"
