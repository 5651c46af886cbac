"""Leaderboards as ordered indexes: top, rank and neighbours in O(log n).

A post's board is loaded on first use, kept in order at each publish, and dropped when others need its room or nobody
has read it for a while.
Whoever uses a board holds the lock of the moment (`Committed`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from pictact_actors.clock import monotonic
from pictact_actors.model.ranking import Place, place, ranked, standing
from pictact_actors.model.records import Score, Standing
from pictact_actors.ordered import SortedList

_FIRST = float("-inf")


class WouldWait(Exception):
    """What was asked for at once is not in memory, or somebody is at it."""


class Board:
    """The players of one match in order."""

    def __init__(self) -> None:
        self._order: SortedList[Place] = SortedList()
        self._places: dict[str, Place] = {}
        self.read_at = monotonic()

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
        if not places:
            return []
        return list(ranked(places, self._rank(places[0]) if offset else 1, offset + 1))

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
        position = self._order.index(at)
        first = max(0, position - span)
        return self.page(position + span - first + 1, first)

    def _rank(self, at: Place) -> int:
        """One more than the players with more points, or as many and more wins."""
        return self._order.bisect_left((at[0], at[1], _FIRST, "")) + 1


class Loading:
    """A board that is being read from one moment: what is published meanwhile is put on it in the end."""

    __slots__ = ("missed", "void")

    def __init__(self) -> None:
        self.missed: list[tuple[str, Score | None]] = []
        self.void = False

    def bring_forward(self, board: Board) -> None:
        """Do to the board what it missed."""
        for user, score in self.missed:
            if score is None:
                board.remove(user)
            else:
                board.put(score)


class Boards:
    """The post leaderboards in memory, bounded by the number of players on them."""

    def __init__(self, players_max: int) -> None:
        self._players_max = players_max
        self._players = 0
        self._boards: OrderedDict[str, Board] = OrderedDict()
        self._loading: dict[str, list[Loading]] = {}

    def __len__(self) -> int:
        return len(self._boards)

    def __bool__(self) -> bool:
        return bool(self._boards or self._loading)

    def get(self, post_id: str) -> Board | None:
        """Return a board that is loaded, and note its use."""
        board = self._boards.get(post_id)
        if board is not None:
            self._boards.move_to_end(post_id)
            board.read_at = monotonic()
        return board

    def drop_idle(self, since: float) -> None:
        """Forget the boards that were read last before a time (`clock.monotonic`)."""
        while self._boards and next(iter(self._boards.values())).read_at < since:
            self._forget(next(iter(self._boards)))

    def add(self, post_id: str, board: Board) -> None:
        """Keep a loaded board; the least recently used ones make room for it."""
        self._forget(post_id)
        self._boards[post_id] = board
        self._count(len(board))

    def begin(self, post_id: str) -> Loading:
        """Follow what is published about a post from now on, for its board that is being loaded."""
        loading = Loading()
        self._loading.setdefault(post_id, []).append(loading)
        return loading

    def end(self, post_id: str, loading: Loading, board: Board | None) -> None:
        """Keep a board that was loaded (None if that failed), unless it was dropped meanwhile."""
        self._loading[post_id].remove(loading)
        if not self._loading[post_id]:
            del self._loading[post_id]
        if board is not None and not loading.void and post_id not in self._boards:
            loading.bring_forward(board)
            self.add(post_id, board)

    def drop(self, post_id: str) -> None:
        """Forget a board, also one being loaded; it is loaded anew when it is asked for."""
        for loading in self._loading.get(post_id, ()):
            loading.void = True
        self._forget(post_id)

    def _forget(self, post_id: str) -> None:
        dropped = self._boards.pop(post_id, None)
        self._players -= 0 if dropped is None else len(dropped)

    def publish(self, post_id: str, user: str, score: Score | None) -> None:
        """Follow a committed score, if its board is loaded or being loaded."""
        for loading in self._loading.get(post_id, ()):
            loading.missed.append((user, score))
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
