"""The means of every match with analytics, in memory: read once, then followed at each publish.

They are loaded when somebody asks for a summary for the first time, and bounded by the live matches with analytics.
All fields belong to who holds the lock of the moment (`Committed`); `followed` is also looked at without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from pictact_actors.model import codec, keys
from pictact_actors.model.records import Analytics, Match, Record
from pictact_actors.model.summary import MatchMeans
from pictact_actors.storage.engine import Engine

KINDS = ("analytics:", "match:")
"""How the keys begin of what is followed."""
T = TypeVar("T")
_Change = tuple[str, Record | None]


class Observed:
    """The means of all matches. `read` returns a record while the moment is held."""

    def __init__(
        self, engine: Engine, moment: AbstractContextManager[object], read: Callable[[str], Record | None]
    ) -> None:
        self.followed = False
        self._engine = engine
        self._moment = moment
        self._read = read
        self._means: dict[str, MatchMeans] = {}
        self._loaded = False
        self._missed: list[_Change] = []
        self._one_load = threading.Lock()

    def __len__(self) -> int:
        return len(self._means)

    def all(self, look: Callable[[], T]) -> tuple[list[MatchMeans], T]:
        """Return the means of all matches, as they are at one moment, and what `look` sees at it."""
        while True:
            with self._moment:
                if self._loaded:
                    return list(self._means.values()), look()
            with self._one_load:
                self._load()

    def publish(self, key: str, record: Record | None) -> None:
        """Follow a committed match or its analytics. The moment is held."""
        if self._loaded:
            self._apply(key, record)
        else:
            self._missed.append((key, record))

    def drop(self) -> None:
        """Forget everything, also what is being loaded. The moment is held."""
        self.followed = self._loaded = False
        self._means = {}
        self._missed = []

    def _load(self) -> None:
        """Read everything from one moment, without holding writers up; what is published meanwhile follows after it."""
        with self._moment:
            if self._loaded:
                return
            observed, matches = self._engine.scan("analytics:"), self._engine.scan("match:")
            missed: list[_Change] = []
            self._missed = missed
            self.followed = True
        try:
            means = {found.post_id: found for found in _joined(observed, matches)}
        except BaseException:
            with self._moment:
                self.drop()
            raise
        with self._moment:
            if self._missed is missed:  # not dropped meanwhile
                self._means, self._loaded, self._missed = means, True, []
                for key, record in missed:
                    self._apply(key, record)

    def _apply(self, key: str, record: Record | None) -> None:
        kind, _, post_id = key.partition(":")
        before = self._means.get(post_id)
        if kind == keys.ANALYTICS:
            if isinstance(record, Analytics):
                subreddit = self._subreddit(post_id) if before is None else before.subreddit
                self._means[post_id] = MatchMeans.of(record, subreddit)
            else:
                self._means.pop(post_id, None)
        elif before is not None:
            self._means[post_id] = before._replace(subreddit=_subreddit_of(record))

    def _subreddit(self, post_id: str) -> str | None:
        return _subreddit_of(self._read(keys.match_key(post_id)))


def _joined(observed: Iterator[tuple[str, bytes]], matches: Iterator[tuple[str, bytes]]) -> Iterator[MatchMeans]:
    """Put analytics and matches together; both come in the order of their posts."""
    match_key, match = next(matches, ("", b""))
    for key, value in observed:
        analytics = codec.decode(key, value)
        if not isinstance(analytics, Analytics):
            continue
        wanted = keys.match_key(analytics.post_id)
        while match_key and match_key < wanted:
            match_key, match = next(matches, ("", b""))
        found = codec.decode(match_key, match) if match_key == wanted else None
        yield MatchMeans.of(analytics, _subreddit_of(found))


def _subreddit_of(match: Record | None) -> str | None:
    return match.subreddit if isinstance(match, Match) else None
