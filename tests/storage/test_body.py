"""The body of a frame: item by item it says what it says as a whole."""

from __future__ import annotations

from itertools import chain

import pytest
from commits import GROUPS, Put
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors import StoreDamaged
from pictact_actors.model import codec
from pictact_actors.storage.truth import body as body_module
from pictact_actors.storage.truth.body import Body, changes_of, entries_of

TIMES = st.floats(0, 1e12) | st.integers(0, 2**40).map(float) | st.integers(0, 2**40)


@given(GROUPS, st.integers(1, 2**40), TIMES, TIMES)
def test_a_body_is_read_as_it_was_written(group: list[Put], seq: int, ts: float, mark: float) -> None:
    written = [seq, ts, mark, [[put.cause, put.request_id, put.changes] for put in group]]
    body = Body(codec.dumps(written))
    assert (body.first_seq, body.ts, body.count) == (seq, ts, len(group))
    assert list(body.changes()) == list(chain.from_iterable(put.changes.items() for put in group))


@given(GROUPS)
def test_a_large_body_is_read_as_a_small_one(group: list[Put]) -> None:
    data = codec.dumps([7, 2.0, 3.0, [[put.cause, put.request_id, put.changes] for put in group]])
    small = [*entries_of(data, 7), *chain.from_iterable(changes_of(data, 7))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_module, "_SMALL_BYTES", 0)
        assert [*entries_of(data, 7), *chain.from_iterable(changes_of(data, 7))] == small
        for read in (entries_of, changes_of):
            with pytest.raises(StoreDamaged, match="jumps from sequence number 7 to 7"):
                list(read(data, 8))


def test_large_maps_and_long_values_are_read() -> None:
    changes = {f"k{number}": bytes(number % 300) for number in range(70_000)} | {"long": bytes(2**17)}
    body = Body(codec.dumps_in_pieces([1, 2.0, 3.0, [["put_many", None, changes]]]))
    assert dict(body.changes()) == changes


@given(st.binary(max_size=64))
def test_what_is_no_body_is_refused(data: bytes) -> None:
    try:
        list(Body(data).changes())
    except StoreDamaged:
        return
    assert len(data) > 4


@pytest.mark.parametrize(
    "body", [[], [1, 2.0, 3.0], [1, 2.0, 3.0, [["a", None]]], [1, 2.0, 3.0, [["a", 1, {}]]]], ids=repr
)
def test_another_shape_is_refused(body: object) -> None:
    with pytest.raises(StoreDamaged):
        list(Body(codec.dumps(body)).changes())
