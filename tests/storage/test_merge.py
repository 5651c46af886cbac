"""Two ordered sources, the newer one above the other."""

from __future__ import annotations

from commits import KEYS, VALUES
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.storage.merge import merged, under

STORED = st.dictionaries(KEYS, VALUES, max_size=8)
PENDING = st.dictionaries(KEYS, VALUES | st.none(), max_size=8)


@given(STORED, PENDING)
def test_merging_is_updating_a_dict_in_key_order(stored: dict[str, bytes], pending: dict[str, bytes | None]) -> None:
    both = sorted(({**stored, **pending}).items())
    assert list(merged(sorted(stored.items()), sorted(pending.items()))) == [
        (key, value) for key, value in both if value is not None
    ]


@given(PENDING, KEYS, st.none() | KEYS)
def test_what_is_pending_under_a_prefix_begins_with_it_and_comes_behind_after(
    pending: dict[str, bytes | None], prefix: str, after: str | None
) -> None:
    expected = [
        (key, value)
        for key, value in sorted(pending.items())
        if key.startswith(prefix) and (after is None or key > after)
    ]
    assert under(prefix, after, pending) == expected


def test_a_deleted_record_at_the_very_end_is_gone_too() -> None:
    assert list(merged([("a", b"1"), ("b", b"2")], [("b", None), ("c", None)])) == [("a", b"1")]
