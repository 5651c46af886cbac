"""Whether records make sense together: relationships, sums, keys, indexes. Part of `check()`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pictact_actors.model.indexes import SHARED, index_keys
from pictact_actors.model.records import (
    COMPLETED,
    Analytics,
    AnsweredRequest,
    Lifetime,
    Match,
    PlayedMatch,
    Record,
    Round,
    Score,
)
from pictact_actors.model.validate import Number

_TOLERANCE = 1e-6
"""Relative difference that sums of floats in another order may have."""


class Flaw(NamedTuple):
    """A record that contradicts the others: what kind of flaw, its key, and what is wrong."""

    kind: str
    key: str
    detail: str


@dataclass(slots=True)
class _Totals:
    matches: int = 0
    wins: int = 0
    points: Number = 0


def flaws(  # noqa: C901 - one case a kind of record
    records: Iterable[tuple[str, Record]], found: Iterable[str] | None = None
) -> Iterator[Flaw]:
    """Yield what contradicts what, in one pass; `found` are all keys of indexes, None leaves those out.

    Keeps one small entry a match and a player in memory, and the index keys that the records lead to.
    """
    expected: set[str] = set()
    posts: set[str] = set()
    belonging: dict[str, str] = {}
    totals: defaultdict[str, _Totals] = defaultdict(_Totals)
    lifetimes: dict[str, Lifetime] = {}
    for key, record in _noting_index_keys(records, expected):
        if record.key != key:
            yield Flaw("key", key, f"holds the record of {record.key}")
        match record:
            case Match():
                posts.add(record.post_id)
                yield from _match_flaws(record)
            case Round() | Score() | Analytics():
                belonging.setdefault(record.post_id, key)
            case AnsweredRequest() if record.anchor == "match":
                belonging.setdefault(record.owner, key)
            case PlayedMatch():
                _add(totals[record.user], record)
            case Lifetime():
                lifetimes[record.user] = record
                yield from _lifetime_flaws(record)
    for post_id, key in belonging.items():
        if post_id not in posts:
            yield Flaw("relationship", key, f"has no match:{post_id}")
    yield from _sum_flaws(lifetimes, totals)
    if found is not None:
        yield from _index_flaws(expected, found)


def _noting_index_keys(records: Iterable[tuple[str, Record]], expected: set[str]) -> Iterator[tuple[str, Record]]:
    for key, record in records:
        expected.update(index_keys(record))
        yield key, record


def _index_flaws(expected: set[str], found: Iterable[str]) -> Iterator[Flaw]:
    """Compare index keys with those that records lead to. One that several share may outlive them."""
    for key in found:
        if key in expected:
            expected.remove(key)
        elif not key.startswith(SHARED):
            yield Flaw("index", key, "is in the index, but no record leads to it")
    for key in expected:
        yield Flaw("index", key, "is missing from the index, a record leads to it")


def _match_flaws(match: Match) -> Iterator[Flaw]:
    dated = match.completed_at is not None and match.expires_at is not None
    if (match.status == COMPLETED) != dated:
        yield Flaw("match", match.key, f"is {match.status} with completedAt {match.completed_at}")


def _lifetime_flaws(lifetime: Lifetime) -> Iterator[Flaw]:
    if len(set(lifetime.trophies)) != len(lifetime.trophies):
        yield Flaw("trophies", lifetime.key, "holds a trophy twice")


def _add(total: _Totals, played: PlayedMatch) -> None:
    total.matches += 1
    total.wins += played.wins
    total.points += played.points


def _sum_flaws(lifetimes: dict[str, Lifetime], totals: dict[str, _Totals]) -> Iterator[Flaw]:
    for user, total in totals.items():
        lifetime = lifetimes.pop(user, None)
        if lifetime is None:
            yield Flaw("relationship", f"history:{user}", f"has no lifetime:{user}")
        else:
            yield from _total_flaws(lifetime, total)
    for lifetime in lifetimes.values():
        yield from _total_flaws(lifetime, _Totals())


def _total_flaws(lifetime: Lifetime, total: _Totals) -> Iterator[Flaw]:
    kept = (lifetime.matches_played, lifetime.total_wins)
    if kept != (total.matches, total.wins):
        yield Flaw("sum", lifetime.key, f"says {kept} matches and wins, the history {(total.matches, total.wins)}")
    if abs(lifetime.total_points - total.points) > _TOLERANCE * max(1.0, abs(total.points)):
        yield Flaw("sum", lifetime.key, f"says {lifetime.total_points} points, the history {total.points}")
