from __future__ import annotations

import io
import json

import pytest

from pictact_actors.cli.lines import BadLine, Line, read_lines


def read(data: bytes, line_bytes_max: int = 1000) -> list[Line | BadLine]:
    return list(read_lines(io.BytesIO(data), line_bytes_max))


def reason(data: bytes, line_bytes_max: int = 1000) -> str:
    (line,) = read(data, line_bytes_max)
    assert isinstance(line, BadLine)
    return line.reason


def test_lines_are_numbered_from_one_and_know_where_they_end() -> None:
    first, second = read(b'{"a": 1}\n{"b": 2}\n')
    assert (first.number, first.offset) == (1, 9)
    assert (second.number, second.offset) == (2, 18)
    assert isinstance(second, Line)
    assert second.fields == {"b": 2}


def test_blank_lines_are_passed_over_but_counted() -> None:
    (line,) = read(b'\n  \r\n{"a": 1}')
    assert line.number == 3


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    assert [type(line) for line in read(b'\xef\xbb\xbf{"a": 1}\r\n{"b": 2}\r\n')] == [Line, Line]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"a": 1} {"b": 2}', "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a": "\xff"}', "not UTF-8 (byte 8)"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
    ],
)
def test_what_is_not_a_json_object_is_a_bad_line(text: bytes, words: str) -> None:
    assert words in reason(text)


def test_nesting_without_end_is_a_bad_line() -> None:
    assert "not JSON" in reason(b"[" * 200_000, line_bytes_max=1_000_000)


def test_a_number_of_ten_thousand_digits_is_a_bad_line() -> None:
    assert "not JSON" in reason(b'{"a": ' + b"9" * 10_000 + b"}", line_bytes_max=100_000)


def test_a_line_that_is_too_long_is_read_past() -> None:
    long, short = read(b'{"a": "' + b"x" * 5_000_000 + b'"}\n{"b": 2}\n')
    assert isinstance(long, BadLine)
    assert "longer than 1000 bytes" in long.reason
    assert isinstance(short, Line)
    assert short.number == 2
    assert short.offset == 5_000_010 + 9


def test_a_line_of_just_the_longest_length_is_read() -> None:
    line = json.dumps({"a": "x" * 100}).encode()
    assert isinstance(read(line + b"\n", len(line))[0], Line)
    assert isinstance(read(line, len(line))[0], Line)
    assert isinstance(read(line, len(line) - 1)[0], BadLine)
