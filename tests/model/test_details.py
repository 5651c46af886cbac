"""Details of analytics as lines of the archive: nothing lost on the way, and nothing taken for another one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from generated import observations
from hypothesis import given

from pictact_actors.errors import Rejected
from pictact_actors.model.details import detail_of, is_same, line_of
from pictact_actors.model.records import Observation

DETAIL = Observation("t3_a", 7, 0.5, 12, None, None, "pics", 1_700_000_000.5, 1_700_000_000.5)
LINE = {
    "postId": "t3_a",
    "seq": 7,
    "observedAt": 1_700_000_000.5,
    "invalidRate": 0.5,
    "avgSolveTime": 12,
    "modResponsiveness": None,
    "participationRate": None,
    "subreddit": "pics",
}


def test_a_line_says_what_was_observed_where_and_when() -> None:
    assert line_of(DETAIL) == LINE
    assert list(line_of(DETAIL))[:3] == ["postId", "seq", "observedAt"]


def test_a_subreddit_that_is_not_known_is_null() -> None:
    assert line_of(replace(DETAIL, subreddit=""))["subreddit"] is None


@given(observations)
def test_a_detail_is_the_same_after_it_was_a_line_of_json(detail: Observation) -> None:
    read_back = detail_of(json.loads(json.dumps(line_of(detail), allow_nan=False)))
    assert is_same(read_back, detail)
    assert read_back.key == detail.key


@given(observations, observations)
def test_details_are_the_same_if_their_lines_are(one: Observation, other: Observation) -> None:
    assert is_same(one, other) == (line_of(one) == line_of(other))


@pytest.mark.parametrize("change", [{"invalid_rate": 0.25}, {"created_at": 1.0}, {"seq": 8}, {"subreddit": "art"}])
def test_a_detail_that_says_something_else_is_another_one(change: dict[str, object]) -> None:
    assert not is_same(DETAIL, replace(DETAIL, **change))
    assert is_same(DETAIL, replace(DETAIL, updated_at=2.0))
    assert not is_same(DETAIL, None)


@pytest.mark.parametrize(
    "line",
    [{}, {**LINE, "seq": "x"}, {**LINE, "postId": "a:b"}, {**LINE, "observedAt": None}, {**LINE, "avgSolveTime": "12"}],
)
def test_a_line_that_we_never_wrote_is_refused(line: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        detail_of(line)
