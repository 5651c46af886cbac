"""Whether records make sense together: relationships, sums, keys, indexes. Part of `check()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pictact_actors.model.indexes import SHARED, index_keys
from pictact_actors.model.keys import lifetime_key
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


_TRAYS = 4_096


class Flaw(NamedTuple):
    """A record that contradicts the others: what kind of flaw, its key, and what is wrong."""

    kind: str
    key: str
    detail: str


Keyed = tuple[str, Record]


class Indexes(NamedTuple):
    """All index keys of the moment that is looked at, and its records for a second look; each call begins anew."""

    found: Callable[[], Iterable[str]]
    records: Callable[[], Iterable[Keyed]]


class Scales:
    """Whether two lots of keys are the same, without keeping them: each has a weight, and lies in one of many trays.

    Keys that several records share are not weighed but kept: one may be expected more than once, and outlive all.
    """

    def __init__(self) -> None:
        self._trays = [0] * _TRAYS
        self.missing: set[str] = set()
        """Shared keys that were expected and not found."""

    def expect(self, key: str) -> None:
        """Put a key on one side."""
        if key.startswith(SHARED):
            self.missing.add(key)
        else:
            self._trays[self.tray_of(key)] += hash(key)

    def find(self, key: str) -> None:
        """Put a key on the other side, after all that are expected."""
        if key.startswith(SHARED):
            self.missing.discard(key)
        else:
            self._trays[self.tray_of(key)] -= hash(key)

    def uneven(self) -> frozenset[int]:
        """Return the trays that are out of balance."""
        return frozenset(tray for tray, weight in enumerate(self._trays) if weight)

    def tray_of(self, key: str) -> int:
        """Return where a key lies."""
        return hash(key) % _TRAYS


_Totals = tuple[int, int, Number]
"""Matches, wins and points: plain, because the interpreter looks again and again through what else is kept."""
_NOTHING: _Totals = (0, 0, 0)


def flaws(records: Iterable[Keyed], indexes: Indexes | None = None) -> Iterator[Flaw]:  # noqa: C901 - one case a kind
    """Yield what contradicts what, in one pass; `indexes` None leaves those out.

    Keeps one small entry a match and a player in memory. Index keys are weighed, not kept (see `Scales`).
    """
    scales = Scales()
    posts: set[str] = set()
    belonging: dict[str, str] = {}
    totals: dict[str, _Totals] = {}
    lifetimes: dict[str, _Totals] = {}
    for key, record in _weighing(records, scales):
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
                totals[record.user] = _with(totals.get(record.user, _NOTHING), record)
            case Lifetime():
                lifetimes[record.user] = (record.matches_played, record.total_wins, record.total_points)
                yield from _lifetime_flaws(record)
    for post_id, key in belonging.items():
        if post_id not in posts:
            yield Flaw("relationship", key, f"has no match:{post_id}")
    yield from _sum_flaws(lifetimes, totals)
    if indexes is not None:
        yield from _index_flaws(scales, indexes)


def _weighing(records: Iterable[Keyed], scales: Scales) -> Iterator[Keyed]:
    for key, record in records:
        for index_key in index_keys(record):
            scales.expect(index_key)
        yield key, record


def _index_flaws(scales: Scales, indexes: Indexes) -> Iterator[Flaw]:
    """Compare index keys with those that records lead to; one by one only those of trays that are out of balance."""
    for key in indexes.found():
        scales.find(key)
    for key in scales.missing:
        yield Flaw("index", key, "is missing from the index, a record leads to it")
    uneven = scales.uneven()
    if uneven:
        yield from _uneven_flaws(lambda key: scales.tray_of(key) in uneven and not key.startswith(SHARED), indexes)


def _uneven_flaws(is_uneven: Callable[[str], bool], indexes: Indexes) -> Iterator[Flaw]:
    expected = set(filter(is_uneven, (key for _, record in indexes.records() for key in index_keys(record))))
    for key in filter(is_uneven, indexes.found()):
        if key in expected:
            expected.remove(key)
        else:
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


def _with(total: _Totals, played: PlayedMatch) -> _Totals:
    matches, wins, points = total
    return matches + 1, wins + played.wins, points + played.points


def _sum_flaws(lifetimes: dict[str, _Totals], totals: dict[str, _Totals]) -> Iterator[Flaw]:
    for user, total in totals.items():
        kept = lifetimes.pop(user, None)
        if kept is None:
            yield Flaw("relationship", f"history:{user}", f"has no lifetime:{user}")
        else:
            yield from _total_flaws(user, kept, total)
    for user, kept in lifetimes.items():
        yield from _total_flaws(user, kept, _NOTHING)


def _total_flaws(user: str, kept: _Totals, total: _Totals) -> Iterator[Flaw]:
    key, points = lifetime_key(user), kept[2]
    if kept[:2] != total[:2]:
        yield Flaw("sum", key, f"says {kept[:2]} matches and wins, the history {total[:2]}")
    if abs(points - total[2]) > _TOLERANCE * max(1.0, abs(total[2])):
        yield Flaw("sum", key, f"says {points} points, the history {total[2]}")
