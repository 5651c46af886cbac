"""An evening of live matches as a script: what every host does, decided by a seed alone, without a store or a clock.

A host leads several matches at once and goes from one to the other. A match goes through its rounds: players guess,
most are wrong (then they look at their score and the board), some are close (points), one is right (the round closes
and pays its winner), and at the end the match is completed with a trophy for its best player.
The same `Evening` gives every host the same script; only when `is_over` turns true does it bring its matches to an end.
Every command has a request id of its own, so a sender may repeat it until it knows the outcome.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pictact_actors.model.commands import (
    AddTrophy,
    AwardPoints,
    CancelMatch,
    CloseRound,
    Command,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    RecordAnalytics,
    UpdateMatch,
)

ROUNDS = 5
ROUND_POINTS, CLOSE_POINTS = 10, 1
ROUND_S = 180

_THEMES = ("sunsets", "bridges", "street food", "rooftops", "trains", "lighthouses", "markets", "winter", "reflections")
_PLACES = (
    "Lisbon",
    "Kyoto",
    "Cusco",
    "Bergen",
    "Hanoi",
    "Tbilisi",
    "Oaxaca",
    "Zadar",
    "Fez",
    "Galway",
    "Quito",
    "Riga",
)
_NAMES = (
    "ada", "ben", "cleo", "dana", "eli", "fay", "gus", "hana", "ivo", "jana", "kofi", "lena", "milo", "nora", "otto",
    "pia", "quin", "rosa", "sami", "tess", "ugo", "vera", "wim", "xena", "yara", "zoe",
)  # fmt: skip


class Query(NamedTuple):
    """A question to the store: the name of its method, and whom it is about."""

    name: str
    post_id: str
    user: str = ""


Step = Command | Query


@dataclass(frozen=True, slots=True)
class Evening:
    """Who plays what. `label` sets the matches of one evening apart from another's in the same store."""

    seed: int
    label: str
    started_at: float
    """Epoch seconds; the rounds' times count from here."""
    hosts: int = 4
    matches: int = 8
    """Matches going on at the same time, over all hosts."""
    players: int = 300
    guesses_per_round: int = 600
    """How many guesses it takes on average until one is right."""
    close_rate: float = 0.03
    """Share of the wrong guesses that are close enough for a point."""
    cancelled_rate: float = 0.02
    correction_rate: float = 0.002
    """Share of the wrong guesses after which a moderator takes a point back."""

    def slots(self, host: int) -> range:
        """Return the places for matches that a host looks after."""
        return range(host, self.matches, self.hosts)

    def post_id(self, slot: int, number: int) -> str:
        """Return the post of the match that is the `number`-th in its place."""
        return f"t3_{self.label}_{slot}_{number}"

    def player(self, place: int) -> str:
        """Return the name of a player."""
        turn, name = divmod(place, len(_NAMES))
        return _NAMES[name] if turn == 0 else f"{_NAMES[name]}_{turn + 1}"


def host_steps(evening: Evening, host: int, is_over: Callable[[], bool]) -> Iterator[Step]:
    """Yield what a host does until the evening is over and its matches are completed.

    The first place has by far the most players: every evening has one match that everybody talks about.
    """
    rng = random.Random(f"{evening.seed}/{host}")  # noqa: S311 - a game, no secrets
    slots = evening.slots(host)
    live = {slot: _matches(evening, slot, rng, is_over) for slot in slots}
    weights = {slot: 1 / (1 + place) for place, slot in enumerate(slots)}
    while live:
        (slot,) = rng.choices(list(live), [weights[slot] for slot in live])
        step = next(live[slot], None)
        if step is None:
            del live[slot]
        else:
            yield step


def _matches(evening: Evening, slot: int, rng: random.Random, is_over: Callable[[], bool]) -> Iterator[Step]:
    """One match after the other in the same place."""
    number = 0
    while not is_over():
        yield from _MatchScript(evening, slot, number, rng, is_over).steps()
        number += 1


class _MatchScript:
    """One match from its first post to its trophies, and who has how many points on the way."""

    def __init__(
        self, evening: Evening, slot: int, number: int, rng: random.Random, is_over: Callable[[], bool]
    ) -> None:
        self._evening = evening
        self._rng = rng
        self._is_over = is_over
        self._post_id = evening.post_id(slot, number)
        self._number = number
        self._theme = rng.choice(_THEMES)
        self._points: Counter[str] = Counter()
        self._sent = 0

    def steps(self) -> Iterator[Step]:
        post_id, rng = self._post_id, self._rng
        yield CreateMatch(
            post_id,
            subreddit="pics",
            rounds_total=ROUNDS,
            theme=self._theme,
            created_by=f"host_{rng.randrange(self._evening.hosts)}",
            status="lobby",
            request_id=self._request_id(),
        )
        yield UpdateMatch(post_id, status="active", request_id=self._request_id())
        if rng.random() < self._evening.cancelled_rate:
            yield CancelMatch(post_id, request_id=self._request_id())
            return
        for index in range(ROUNDS):
            yield from self._round(index)
        yield CompleteMatch(post_id, trophies=self._trophies(), request_id=self._request_id())

    def _round(self, index: int) -> Iterator[Step]:
        start_ts = self._evening.started_at + ROUND_S * (ROUNDS * self._number + index)
        yield CreateRound(
            self._post_id,
            index,
            prompt_text=f"Where in {self._rng.choice(_PLACES)} was this taken?",
            reference_images=(f"{self._theme.replace(' ', '-')}-{self._rng.randrange(1000)}.jpg",),
            start_ts=start_ts,
            end_ts=start_ts + ROUND_S,
            request_id=self._request_id(),
        )
        guesses, guessers = 0, set()
        while True:
            guesses += 1
            user = self._guesser()
            guessers.add(user)
            if self._rng.random() < 1 / self._evening.guesses_per_round or self._is_over():
                break
            yield from self._wrong_guess(user)
        yield from self._right_guess(index, user)
        yield RecordAnalytics(
            self._post_id,
            invalid_rate=round(1 - 1 / guesses, 6),
            avg_solve_time=round(self._rng.uniform(5, ROUND_S), 3),
            mod_responsiveness=round(self._rng.expovariate(1 / 20), 3),
            participation_rate=round(len(guessers) / self._evening.players, 6),
            request_id=self._request_id(),
        )

    def _wrong_guess(self, user: str) -> Iterator[Step]:
        """Whoever was wrong looks at the score and the board; a few look further."""
        post_id, rng = self._post_id, self._rng
        yield Query("score", post_id, user)
        yield Query("leaderboard", post_id)
        if rng.random() < self._evening.close_rate:
            self._points[user] += CLOSE_POINTS
            yield AwardPoints(post_id, user, CLOSE_POINTS, request_id=self._request_id())
            yield Query("around", post_id, user)
        if rng.random() < self._evening.correction_rate and self._points[user]:
            self._points[user] -= CLOSE_POINTS
            yield AwardPoints(post_id, user, -CLOSE_POINTS, request_id=self._request_id())
        name = rng.choices(("", "match", "rounds", "analytics", "player"), (80, 8, 4, 6, 2))[0]
        if name:
            yield Query(name, post_id, user)

    def _right_guess(self, index: int, user: str) -> Iterator[Step]:
        self._points[user] += ROUND_POINTS
        yield CloseRound(
            self._post_id,
            index,
            winner_user=user,
            winner_comment_id=f"t1_{self._rng.randrange(16**6):06x}",
            points=ROUND_POINTS,
            request_id=self._request_id(),
        )
        yield Query("standing", self._post_id, user)
        if self._points[user] >= 2 * ROUND_POINTS:
            yield AddTrophy(user, "two-in-one-match", request_id=self._request_id())

    def _guesser(self) -> str:
        """Regulars guess far more often than the rest."""
        return self._evening.player(int(self._evening.players * self._rng.random() ** 2))

    def _trophies(self) -> dict[str, list[str]]:
        best = min(self._points, key=lambda user: (-self._points[user], user))
        return {best: [f"best-at-{self._theme.replace(' ', '-')}"]}

    def _request_id(self) -> str:
        self._sent += 1
        return f"{self._post_id}/{self._sent}"
