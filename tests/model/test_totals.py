"""Keys that are a leaderboard: in its order, with everything that it shows."""

from __future__ import annotations

from collections.abc import Sequence

from generated import ids, numbers, whole
from hypothesis import example, given
from hypothesis import strategies as st

from pictact_actors.model import keys
from pictact_actors.model.indexes import index_keys, reindexed
from pictact_actors.model.ranking import LIFETIME_ORDERS
from pictact_actors.model.records import Lifetime, Standing, Texts
from pictact_actors.model.totals import PREFIXES, lines, order_of, tie_of, top_key, top_keys

few = st.sampled_from([0, -0.0, 0.0, 1, 1.0, 1.5, -2, -0.5, 10, 9, 2**53, -(2**53), 5e-324])
players = st.builds(Lifetime, ids, few.map(int) | whole, st.integers(0, 9), few | numbers)
everybody = st.lists(players, unique_by=lambda player: player.user, max_size=20)


def plain_sort(given_players: Sequence[Lifetime], by: str) -> list[Standing]:
    """By the total, the largest first, then by name; equal totals share a rank (1, 2, 2, 4)."""
    order = sorted(sorted(given_players, key=lambda one: one.user), key=lambda one: getattr(one, by), reverse=True)
    return [
        Standing(
            1 + sum(getattr(other, by) > getattr(one, by) for other in order),
            one.user,
            one.total_points,
            one.total_wins,
        )
        for one in order
    ]


@given(everybody)
@example([Lifetime("a", 1), Lifetime("a!", 1), Lifetime("a b", 1), Lifetime("a\U0001f3c6", 1), Lifetime("aé", 1)])
def test_keys_in_order_are_the_board(given_players: list[Lifetime]) -> None:
    for by in LIFETIME_ORDERS:
        found = sorted(top_key(by, player) for player in given_players)
        shown = list(lines(PREFIXES[by], found, 1, 0))
        assert shown == plain_sort(given_players, by)
        played = {player.user: player.matches_played for player in given_players}
        assert {line.user: line.matches_played for line in shown} == played


@given(everybody)
def test_the_order_of_text_is_that_of_leveldb(given_players: list[Lifetime]) -> None:
    found = [key for player in given_players for key in top_keys(player)]
    assert sorted(found) == [key.decode() for key in sorted(key.encode() for key in found)]


@given(players)
def test_a_line_shows_the_very_numbers_of_the_record(player: Lifetime) -> None:
    for by in LIFETIME_ORDERS:
        (line,) = lines(PREFIXES[by], [top_key(by, player)], 3, 7)
        assert (line.rank, repr(line.points)) == (3, repr(player.total_points))


@given(everybody.filter(bool), st.data())
def test_a_page_from_the_middle_shows_the_ranks_of_the_whole_board(
    given_players: list[Lifetime], data: st.DataObject
) -> None:
    by = data.draw(st.sampled_from(LIFETIME_ORDERS))
    found = sorted(top_key(by, player) for player in given_players)
    board = list(lines(PREFIXES[by], found, 1, 0))
    start = data.draw(st.integers(0, len(found) - 1))
    assert list(lines(PREFIXES[by], found[start:], board[start].rank, start)) == board[start:]


@given(few | numbers, few | numbers)
def test_text_sorts_by_a_total_the_largest_first(left: float, right: float) -> None:
    assert (order_of(left) < order_of(right)) == (left > right)
    assert (order_of(left) == order_of(right)) == (left == right)


def test_who_has_the_same_total_has_the_same_beginning() -> None:
    one, two = (top_key("total_points", Lifetime(user, total_points=points)) for user, points in (("a", 5), ("b", 5.0)))
    assert tie_of(keys.TOP_POINTS, one) == tie_of(keys.TOP_POINTS, two)
    assert one.startswith(tie_of(keys.TOP_POINTS, one))
    assert tie_of(keys.TOP_POINTS, one).endswith(":")


def test_every_order_has_a_counted_prefix() -> None:
    assert sorted(PREFIXES.values()) == list(keys.COUNTED)
    assert tuple(PREFIXES) == LIFETIME_ORDERS
    for key in top_keys(Lifetime("ann")):
        assert keys.is_index(key)
        assert not keys.is_public(key)


def test_a_trophy_moves_nobody() -> None:
    assert reindexed(Lifetime("ann", 1, 2, 3.5), Lifetime("ann", 1, 2, 3.5, Texts(["gold"]))) == {}


@given(st.lists(st.none() | players, max_size=8))
def test_whatever_becomes_of_a_player_each_change_of_the_index_is_one(history: Sequence[Lifetime | None]) -> None:
    index: set[str] = set()
    before: Lifetime | None = None
    for record in history:
        after = record and Lifetime("ann", record.total_wins, record.matches_played, record.total_points)
        for key, value in reindexed(before, after).items():
            if value is None:
                index.remove(key)
            else:
                assert key not in index
                index.add(key)
        before = after
        assert index == set(index_keys(after) if after else ())
