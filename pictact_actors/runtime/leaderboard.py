"""Leaderboards as ordered indexes: top, rank and neighbours in O(log n). The only importer of sortedcontainers.

A post's board is loaded on first use, kept in order at each publish, and dropped when others need its room.
Whoever uses a board holds the lock of the moment (`Committed`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from sortedcontainers import SortedList

from pictact_actors.model.ranking import Place, lifetime_place, place, ranked, standing
from pictact_actors.model.records import Lifetime, Score, Standing
from pictact_actors.model.validate import Number

_FIRST = float("-inf")


class Board:
    """The players of one match in order."""

    def __init__(self) -> None:
        self._order: SortedList[Place] = SortedList()
        self._places: dict[str, Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def put(self, score: Score) -> None:
        """Put a player where the score says."""
        at = place(score)
        before = self._places.get(score.user)
        if before == at:
            return
        if before is not None:
            self._order.remove(before)
        self._order.add(at)
        self._places[score.user] = at

    def remove(self, user: str) -> None:
        """Take a player off."""
        before = self._places.pop(user, None)
        if before is not None:
            self._order.remove(before)

    def page(self, limit: int, offset: int) -> list[Standing]:
        """Return `limit` lines from position `offset` (0 is the first)."""
        places = list(self._order.islice(offset, offset + limit))
        return list(ranked(places, self._rank(places[0]), offset + 1)) if places else []

    def standings(self) -> Iterator[Standing]:
        """Iterate the whole board in order."""
        return ranked(self._order)

    def standing(self, user: str) -> Standing | None:
        """Return a player's line."""
        at = self._places.get(user)
        return None if at is None else standing(self._rank(at), at)

    def around(self, user: str, span: int) -> list[Standing] | None:
        """Return a player's line with up to `span` lines before and behind it."""
        at = self._places.get(user)
        if at is None:
            return None
        first = max(0, self._order.index(at) - span)
        last = self._order.index(at) + span
        return self.page(last - first + 1, first)

    def _rank(self, at: Place) -> int:
        """One more than the players with more points, or as many and more wins."""
        return self._order.bisect_left((at[0], at[1], _FIRST, "")) + 1


class LifetimeBoard:
    """All players by one lifetime total."""

    def __init__(self, by: str) -> None:
        self.by = by
        self._order: SortedList[tuple[Number, str]] = SortedList()
        self._lifetimes: dict[str, Lifetime] = {}

    def put(self, lifetime: Lifetime) -> None:
        """Put a player where the lifetime says."""
        self.remove(lifetime.user)
        self._order.add(lifetime_place(lifetime, self.by))
        self._lifetimes[lifetime.user] = lifetime

    def remove(self, user: str) -> None:
        """Take a player off."""
        before = self._lifetimes.pop(user, None)
        if before is not None:
            self._order.remove(lifetime_place(before, self.by))

    def page(self, limit: int, offset: int) -> list[Standing]:
        """Return `limit` lines from position `offset` (0 is the first)."""
        return [self._line(user) for _, user in self._order.islice(offset, offset + limit)]

    def standing(self, user: str) -> Standing | None:
        """Return a player's line."""
        return self._line(user) if user in self._lifetimes else None

    def _line(self, user: str) -> Standing:
        lifetime = self._lifetimes[user]
        rank = self._order.bisect_left((lifetime_place(lifetime, self.by)[0], "")) + 1
        return Standing(rank, user, lifetime.total_points, lifetime.total_wins, lifetime.matches_played)


class Boards:
    """The post leaderboards in memory, bounded by the number of players on them."""

    def __init__(self, players_max: int) -> None:
        self._players_max = players_max
        self._players = 0
        self._boards: OrderedDict[str, Board] = OrderedDict()

    def __len__(self) -> int:
        return len(self._boards)

    def get(self, post_id: str) -> Board | None:
        """Return a board that is loaded, and note its use."""
        board = self._boards.get(post_id)
        if board is not None:
            self._boards.move_to_end(post_id)
        return board

    def add(self, post_id: str, board: Board) -> None:
        """Keep a loaded board; the least recently used ones make room for it."""
        self.drop(post_id)
        self._boards[post_id] = board
        self._count(len(board))

    def drop(self, post_id: str) -> None:
        """Forget a board; it is loaded anew when it is asked for."""
        dropped = self._boards.pop(post_id, None)
        self._players -= 0 if dropped is None else len(dropped)

    def publish(self, post_id: str, user: str, score: Score | None) -> None:
        """Follow a committed score, if its board is loaded."""
        board = self._boards.get(post_id)
        if board is None:
            return
        before = len(board)
        if score is None:
            board.remove(user)
        else:
            board.put(score)
        if len(board) != before:
            self._count(len(board) - before)

    def _count(self, joined: int) -> None:
        """Count players that joined; while there are too many, the least recently used board goes."""
        self._players += joined
        while self._players > self._players_max and len(self._boards) > 1:
            _, dropped = self._boards.popitem(last=False)
            self._players -= len(dropped)
