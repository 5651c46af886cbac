"""Game hosts as threads: each plays its script of the evening on the store and takes the time of every step.

Threads: a host owns its stopwatch and counters until it has ended; others only look at the counters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from pictact_actors.cli.evening import Query, Step
from pictact_actors.cli.latency import READ_LIMIT_MS, WRITE_LIMIT_MS, Stopwatch
from pictact_actors.clock import monotonic
from pictact_actors.errors import NotFound, Overloaded, RequestTimeout, ShardRestarted
from pictact_actors.model.commands import Command, CompleteMatch
from pictact_actors.store import Store

_ATTEMPTS = 5
_AGAIN = (RequestTimeout, Overloaded, ShardRestarted)
"""Errors after which the same command, with the same request id, may be sent again."""


class GameHost(threading.Thread):
    """Plays one script to its end, or until it fails or is stopped."""

    def __init__(self, number: int, store: Store, steps: Iterator[Step], stop: threading.Event) -> None:
        super().__init__(name=f"game-host-{number}", daemon=True)
        self._store = store
        self._steps = steps
        self._stop_asked = stop
        self._ask = _questions(store)
        self.watch = Stopwatch()
        self.reads = 0
        self.writes = 0
        self.repeated = 0
        self.completed = 0
        self.guesses: dict[str, int] = {}
        """Guesses so far in each match going on."""
        self.busiest: tuple[int, str] = (0, "")
        """Most guesses that a finished match has had, and its post."""
        self.failure: Exception | None = None

    def run(self) -> None:
        """Play."""
        try:
            for step in self._steps:
                if self._stop_asked.is_set():
                    return
                self._perform(step)
        except Exception as error:  # noqa: BLE001 - the evening ends, the main thread reports why
            self.failure = error
            self._stop_asked.set()

    def _perform(self, step: Step) -> None:
        began = monotonic()
        if isinstance(step, Query):
            with suppress(NotFound):  # a player without points is an answer too
                self._ask[step.name](step)
            self.watch.record(step.name, READ_LIMIT_MS, monotonic() - began)
            self.reads += 1
            if step.name == "score":
                self.guesses[step.post_id] = self.guesses.get(step.post_id, 0) + 1
        else:
            self._send(step)
            self.watch.record(step.NAME, WRITE_LIMIT_MS, monotonic() - began)
            self.writes += 1
            if isinstance(step, CompleteMatch):
                self.completed += 1
                self.busiest = max(self.busiest, (self.guesses.pop(step.post_id, 0), step.post_id))

    def _send(self, step: Command) -> None:
        """Send a command, again if need be: its request id keeps it from being applied twice."""
        for _ in range(_ATTEMPTS - 1):
            try:
                self._store.ask(step).get()
            except _AGAIN:
                self.repeated += 1
            else:
                return
        self._store.ask(step).get()


def _questions(store: Store) -> Mapping[str, Callable[[Query], object]]:
    return {
        "score": lambda query: store.score(query.post_id, query.user),
        "leaderboard": lambda query: store.leaderboard(query.post_id),
        "around": lambda query: store.around(query.post_id, query.user),
        "standing": lambda query: store.standing(query.post_id, query.user),
        "match": lambda query: store.match(query.post_id),
        "rounds": lambda query: store.rounds(query.post_id),
        "analytics": lambda query: store.analytics(query.post_id),
        "player": lambda query: store.player(query.user),
    }
