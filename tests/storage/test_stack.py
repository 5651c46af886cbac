"""How layers lie on each other: the newest counts, nothing is missing, and what does not count is left over."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors import StoreDamaged
from pictact_actors.storage.truth.layer import Covers, Layer, Next
from pictact_actors.storage.truth.stack import Stack, stacked


def layer(number: int, first_seq: int, last_seq: int, low: str = "", high: str | None = None) -> Layer:
    follows = Next(last_seq, last_seq + 1, 0.0, 0.0, b"chain %d" % last_seq)
    return Layer(Path(f"base/{number}"), number, Covers(first_seq, follows, low, high), 0, 0, b"", b"", 10)


def shown(stack: Stack) -> tuple[list[tuple[int, str, str | None]], list[int], list[int]]:
    """Tiles, runs and what is left over, by number."""
    return (
        [(tile.part.number, tile.low, tile.high) for tile in stack.tiles],
        [run.number for run in stack.runs],
        [one.number for one in stack.left_over],
    )


def test_nothing_is_an_empty_base() -> None:
    stack = stacked([])
    assert shown(stack) == ([], [], [])
    assert (stack.seq, stack.part_seq, stack.next, stack.parts_bytes, stack.runs_bytes) == (0, 0, None, 0, 0)
    assert stack.reaches(0)


def test_the_first_run_is_the_first_part() -> None:
    stack = stacked([layer(1, 1, 5)])
    assert shown(stack) == ([(1, "", None)], [], [])
    assert (stack.seq, stack.part_seq) == (5, 5)


def test_runs_follow_each_other_above_the_parts() -> None:
    stack = stacked([layer(1, 1, 5), layer(2, 6, 9), layer(3, 10, 12)])
    assert shown(stack) == ([(1, "", None)], [2, 3], [])
    assert (stack.seq, stack.part_seq, stack.parts_bytes, stack.runs_bytes) == (12, 5, 10, 20)
    assert stack.next is not None
    assert stack.next.first_seq == 13
    assert [stack.reaches(seq) for seq in (4, 5, 12)] == [False, True, True]


def test_an_interrupted_merge_leaves_what_it_has_replaced_over_and_keeps_the_rest() -> None:
    old = [layer(1, 1, 5, "", "m"), layer(2, 1, 5, "m", None), layer(3, 6, 9)]
    stack = stacked([*old, layer(4, 1, 9, "", "g")])
    assert shown(stack) == ([(4, "", "g"), (1, "g", "m"), (2, "m", None)], [3], [])
    assert (stack.seq, stack.part_seq) == (9, 5)
    stack = stacked([*old, layer(4, 1, 9, "", "g"), layer(5, 1, 9, "g", "t")])
    assert shown(stack) == ([(4, "", "g"), (5, "g", "t"), (2, "t", None)], [3], [1])


def test_a_finished_merge_leaves_everything_else_over() -> None:
    old = [layer(1, 1, 5, "", "m"), layer(2, 1, 5, "m", None), layer(3, 6, 9), layer(4, 10, 12)]
    stack = stacked([*old, layer(5, 1, 12, "", "g"), layer(6, 1, 12, "g", None)])
    assert shown(stack) == ([(5, "", "g"), (6, "g", None)], [], [1, 2, 3, 4])
    assert (stack.seq, stack.part_seq) == (12, 12)


def test_a_second_merge_after_an_interrupted_one_counts() -> None:
    second = [layer(4, 1, 9, "", "k"), layer(5, 1, 9, "k", None)]
    layers = [layer(1, 1, 5), layer(2, 6, 9), layer(3, 1, 9, "", "g"), *second]
    assert shown(stacked(layers)) == ([(4, "", "k"), (5, "k", None)], [], [1, 2, 3])


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ([layer(2, 6, 9)], "commits 1 to 5"),
        ([layer(1, 1, 5), layer(3, 10, 12)], "commits 6 to 9"),
        ([layer(1, 1, 5, "", "m"), layer(2, 1, 9, "m", None), layer(4, 10, 12)], "commits 6 to 9"),
        ([layer(2, 1, 5, "m", None)], "keys from ''"),
        ([layer(1, 1, 5, "", "m")], "keys from 'm'"),
        ([layer(1, 1, 5, "", "f"), layer(2, 1, 5, "m", None)], "keys from 'f'"),
    ],
)
def test_what_is_missing_is_named(layers: list[Layer], what: str) -> None:
    with pytest.raises(StoreDamaged, match=what):
        stacked(layers)


BOUNDS = st.lists(st.text("abc", min_size=1, max_size=3), max_size=6, unique=True).map(sorted)


@given(st.lists(BOUNDS, min_size=1, max_size=4), st.integers(0, 6), st.text("abc", max_size=4))
def test_the_newest_part_counts_for_every_key(rounds: list[list[str]], finished: int, key: str) -> None:
    """Each round divides the keys anew; the last one may have been interrupted."""
    parts: list[Layer] = []
    for place, bounds in enumerate(rounds):
        ranges = list(zip(["", *bounds], [*bounds, None], strict=True))
        for low, high in ranges if place == 0 or place < len(rounds) - 1 else ranges[:finished]:
            parts.append(layer(len(parts) + 1, 1, place + 1, low, high))
    stack = stacked(parts)
    (tile,) = [tile for tile in stack.tiles if tile.low <= key and (tile.high is None or key < tile.high)]
    covering = [one for one in parts if one.covers.low <= key and (one.covers.high is None or key < one.covers.high)]
    assert tile.part == max(covering, key=lambda one: one.number)
    assert {one.number for one in stack.left_over} == {one.number for one in parts} - {
        tile.part.number for tile in stack.tiles
    }
