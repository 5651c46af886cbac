r"""The order of all players by a lifetime total, as keys that say everything a leaderboard shows.

    top key = "top:" total ":" order ":" user "\t" wins "\t" played "\t" points
    total   = "wins" | "played" | "points"
    order   = 16 hex digits: the bits of the negated total as a float, turned so that they sort as it does

So the keys are in the order of the board: the total down, then the name (a tab sorts before all that a name may have).
A page of it is read from the index alone, without looking at a single player's record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pictact_actors.model import keys
from pictact_actors.model.records import Lifetime, Standing
from pictact_actors.model.validate import Number

PREFIXES: Final[Mapping[str, str]] = {
    "total_wins": keys.TOP_WINS,
    "matches_played": keys.TOP_PLAYED,
    "total_points": keys.TOP_POINTS,
}
"""How the keys of each order begin."""
_ORDER_DIGITS = 16
_SIGN, _ALL = 1 << 63, (1 << 64) - 1
_FLOAT, _BITS = struct.Struct(">d"), struct.Struct(">Q")


def top_keys(lifetime: Lifetime) -> tuple[str, ...]:
    """Return a player's keys, one in each order."""
    return tuple(top_key(by, lifetime) for by in PREFIXES)


def top_key(by: str, lifetime: Lifetime) -> str:
    """Return a player's key in one order (`total_wins`, `matches_played`, `total_points`)."""
    line = f"{lifetime.user}\t{lifetime.total_wins}\t{lifetime.matches_played}\t{lifetime.total_points!r}"
    return f"{PREFIXES[by]}{order_of(getattr(lifetime, by))}:{line}"


def order_of(total: Number) -> str:
    """Return text that sorts by a total, the largest first; equal totals have the same, be they int or float."""
    (bits,) = _BITS.unpack(_FLOAT.pack(0.0 - total))  # not -total: there is only one zero
    return f"{bits ^ (_ALL if bits & _SIGN else _SIGN):016x}"


def tie_of(prefix: str, key: str) -> str:
    """Return how the keys of all who have the same total begin."""
    return key[: len(prefix) + _ORDER_DIGITS + 1]


def lines(prefix: str, found: Iterable[str], rank: int, position: int) -> Iterator[Standing]:
    """Yield what a board shows for keys that follow each other; equal totals share a rank (1, 2, 2, 4).

    `rank` is that of the first key, `position` its place (0 is the first).
    """
    tie: str | None = None
    for number, key in enumerate(found, position + 1):
        if tie is not None and not key.startswith(tie):
            rank, tie = number, None
        tie = tie or tie_of(prefix, key)
        user, wins, played, points = key[len(tie) :].split("\t")
        yield Standing(rank, user, _number(points), int(wins), int(played))


def _number(text: str) -> Number:
    """Return the number that `repr` has written, int or float as it was."""
    try:
        return int(text)
    except ValueError:
        return float(text)
