"""What completing a match writes, for peers that know keys and values only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


def completion(
    post: str, scores: Iterable[tuple[str, dict[str, Any]]], lifetime_of: Callable[[str], dict[str, Any] | None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every key and record: lifetimes, history with ranks (equal scores share one), and the match itself."""
    rank, before = 0, None
    ordered = sorted(scores, key=lambda entry: (entry[1]["points"], entry[1]["wins"]), reverse=True)
    for position, (user, score) in enumerate(ordered, 1):
        points, wins = score["points"], score["wins"]
        if (points, wins) != before:
            rank, before = position, (points, wins)
        lifetime = lifetime_of(user) or {"wins": 0, "played": 0, "points": 0}
        yield (
            f"lifetime:{user}",
            {
                "wins": lifetime["wins"] + wins,
                "played": lifetime["played"] + 1,
                "points": lifetime["points"] + points,
            },
        )
        yield f"history:{user}:{post}", {"points": points, "wins": wins, "rank": rank}
    yield f"match:{post}", {"status": "completed"}
