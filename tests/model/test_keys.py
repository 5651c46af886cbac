"""Keys: taken apart and put together again without losing or confusing anything."""

from __future__ import annotations

import pytest
from generated import BY_CLASS, ids, public_records
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.errors import InvalidKey
from pictact_actors.model import keys
from pictact_actors.model.records import Record
from pictact_actors.model.validate import ROUND_INDEX_MAX

EXAMPLES = {
    "match:t3_a": ("match", ("t3_a",), "match:t3_a"),
    "round:t3_a:0": ("round", ("t3_a", 0), "match:t3_a"),
    "round:t3_a:999999": ("round", ("t3_a", 999_999), "match:t3_a"),
    "score:t3_a:ann": ("score", ("t3_a", "ann"), "match:t3_a"),
    "analytics:t3_a": ("analytics", ("t3_a",), "match:t3_a"),
    "lifetime:ann": ("lifetime", ("ann",), "lifetime:ann"),
    "history:ann:t3_a": ("history", ("ann", "t3_a"), "lifetime:ann"),
    "request:match:t3_a:r1": ("request", ("match", "t3_a", "r1"), "match:t3_a"),
    "request:lifetime:ann:r1": ("request", ("lifetime", "ann", "r1"), "lifetime:ann"),
}
BAD_KEYS = [
    *(
        "",
        ":",
        "match",
        "match:",
        "match:a:b",
        "Match:a",
        "matches:a",
        " match:a",
        "score:a",
        "score:a:b:c",
        "score::b",
    ),
    *("round:a", "round:a:", "round:a:-1", "round:a:01", "round:a:1.0", "round:a:x", "round:a:1000000", "round:a:²"),
    *("round:a:٣", "round:a:" + "9" * 5000, "history:a", "lifetime:a:b", "request:a:b", "request:score:a:b"),
    *("request:match:a:b:c", "match:\ud800", "match:a\n", "match:" + "x" * 129, "match:" + ":" * 10_000),
]


@pytest.mark.parametrize("key", EXAMPLES)
def test_a_key_says_its_kind_its_ids_and_its_group(key: str) -> None:
    assert keys.parse(key) == EXAMPLES[key]


@pytest.mark.parametrize("key", [*BAD_KEYS, None, 7, b"match:a", ("match", "a")], ids=range(len(BAD_KEYS) + 4))
def test_anything_else_is_an_invalid_key(key: object) -> None:
    with pytest.raises(InvalidKey):
        keys.parse(key)


@given(st.text(max_size=40) | st.tuples(st.sampled_from(sorted(EXAMPLES)), st.text(max_size=9)).map("".join))
def test_parsing_any_text_gives_a_key_or_the_named_error(text: str) -> None:
    try:
        kind, parts, _ = keys.parse(text)
    except InvalidKey:
        return
    assert ":".join([kind, *map(str, parts)]) == text


@given(public_records)
def test_parsing_a_records_key_gives_back_its_ids(record: Record) -> None:
    kind, parts, _ = keys.parse(record.key)
    assert (kind, parts) == (record.KIND, tuple(getattr(record, name) for name in record.IDS))


@given(st.one_of(*BY_CLASS.values()))
def test_splitting_a_key_that_was_checked_is_parsing_it(record: Record) -> None:
    assert keys.split(record.key) == keys.parse(record.key)[:2]


@pytest.mark.parametrize("key", ["", "match", "match:a:b", "score:a", "round:a:x", "nothing:a", "request:a:b"])
def test_splitting_what_no_record_has_is_an_error(key: str) -> None:
    with pytest.raises(ValueError, match=r"no record|invalid literal"):
        keys.split(key)


@given(ids, ids, st.integers(0, ROUND_INDEX_MAX))
def test_the_functions_that_make_keys_and_the_parser_agree(post: str, user: str, index: int) -> None:
    assert keys.parse(keys.match_key(post))[:2] == ("match", (post,))
    assert keys.parse(keys.round_key(post, index))[:2] == ("round", (post, index))
    assert keys.parse(keys.score_key(post, user))[:2] == ("score", (post, user))
    assert keys.parse(keys.analytics_key(post))[:2] == ("analytics", (post,))
    assert keys.parse(keys.lifetime_key(user))[:2] == ("lifetime", (user,))
    assert keys.parse(keys.history_key(user, post))[:2] == ("history", (user, post))
    assert keys.parse(keys.request_key(f"match:{post}", user)) == ("request", ("match", post, user), f"match:{post}")


@given(st.lists(st.one_of(*BY_CLASS.values()), min_size=2, max_size=2))
def test_no_two_records_share_a_key(pair: list[Record]) -> None:
    one, other = (tuple(getattr(record, name) for name in record.IDS) for record in pair)
    assert (pair[0].key == pair[1].key) == ((type(pair[0]), one) == (type(pair[1]), other))


def test_only_requests_are_internal() -> None:
    assert {key for key in EXAMPLES if not keys.is_public(key)} == {
        key for key in EXAMPLES if key.startswith("request")
    }


def test_the_shard_of_a_group_is_the_same_on_every_machine() -> None:
    groups = ["match:t3_a", "match:t3_b", "lifetime:ann", "lifetime:é"]
    assert [keys.shard_of(group, 4) for group in groups] == [0, 2, 2, 0]
    assert [keys.shard_of(group, 256) for group in groups] == [4, 190, 198, 184]


@given(ids, st.integers(1, 256))
def test_every_group_has_a_shard(post: str, shards: int) -> None:
    assert 0 <= keys.shard_of(f"match:{post}", shards) < shards
