"""The order of players: who stands before whom, and who shares a rank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pictact_actors.model.records import Score, Standing
from pictact_actors.model.validate import Number

Place = tuple[Number, int, Number, str]
"""Sorts as leaderboards do: points down, wins down, who reached that score first, then the name."""

LIFETIME_ORDERS = ("total_wins", "matches_played", "total_points")


def place(score: Score) -> Place:
    """Return where a score stands in its match."""
    return (-score.points, -score.wins, score.reached_at, score.user)


def standing(rank: int, at: Place) -> Standing:
    """Return the line of a leaderboard for a place."""
    points, wins, _, user = at
    return Standing(rank, user, -points, -wins)


def ranked(places: Iterable[Place], rank: int = 1, position: int = 1) -> Iterator[Standing]:
    """Rank places that come in order; equal points and wins share a rank (1, 2, 2, 4).

    `rank` and `position` are those of the first place, for pages in the middle.
    """
    before: Place | None = None
    for position_now, at in enumerate(places, position):
        if before is not None and (at[0] != before[0] or at[1] != before[1]):
            rank = position_now
        yield standing(rank, at)
        before = at
