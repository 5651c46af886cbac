"""Why a second replay ends where the first one did, also for matches that have expired since.

A match that was due is gone with its request ids, so its log would be played all over again, at a later time: the
histories would say so. What tells that it was played is the audit: a message from before the match was due belongs to
the match that was removed, and has had its effect. Where the audit has forgotten, the players' histories know.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from pictact_actors.cli.gamelog import Message
from pictact_actors.model import keys
from pictact_actors.model.commands import PostCommand
from pictact_actors.model.records import PlayedMatch
from pictact_actors.store import Store


class Hindsight:
    """Knows which matches were played and are gone. Owned by the thread that reads the log.

    Keeps one small entry in memory for each match that was removed.
    """

    def __init__(self, store: Store) -> None:
        """Remove what is due by now, and read the audit."""
        store.cleanup()
        self._store = store
        self._opened_at = store.runtime.clock.now()
        self._now = 0.0
        self._due_at: defaultdict[str, float] = defaultdict(float)
        for entry in store.audit():
            if entry.post_id is not None:
                self._due_at[entry.post_id] = max(entry.due_at, self._due_at[entry.post_id])

    def is_past(self, sent: Message) -> bool:
        """Whether a message, the next one of its log, is about a match that is gone."""
        self._now = max(self._now, sent.ts)
        if self._now >= self._opened_at or not isinstance(sent.command, PostCommand):
            return False
        post_id = sent.command.post_id
        if post_id in self._due_at:
            return self._now < self._due_at[post_id]
        if self._store.get_many([keys.match_key(post_id)]):
            return False
        return self._now <= self._completed_at.get(post_id, -1.0)

    @cached_property
    def _completed_at(self) -> dict[str, float]:
        """When each match was completed that is in anybody's history."""
        latest: defaultdict[str, float] = defaultdict(float)
        for _, played in self._store.scan("history:"):
            if isinstance(played, PlayedMatch):
                latest[played.post_id] = max(latest[played.post_id], played.completed_at)
        return latest
