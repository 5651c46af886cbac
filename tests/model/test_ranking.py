"""Who stands before whom: compared with the contract's words, written out naively."""

from __future__ import annotations

from generated import half_points, ids, numbers, whole
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.model.ranking import place, ranked, standing
from pictact_actors.model.records import Score, Standing

few = st.sampled_from([0, 1, 1.0, 1.5, 2, -0.5])
boards = st.lists(
    st.builds(Score, st.just("t3_a"), ids, points=few | half_points | numbers, wins=st.integers(-1, 2) | whole),
    unique_by=lambda score: score.user,
    max_size=25,
).flatmap(
    lambda scores: st.permutations(range(1, len(scores) + 1)).map(
        lambda order: [
            Score("t3_a", score.user, score.points, score.wins, float(at))
            for score, at in zip(scores, order, strict=True)
        ]
    )
)


def naive(scores: list[Score]) -> list[Standing]:
    """The rule of the contract: points, then wins, then who was first; a rank is one more than all who are better."""
    by_arrival = sorted(scores, key=lambda score: score.reached_at)
    by_wins = sorted(by_arrival, key=lambda score: score.wins, reverse=True)
    in_order = sorted(by_wins, key=lambda score: score.points, reverse=True)
    return [
        Standing(
            1 + sum((other.points, other.wins) > (score.points, score.wins) for other in scores),
            score.user,
            score.points,
            score.wins,
        )
        for score in in_order
    ]


@given(boards)
def test_a_board_is_what_a_naive_reading_of_the_contract_gives(scores: list[Score]) -> None:
    assert list(ranked(sorted(map(place, scores)))) == naive(scores)


@given(boards, st.randoms(use_true_random=False))
def test_the_order_of_arrival_at_the_board_does_not_matter(scores: list[Score], random) -> None:  # noqa: ANN001
    shuffled = random.sample(scores, len(scores))
    assert list(ranked(sorted(map(place, shuffled)))) == list(ranked(sorted(map(place, scores))))


def test_equal_points_and_wins_share_a_rank_and_the_next_is_skipped() -> None:
    scores = [Score("p", "d", 1), Score("p", "b", 5, 1, 9.0), Score("p", "c", 5, 1, 2.0), Score("p", "a", 7)]
    assert [(at.rank, at.user) for at in ranked(sorted(map(place, scores)))] == [(1, "a"), (2, "c"), (2, "b"), (4, "d")]


def test_more_wins_stand_before_an_earlier_arrival() -> None:
    scores = [Score("p", "early", 5, 0, 1.0), Score("p", "winner", 5, 1, 2.0)]
    assert [(at.rank, at.user) for at in ranked(sorted(map(place, scores)))] == [(1, "winner"), (2, "early")]


@given(boards.filter(bool), st.data())
def test_a_page_from_the_middle_shows_the_ranks_of_the_whole_board(scores: list[Score], data: st.DataObject) -> None:
    places = sorted(map(place, scores))
    whole_board = list(ranked(places))
    start = data.draw(st.integers(0, len(places) - 1))
    assert list(ranked(places[start:], whole_board[start].rank, start + 1)) == whole_board[start:]


@given(boards)
def test_a_standing_shows_the_numbers_of_the_score(scores: list[Score]) -> None:
    for score in scores:
        assert standing(3, place(score)) == Standing(3, score.user, score.points, score.wins)
        assert type(standing(3, place(score)).points) is type(score.points)
