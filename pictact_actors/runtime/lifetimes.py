"""The leaderboards of all players, read from the index that storage counts: nobody is held in memory for them.

A page takes a look or two at the index, whatever its place and however many players there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from pictact_actors.model import keys
from pictact_actors.model.records import Lifetime, Record, Standing
from pictact_actors.model.totals import PREFIXES, lines, tie_of, top_key
from pictact_actors.storage.engine import Engine


class LifetimeBoard:
    """All players by one lifetime total, at one moment: `Committed` sees to that.

    What it returns may be iterated later on, it was pinned before. None where there is no such player.
    """

    def __init__(self, by: str, engine: Engine, get: Callable[[str], Record | None]) -> None:
        self._by = by
        self._prefix = PREFIXES[by]
        self._engine = engine
        self._get = get

    def page(self, limit: int, offset: int, after: str | None = None) -> Iterator[Standing] | None:
        """Return `limit` lines from position `offset` (0 is the first), or that far behind the player `after`."""
        if after is None:
            return self._lines(offset, limit)
        position = self._position(after)
        return None if position is None else self._lines(position + 1 + offset, limit)

    def standing(self, user: str) -> Standing | None:
        """Return a player's line."""
        key = self._key(user)
        return None if key is None else next(lines(self._prefix, [key], self._rank(key), 0))

    def around(self, user: str, span: int) -> Iterator[Standing] | None:
        """Return a player's line with up to `span` lines before and behind it."""
        position = self._position(user)
        if position is None:
            return None
        first = max(0, position - span)
        return self._lines(first, position - first + span + 1)

    def _lines(self, position: int, limit: int) -> Iterator[Standing]:
        found = self._engine.page(self._prefix, position, limit)
        first = next(found, None)
        if first is None:
            return iter(())
        return lines(self._prefix, chain((first,), found), self._rank(first) if position else 1, position)

    def _position(self, user: str) -> int | None:
        key = self._key(user)
        return None if key is None else self._engine.rank(self._prefix, key)

    def _rank(self, key: str) -> int:
        """One more than the players who have more."""
        return self._engine.rank(self._prefix, tie_of(self._prefix, key)) + 1

    def _key(self, user: str) -> str | None:
        lifetime = self._get(keys.lifetime_key(user))
        return top_key(self._by, lifetime) if isinstance(lifetime, Lifetime) else None
