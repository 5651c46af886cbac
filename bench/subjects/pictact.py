"""The store itself, as its README shows it: the default configuration, nothing tuned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import ClassVar, Self

from bench.subjects.protocol import AwardTask, Board, Draw, Line, Stored, Waitable
from pictact_actors import AsyncStore, AwardPoints, Lifetime, Score, Store, StoreConfig

STEP = 4_000
"""Records that go in with one step."""
WAIT_S = 60.0
"""Patience for steps that are not timed, and for completing a large match on a busy machine."""


class PictactStore:
    """What is compared with all others."""

    NAME: ClassVar[str] = "store"
    TITLE: ClassVar[str] = "pictact_actors"
    SETUP: ClassVar[str] = ""
    LACKS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, directory: Path, config: StoreConfig | None = None) -> None:
        self._store = Store.open(directory, config=config)
        self.score = self._store.score

    @classmethod
    def without_cache(cls, directory: Path) -> Self:
        """Open with no room for decoded records, so that each read goes to LevelDB."""
        return cls(directory, StoreConfig(cache_bytes_max=1))

    def create(self, posts: Sequence[str]) -> None:
        for post in posts:
            _create(self._store, post)

    def load(self, post: str, scores: Mapping[str, int]) -> None:
        for step in _steps(post, scores):
            self._store.put_many({one.key: one for one in step}, timeout=WAIT_S)

    def award(self, post: str, user: str) -> None:
        self._store.award_points(post, user, 1)

    def submit(self, awards: Sequence[Draw]) -> Sequence[Waitable]:
        return self._store.submit([AwardPoints(post, user, 1) for post, user in awards])

    @staticmethod
    @asynccontextmanager
    async def tasks(directory: Path, posts: Sequence[str], load: Mapping[str, int]) -> AsyncIterator[AwardTask]:
        async with AsyncStore.open(directory) as store:
            for post in posts:
                await store.create_match(post, subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
                for step in _steps(post, load):
                    await store.put_many({one.key: one for one in step}, timeout=WAIT_S)

            async def award(post: str, user: str) -> object:
                return await store.award_points(post, user, 1)

            yield award

    def put(self, post: str, user: str) -> None:
        self._store.update(f"score:{post}:{user}", lambda _: Score(post, user, 1))

    def scan(self, post: str, user: str, limit: int) -> int:
        before = f"score:{post}:{user[:-1]}{chr(ord(user[-1]) - 1)}~"
        return sum(1 for _ in self._store.scan(f"score:{post}:", after=before, limit=limit))

    @staticmethod
    def board(directory: Path) -> Board:
        return PictactBoard(directory)

    def complete(self, post: str) -> None:
        self._store.complete_match(post, timeout=WAIT_S)

    def close(self) -> None:
        self._store.close()

    @staticmethod
    def stored(directory: Path) -> Stored:
        with Store.open(directory, create=False) as store:
            points = [int(record.points) for _, record in store.scan("score:") if isinstance(record, Score)]
        return Stored(len(points), sum(points))

    @staticmethod
    def lifetimes(directory: Path) -> Stored:
        with Store.open(directory, create=False) as store:
            found = [int(one.total_points) for _, one in store.scan("lifetime:") if isinstance(one, Lifetime)]
        return Stored(len(found), sum(found))


class PictactBoard:
    """The store's own board of a match."""

    POST: ClassVar[str] = "t3_board"

    def __init__(self, directory: Path) -> None:
        self._subject = PictactStore(directory)
        self._store = self._subject._store  # noqa: SLF001 - the same file
        self._subject.create([self.POST])

    def fill(self, scores: Mapping[str, int]) -> None:
        self._subject.load(self.POST, scores)

    def add(self, users: Sequence[str]) -> None:
        for reply in self._store.submit([AwardPoints(self.POST, user, 1) for user in users]):
            reply.get(WAIT_S)

    def top(self) -> list[Line]:
        return [(line.user, int(line.points)) for line in self._store.leaderboard(self.POST, 10)]

    def rank(self, user: str) -> int:
        return self._store.standing(self.POST, user).rank

    def around(self, user: str) -> list[Line]:
        return [(line.user, int(line.points)) for line in self._store.around(self.POST, user, 2)]

    def close(self) -> None:
        self._subject.close()


def _create(store: Store, post: str) -> None:
    store.create_match(post, subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")


def _steps(post: str, scores: Mapping[str, int]) -> Iterator[list[Score]]:
    rest = (Score(post, user, points) for user, points in scores.items())
    while step := list(islice(rest, STEP)):
        yield step
