"""The store itself, as its README shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from bench.subjects.protocol import Draw, Waitable
from pictact_actors import AwardPoints, Score, Store


class PictactStore:
    """Default configuration, nothing tuned."""

    NAME: ClassVar[str] = "store"
    TITLE: ClassVar[str] = "pictact_actors"
    SETUP: ClassVar[str] = ""

    def __init__(self, directory: Path) -> None:
        self._store = Store.open(directory)
        self.score = self._store.score

    def create(self, posts: Sequence[str]) -> None:
        for post in posts:
            self._store.create_match(post, subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")

    def award(self, post: str, user: str) -> None:
        self._store.award_points(post, user, 1)

    def submit(self, awards: Sequence[Draw]) -> Sequence[Waitable]:
        return self._store.submit([AwardPoints(post, user, 1) for post, user in awards])

    def top(self, post: str, _user: str) -> object:
        return self._store.leaderboard(post, limit=10)

    def close(self) -> None:
        self._store.close()

    @staticmethod
    def stored_points(directory: Path) -> int:
        with Store.open(directory, create=False) as store:
            return sum(int(record.points) for _, record in store.scan("score:") if isinstance(record, Score))
