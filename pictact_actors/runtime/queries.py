"""What the game asks for, answered from the committed records. Every answer is of one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import update_wrapper
from itertools import islice
from typing import Concatenate, ParamSpec, TypeVar, cast

from pictact_actors.clock import monotonic
from pictact_actors.errors import InvalidValue, NotFound
from pictact_actors.model import keys
from pictact_actors.model.auditing import told
from pictact_actors.model.indexes import due_key, due_parts
from pictact_actors.model.ranking import LIFETIME_ORDERS
from pictact_actors.model.records import Audit, Lifetime, PlayedMatch, Player, Round, Standing
from pictact_actors.model.summary import AnalyticsSummary, summarize
from pictact_actors.model.validate import check_choice, check_count, check_id, check_number
from pictact_actors.runtime.committed import Committed
from pictact_actors.runtime.leaderboard import Board, WouldWait

R = TypeVar("R")
P = ParamSpec("P")


def measured(query: Callable[Concatenate[Queries, P], R]) -> Callable[Concatenate[Queries, P], R]:
    """Measure a query, also when it raises."""
    name = query.__name__

    def timed(self: Queries, /, *args: P.args, **kwargs: P.kwargs) -> R:
        began = monotonic()
        try:
            found = query(self, *args, **kwargs)
        except WouldWait:  # it is asked again
            raise
        except BaseException:
            self.meter.add(name, began)
            raise
        self.meter.add(name, began)
        return found

    update_wrapper(timed, query)
    return timed


class Queries:
    """Reads of several records or of leaderboards; `at_once`: boards only if they are in memory, else `WouldWait`."""

    def __init__(self, committed: Committed, *, at_once: bool = False) -> None:
        self._committed = committed
        self._on_board = committed.on_board_at_once if at_once else committed.on_board
        self.meter = committed.meter

    @measured
    def rounds(self, post_id: str) -> list[Round]:
        """Return all rounds of a match, by index. Raises `NotFound` if there is no match."""
        check_id(post_id)
        match, rounds = self._committed.one_and_scan(keys.match_key(post_id), keys.round_key(post_id, 0)[:-1])
        if match is None:
            raise NotFound(keys.match_key(post_id))
        return sorted(cast("list[Round]", rounds), key=lambda item: item.index)

    @measured
    def player(self, user: str) -> Player:
        """Return a player's lifetime and whole history. Raises `NotFound`."""
        check_id(user)
        lifetime, history = self._committed.one_and_scan(keys.lifetime_key(user), keys.history_key(user, ""))
        if not isinstance(lifetime, Lifetime):
            raise NotFound(keys.lifetime_key(user))
        played = cast("list[PlayedMatch]", history)
        return Player(lifetime, sorted(played, key=lambda item: (item.completed_at, item.post_id)))

    @measured
    def leaderboard(self, post_id: str, limit: int, offset: int) -> list[Standing]:
        """Return a page of a match's leaderboard."""
        check_id(post_id)
        check_count("limit", limit)
        check_count("offset", offset)
        return self._on_board(post_id, lambda board: board.page(limit, offset))

    @measured
    def standing(self, post_id: str, user: str) -> Standing:
        """Return a player's line on a match's leaderboard. Raises `NotFound`."""
        check_id(post_id)
        key = keys.score_key(post_id, check_id(user))
        return _found(self._on_board(post_id, lambda board: board.standing(user)), key)

    @measured
    def around(self, post_id: str, user: str, span: int) -> list[Standing]:
        """Return a player's line and `span` lines on either side of it. Raises `NotFound`."""
        check_id(post_id)
        check_count("span", span)
        key = keys.score_key(post_id, check_id(user))

        def read(board: Board) -> list[Standing] | None:
            return board.around(user, span)

        return _found(self._on_board(post_id, read), key)

    @measured
    def lifetime_leaderboard(self, by: str, limit: int, offset: int, after: str | None) -> list[Standing]:
        """Return a page of the leaderboard of all players. Raises `NotFound` if there is no player `after`."""
        check_choice("by", by, LIFETIME_ORDERS)
        check_count("limit", limit)
        check_count("offset", offset)
        key = "" if after is None else keys.lifetime_key(check_id(after))
        page = self._committed.on_lifetime_board(by, lambda board: board.page(limit, offset, after))
        return list(_found(page, key))

    @measured
    def lifetime_standing(self, user: str, by: str) -> Standing:
        """Return a player's line on the leaderboard of all players. Raises `NotFound`."""
        check_choice("by", by, LIFETIME_ORDERS)
        key = keys.lifetime_key(check_id(user))
        return _found(self._committed.on_lifetime_board(by, lambda board: board.standing(user)), key)

    @measured
    def lifetime_around(self, user: str, by: str, span: int) -> list[Standing]:
        """Return a player's line and `span` lines on either side of it among all players. Raises `NotFound`."""
        check_choice("by", by, LIFETIME_ORDERS)
        check_count("span", span)
        key = keys.lifetime_key(check_id(user))
        return list(_found(self._committed.on_lifetime_board(by, lambda board: board.around(user, span)), key))

    @measured
    def analytics_summary(self, subreddit: str | None, since: float | None) -> AnalyticsSummary:
        """Return means over all matches, or those of a subreddit, or those observed since a time (epoch s).

        The first one reads all matches with analytics; from then on their means are in memory.
        """
        if since is not None and (isinstance(since, bool) or not isinstance(since, int | float)):
            raise InvalidValue("since", since, "must be epoch seconds")
        return summarize(
            match
            for match in self._committed.observed()
            if (since is None or match.changed_at >= since) and (subreddit is None or match.subreddit == subreddit)
        )

    def audit(self, since: float | None, limit: int | None) -> Iterator[Audit]:
        """Iterate what cleanup removed from a time on (epoch s), in the order in which the removals began."""
        after = None if since is None else due_key("audited", check_number("since", since), "")
        if limit is not None:
            check_count("limit", limit)
        names = (due_parts(key)[2] for key in self._committed.index("due:audited:", after))
        entries = (self._committed.get(f"{keys.AUDIT}:{name}") for name in names)
        return islice(told(entry for entry in entries if isinstance(entry, Audit)), limit)


def _found(value: R | None, key: str) -> R:
    if value is None:
        raise NotFound(key)
    return value
