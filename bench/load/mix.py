"""What is called: a game's calls in an order that a seed alone decides, without a store or a clock.

Players look far more often than they write: nine of ten calls are queries. Who calls and who is looked at follows
Zipf's law, and one match gets a third of all calls. Matches begin, go through their rounds and are completed all the
time. What a call needs (its match, its round) is created some hundred calls before, so that hosts may overtake each
other a little; where one overtakes further, the store refuses its call as it would refuse a late player's.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from itertools import accumulate, count, cycle
from typing import Final, NamedTuple

from bench.load.plan import LoadPlan
from pictact_actors import AddTrophy, AwardPoints, CloseRound, CompleteMatch, CreateMatch, CreateRound, RecordAnalytics
from pictact_actors.model.commands import Command

ROUNDS: Final = 5
VIRAL: Final = 0
"""The place of the match that everybody talks about."""
VIRAL_SHARE: Final = 1 / 3
VIRAL_ROUNDS: Final = 10
"""How many times as long its rounds are."""
VIRAL_PLAYERS_MAX: Final = 1_000
"""Players who have points in it from the beginning."""
GAP_CALLS_MAX: Final = 512
"""Calls between one that creates something and the first that needs it; more than there are hosts."""
ZIPF: Final = 0.99
"""The exponent that YCSB uses."""
WEIGHTS: Final = {
    "leaderboard": 36.0,
    "score": 28.0,
    "standing": 9.0,
    "around": 6.0,
    "match": 6.0,
    "rounds": 2.0,
    "lifetime_leaderboard": 2.0,
    "player": 1.0,
    "award_points": 9.5,
    "corrected": 0.5,
}
"""How often each is drawn. A guess is wrong unless points are awarded: then its player only looks. A correction is an
award of less than nothing."""
DRAWS, KINDS = 16_384, 16_381
"""Lengths of the drawn sequences that are gone through again and again; without a common divisor, so that the same
call by the same player does not come back soon. Drawing anew each time would cost more than many a call."""
WINNER_POINTS: Final = 10
TROPHIES: Final = 20
"""Different ones; a player gets each once."""


class Query(NamedTuple):
    """A question to the store: the name of its method, and what it is asked."""

    name: str
    arguments: tuple[str, ...]


Operation = Query | Command


class _Step(NamedTuple):
    """Something that happens to a match, once so many calls were made. Heaps order them."""

    at: int
    place: int
    command: Command


class Mix:
    """The calls of a plan. One `Mix` gives one sequence."""

    def __init__(self, plan: LoadPlan) -> None:
        self._round_calls = plan.round_calls
        self._gap = min(GAP_CALLS_MAX, plan.round_calls // 4)
        self._random = random.Random(plan.seed)
        self._players = [f"player{number}" for number in range(plan.players)]
        self._posts = [self._post(place, 0) for place in range(plan.matches)]
        self._drawn_players = cycle(self._draw_players())
        self._drawn_places = cycle(self._draw_places(plan.matches))
        self._drawn_kinds = cycle(self._random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=KINDS))
        self._request = count()

    def opening(self) -> Iterator[Operation]:
        """What there is before the load begins: every match with its first round, and players in the viral one."""
        for post in self._posts:
            yield self._creation(post)
            yield self._round(post, 0)

    def crowd(self) -> Iterator[Operation]:
        """Points for the players of the viral match, after `opening`; in any order."""
        for user in self._players[:VIRAL_PLAYERS_MAX]:
            yield AwardPoints(self._posts[VIRAL], user, 1, request_id=self._id())

    def operations(self) -> Iterator[Operation]:
        """Calls without end, after `opening`."""
        lives = [self._life(place) for place in range(len(self._posts))]
        steps = [next(life) for life in lives]
        heapq.heapify(steps)
        for number in count():
            if steps[0].at <= number:
                step = steps[0]
                heapq.heapreplace(steps, next(lives[step.place]))
                yield step.command
            else:
                yield self._play()

    def _play(self) -> Operation:
        kind, post, user = next(self._drawn_kinds), self._posts[next(self._drawn_places)], next(self._drawn_players)
        match kind:
            case "award_points":
                return AwardPoints(post, user, 1, request_id=self._id())
            case "corrected":
                return AwardPoints(post, user, -0.5, request_id=self._id())
            case "score" | "standing" | "around":
                return Query(kind, (post, user))
            case "player":
                return Query(kind, (user,))
            case "lifetime_leaderboard":
                return Query(kind, ())
        return Query(kind, (post,))

    def _life(self, place: int) -> Iterator[_Step]:
        """One match after the other in a place; the next is there before its players leave the one before."""
        at = self._random.randrange(self._round_calls)  # where in its first round it is when the load begins
        for number in count(1):
            post = self._posts[place]
            following = self._post(place, number)
            winner = ""
            for index in range(ROUNDS):
                at += self._length(place)
                winner = next(self._drawn_players)
                yield _Step(at, place, self._closing(post, index, winner))
                if index + 1 < ROUNDS:
                    yield _Step(at + self._gap, place, self._round(post, index + 1))
            yield _Step(at, place, self._observation(post))
            yield _Step(at, place, self._creation(following))
            yield _Step(at + self._gap, place, self._round(following, 0))
            self._posts[place] = following
            at += 2 * self._gap
            yield _Step(at, place, AddTrophy(winner, f"trophy{number % TROPHIES}", request_id=self._id()))
            trophies = {winner: [f"wreath{number % TROPHIES}"]}
            yield _Step(at, place, CompleteMatch(post, trophies=trophies, request_id=self._id()))

    def _length(self, place: int) -> int:
        longer = VIRAL_ROUNDS if place == VIRAL else 1
        return longer * self._random.randrange(self._round_calls // 2, self._round_calls * 3 // 2)

    def _draw_players(self) -> list[str]:
        weights = accumulate(1 / rank**ZIPF for rank in range(1, len(self._players) + 1))
        names = self._random.sample(self._players, len(self._players))
        return self._random.choices(names, cum_weights=list(weights), k=DRAWS)

    def _draw_places(self, matches: int) -> list[int]:
        others = (1 - VIRAL_SHARE) / max(1, matches - 1)
        return self._random.choices(range(matches), [VIRAL_SHARE, *[others] * (matches - 1)], k=DRAWS - 1)

    def _post(self, place: int, number: int) -> str:
        return f"t3_{'viral' if place == VIRAL else f'match{place}'}_{number}"

    def _creation(self, post: str) -> CreateMatch:
        return CreateMatch(
            post, subreddit="pics", rounds_total=ROUNDS, theme="sunsets", created_by="host", request_id=self._id()
        )

    def _round(self, post: str, index: int) -> CreateRound:
        prompt = "Where was this taken?"
        return CreateRound(post, index, prompt_text=prompt, start_ts=0, end_ts=180, request_id=self._id())

    def _closing(self, post: str, index: int, winner: str) -> CloseRound:
        comment = f"t1_{index}"
        return CloseRound(
            post, index, winner_user=winner, winner_comment_id=comment, points=WINNER_POINTS, request_id=self._id()
        )

    def _observation(self, post: str) -> RecordAnalytics:
        return RecordAnalytics(
            post, invalid_rate=0.9, avg_solve_time=40.0, participation_rate=0.2, request_id=self._id()
        )

    def _id(self) -> str:
        return f"call-{next(self._request)}"


def name_of(operation: Operation) -> str:
    """What a call is named in reports."""
    return operation.name if isinstance(operation, Query) else operation.NAME
