"""A year of play in simulated time, and a plain account of it."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pictact_actors import (
    AwardPoints,
    CancelMatch,
    CloseRound,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    Observation,
    RecordAnalytics,
    Standing,
    Store,
)
from pictact_actors.model.commands import Command
from pictact_actors.testing import ManualClock

NOW = 1_700_000_000.0
DAY_S = 86_400.0
WEEK_S, IDLE_S = 7 * DAY_S, 90 * DAY_S
REPLAYED_AFTER_DAYS = 100
"""A post is played again after so long, by when the match before is long gone."""
SUBREDDITS = ("pics", "art", "maps")

Seen = tuple[str, int, float]


@dataclass(frozen=True)
class Size:
    """How much is played."""

    days: int = 365
    matches_a_day: int = 2
    players: int = 300
    awards: int = 25
    observations: int = 6

    @property
    def posts(self) -> int:
        """How many different posts are played."""
        return REPLAYED_AFTER_DAYS * self.matches_a_day


@dataclass
class Played:
    """One match in the account."""

    status: str
    changed_at: float
    points: dict[str, int] = field(default_factory=dict)
    wins: Counter[str] = field(default_factory=Counter)

    def is_due(self, now: float) -> bool:
        return now >= self.changed_at + (IDLE_S if self.status == "active" else WEEK_S)

    def rank(self, user: str) -> int:
        """One more than those who have more points, or as many and more wins."""
        mine = (self.points[user], self.wins[user])
        return 1 + sum((self.points[other], self.wins[other]) > mine for other in self.points)


class Year:
    """Plays day by day on a store, and keeps account of everything."""

    def __init__(self, size: Size, seed: int) -> None:
        self.size = size
        self.rng = random.Random(seed)
        self.clock = ManualClock(NOW)
        self.posts: dict[str, Played] = {}
        self.histories: defaultdict[str, dict[str, tuple[int, int, int]]] = defaultdict(dict)
        self.trophies: defaultdict[str, list[str]] = defaultdict(list)
        self.observed: Counter[Seen] = Counter()
        self.matches = self.scores = self.removed = 0

    def play_a_day(self, store: Store) -> None:
        """Play all matches of a day, then clean up once, as the night goes by."""
        for _ in range(self.size.matches_a_day):
            self._play_match(store, f"t3_{self.matches % self.size.posts}")
            self.matches += 1
            self.clock.advance(DAY_S / self.size.matches_a_day)
        self.removed += store.cleanup().matches

    def live(self) -> dict[str, Played]:
        """The matches that are not due."""
        return {post_id: played for post_id, played in self.posts.items() if not played.is_due(self.clock.now())}

    def _play_match(self, store: Store, post_id: str) -> None:
        self._all(store, self._beginning(post_id))
        played = self.posts[post_id] = Played("active", self.clock.now())
        users = self.rng.sample(range(self.size.players), self.rng.randint(2, 12))
        awards = [self._award(post_id, played, f"u{self.rng.choice(users)}") for _ in range(self.size.awards)]
        self._all(store, awards)
        self.scores += len(awards)
        self._all(store, self._observations(post_id))
        self.clock.advance(60)
        played.changed_at = self.clock.now()
        self._end(store, post_id, played)

    def _beginning(self, post_id: str) -> Iterator[Command]:
        subreddit = self.rng.choice(SUBREDDITS)
        yield CreateMatch(post_id, subreddit=subreddit, rounds_total=1, theme=f"no {self.matches}", created_by="mod")
        yield CreateRound(
            post_id, 1, prompt_text="Where is it?", start_ts=self.clock.now(), end_ts=self.clock.now() + 9
        )

    def _award(self, post_id: str, played: Played, user: str) -> Command:
        points = self.rng.randint(-2, 9)
        played.points[user] = played.points.get(user, 0) + points
        return AwardPoints(post_id, user, points)

    def _observations(self, post_id: str) -> Iterator[Command]:
        for seq in range(1, self.size.observations + 1):
            self.observed[post_id, seq, self.clock.now()] += 1
            yield RecordAnalytics(post_id, invalid_rate=self.rng.random(), avg_solve_time=self.rng.randint(1, 99))

    def _end(self, store: Store, post_id: str, played: Played) -> None:
        """End a match: nearly all are completed, some cancelled, some left alone."""
        winner = self.rng.choice(sorted(played.points))
        self._all(store, [CloseRound(post_id, 1, winner_user=winner, points=5, request_id="closed")])
        played.points[winner] += 5
        played.wins[winner] += 1
        how = self.rng.random()
        if how < 0.9:
            cup = [f"cup{self.matches}"] if self.rng.random() < 0.1 else []
            (final,) = self._all(store, [CompleteMatch(post_id, trophies={winner: cup})])
            self._complete(post_id, played, final)
            self.trophies[winner] += cup
        elif how < 0.95:
            self._all(store, [CancelMatch(post_id)])
            played.status = "cancelled"

    def _complete(self, post_id: str, played: Played, final: Sequence[Standing]) -> None:
        played.status = "completed"
        for user, points in played.points.items():
            self.histories[user][post_id] = (points, played.wins[user], played.rank(user))
        assert {at.user: (at.points, at.wins, at.rank) for at in final} == {
            user: self.histories[user][post_id] for user in played.points
        }

    def _all(self, store: Store, commands: Iterator[Command] | Sequence[Command]) -> list[Any]:
        return [reply.get(60) for reply in store.submit(commands, timeout=60)]


def archived(path: Path) -> Iterator[Seen]:
    """Read the archive as anybody would."""
    for file in sorted((path / "archive").glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for at in map(json.loads, lines):
                yield at["postId"], at["seq"], at["observedAt"]


def details(store: Store) -> Iterator[Seen]:
    """The details that are not in the archive yet."""
    for _, at in store.scan("observation:"):
        assert isinstance(at, Observation)
        yield at.post_id, at.seq, float(at.created_at)
