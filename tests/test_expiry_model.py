"""Any commands at any times, against a plain account of who plays where: what is due is gone, what lasts is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from expiring import DAY_S, IDLE_S, NOW, QUIET, WEEK_S, step, stored
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pictact_actors import Match, NotFound, Rejected, Score, Store, StoreConfig
from pictact_actors.storage.memory import MemoryEngine
from pictact_actors.testing import ManualClock

POSTS, USERS, REQUESTS = ("p", "q"), ("ann", "bob"), ("r1", "r2")
posts, users = st.sampled_from(POSTS), st.sampled_from(USERS)
requests = st.none() | st.sampled_from(REQUESTS)
NEW: dict[str, Any] = {"subreddit": "pics", "rounds_total": 1, "theme": "any", "created_by": "mod"}


@dataclass
class Game:
    """One match in the account."""

    changed_at: float
    status: str = "active"
    over_at: float | None = None
    scores: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)

    def is_gone(self, now: float) -> bool:
        return self.over_at is not None and now >= self.over_at + WEEK_S

    def is_idle(self, now: float) -> bool:
        return self.over_at is None and now >= self.changed_at + IDLE_S


class Account:
    """Everything that there should be."""

    def __init__(self) -> None:
        self.now = NOW
        self.games: dict[str, Game] = {}
        self.histories: dict[str, dict[str, int]] = {}

    def game(self, post_id: str) -> Game:
        """Return a match that is there."""
        game = self.games.get(post_id)
        if game is None or game.is_gone(self.now):
            raise NotFound(post_id)
        return game

    def open_game(self, post_id: str) -> Game:
        game = self.game(post_id)
        if game.over_at is not None:
            raise _Refused
        return game

    def create(self, post_id: str) -> None:
        if self._is_there(post_id):
            raise _Refused
        self.games[post_id] = Game(self.now)

    def put(self, post_id: str, user: str, points: int) -> None:
        if not self._is_there(post_id):
            self.games[post_id] = Game(self.now)
        self.games[post_id] = Game(self.now, scores={**self.games[post_id].scores, user: points})

    def award(self, post_id: str, user: str, points: int, request_id: str | None) -> int:
        if request_id is not None and request_id in self.game(post_id).answers:
            return self.games[post_id].answers[request_id]
        game = self.open_game(post_id)
        game.changed_at = self.now
        game.scores[user] = game.scores.get(user, 0) + points
        if request_id is not None:
            game.answers[request_id] = game.scores[user]
        return game.scores[user]

    def complete(self, post_id: str) -> None:
        if self.game(post_id).status != "completed":
            game = self.open_game(post_id)
            game.status, game.over_at = "completed", self.now
            for user, points in game.scores.items():
                self.histories.setdefault(user, {})[post_id] = points

    def cancel(self, post_id: str) -> None:
        if self.game(post_id).status != "cancelled":
            game = self.open_game(post_id)
            game.status, game.over_at = "cancelled", self.now

    def clean(self, *post_ids: str) -> None:
        """Forget the matches that are due."""
        for post_id in post_ids:
            game = self.games.get(post_id)
            if game is not None and (game.is_gone(self.now) or game.is_idle(self.now)):
                del self.games[post_id]

    def shown(self) -> dict[str, tuple[str, dict[str, int]]]:
        return {post: (game.status, game.scores) for post, game in self.games.items() if not game.is_gone(self.now)}

    def _is_there(self, post_id: str) -> bool:
        return post_id in self.games and not self.games[post_id].is_gone(self.now)


class _Refused(Exception):
    """The account says no."""


class Play(RuleBasedStateMachine):
    """A store and the account of it."""

    def __init__(self) -> None:
        super().__init__()
        self.account = Account()
        self.clock = ManualClock(NOW)
        self.engine = MemoryEngine()
        self.store = self._opened()

    @rule(post_id=posts)
    def create(self, post_id: str) -> None:
        self._both(lambda: self.store.create_match(post_id, **NEW), lambda: self.account.create(post_id))

    @rule(post_id=posts)
    def create_in_a_transaction(self, post_id: str) -> None:
        def creating() -> object:
            return self.store.transact(lambda tx: tx.create_match(post_id, **NEW))

        self._both(creating, lambda: self.account.create(post_id))

    @rule(post_id=posts, user=users, points=st.integers(0, 9))
    def put(self, post_id: str, user: str, points: int) -> None:
        records = {f"match:{post_id}": Match(post_id), f"score:{post_id}:{user}": Score(post_id, user, points)}
        self.store.put_many(records)
        answers = self.account.games[post_id].answers if post_id in self.account.shown() else {}
        self.account.put(post_id, user, points)
        self.account.games[post_id].answers = answers

    @rule(post_id=posts, user=users, points=st.integers(-3, 9), request_id=requests)
    def award(self, post_id: str, user: str, points: int, request_id: str | None) -> None:
        if request_id is not None:
            user, points = {"r1": ("ann", 1), "r2": ("bob", 2)}[request_id]
        self._both(
            lambda: self.store.award_points(post_id, user, points, request_id=request_id).points,
            lambda: self.account.award(post_id, user, points, request_id),
        )

    @rule(post_id=posts)
    def complete(self, post_id: str) -> None:
        self._both(lambda: self.store.complete_match(post_id) and None, lambda: self.account.complete(post_id))

    @rule(post_id=posts)
    def cancel(self, post_id: str) -> None:
        self._both(lambda: self.store.cancel_match(post_id) and None, lambda: self.account.cancel(post_id))

    @rule(seconds=st.sampled_from([1, 3_600, DAY_S, WEEK_S - 1, WEEK_S, 30 * DAY_S, IDLE_S - 1, IDLE_S]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.account.now += seconds

    @rule()
    def clean(self) -> None:
        self.store.cleanup()
        self.account.clean(*POSTS)
        left = {key.split(":")[1] for key in stored(self.store) if key.startswith(("match:", "score:"))}
        assert left == set(self.account.games)
        assert not self.store.cleanup()

    @rule(post_id=posts, limit=st.integers(1, 3))
    def clean_a_little(self, post_id: str, limit: int) -> None:
        step(self.store, limit, post_id)
        game = self.account.games.get(post_id)
        if game is not None and not game.is_gone(self.account.now):
            self.account.clean(post_id)

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = self._opened()

    @invariant()
    def every_match_is_as_it_should_be(self) -> None:
        seen = {
            post_id: (
                self.store.match(post_id).status,
                {at.user: at.points for at in self.store.leaderboard(post_id)},
            )
            for post_id in POSTS
            if self.store.get_many([f"match:{post_id}"])
        }
        assert seen == self.account.shown()
        scores = dict(self.store.scan("score:"))
        assert len(scores) == sum(len(scores) for _, scores in seen.values())

    @invariant()
    def every_player_keeps_what_was_won(self) -> None:
        for user, played in self.account.histories.items():
            player = self.store.player(user)
            assert {at.post_id: at.points for at in player.matches} == played
            assert player.lifetime.matches_played == len(played)
            assert player.lifetime.total_points == sum(played.values())

    def teardown(self) -> None:
        assert self.store.check() == []
        self.store.close()

    def _opened(self) -> Store:
        return Store(self.engine, StoreConfig(shards=2, **QUIET), self.clock)

    def _both(self, real: Callable[[], Any], expected: Callable[[], Any]) -> None:
        """Do it twice: in the account and in the store. They must agree."""
        try:
            answer = expected()
        except NotFound:
            _refuses(real, only=NotFound)
        except _Refused:
            _refuses(real, only=Rejected)
        else:
            shown = real()
            assert answer is None or shown == answer


def _refuses(real: Callable[[], Any], only: type[Rejected]) -> None:
    try:
        answer = real()
    except only:
        return
    raise AssertionError(f"it must be refused, but the answer is {answer}")


TestPlay = Play.TestCase
TestPlay.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
