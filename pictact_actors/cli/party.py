"""All hosts of an evening together: begun, watched, brought to an end."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pictact_actors.cli.evening import Evening, host_steps
from pictact_actors.cli.hosting import GameHost
from pictact_actors.cli.latency import Latency, merged
from pictact_actors.clock import monotonic
from pictact_actors.errors import NotFound
from pictact_actors.model.records import Standing
from pictact_actors.store import Store

_LOOK_S = 0.125


class Party:
    """The hosts of one evening on one store, a thread each."""

    def __init__(self, store: Store, evening: Evening, seconds: float) -> None:
        self.evening = evening
        self.seconds = seconds
        self._store = store
        self._stop = threading.Event()
        self._over = threading.Event()
        self._began = self._ended = monotonic()
        self._watched = ""
        self._hosts = [
            GameHost(number, store, host_steps(evening, number, self._over.is_set), self._stop)
            for number in range(evening.hosts)
        ]

    def run(self, look: Callable[[Party], None]) -> None:
        """Play until the evening is over and all matches are completed; `look` is called again and again.

        Raises what a host failed with. A signal stops all hosts after the step they are in.
        """
        self._began = monotonic()
        self._end_if_due()
        try:
            for host in self._hosts:
                host.start()
            while any(host.is_alive() for host in self._hosts) and not self._stop.is_set():
                look(self)
                self._stop.wait(_LOOK_S)
                self._end_if_due()
        finally:
            self._stop.set()
            for host in self._hosts:
                if host.ident is not None:
                    host.join()
            self._ended = monotonic()
        for host in self._hosts:
            if host.failure is not None:
                raise host.failure

    def _end_if_due(self) -> None:
        if self.elapsed_s >= self.seconds:
            self._over.set()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning, until the end."""
        return (self._ended if self._ended > self._began else monotonic()) - self._began

    @property
    def reads(self) -> int:
        """Queries answered."""
        return sum(host.reads for host in self._hosts)

    @property
    def writes(self) -> int:
        """Commands acknowledged."""
        return sum(host.writes for host in self._hosts)

    @property
    def repeated(self) -> int:
        """Commands that had to be sent again."""
        return sum(host.repeated for host in self._hosts)

    @property
    def completed(self) -> int:
        """Matches completed."""
        return sum(host.completed for host in self._hosts)

    def latencies(self) -> list[Latency]:
        """How long the operations took. For the time after `run`."""
        return merged(host.watch for host in self._hosts).latencies()

    def busiest_now(self) -> str:
        """Return the post to watch: the busiest match, and then the same until it is completed."""
        live = {post_id: count for host in self._hosts for post_id, count in host.guesses.copy().items()}
        if self._watched not in live and live:
            self._watched = max(live, key=lambda post_id: live[post_id])
        return self._watched

    def busiest_ever(self) -> str:
        """Return the post of the match with the most guesses."""
        live = [(count, post_id) for host in self._hosts for post_id, count in host.guesses.copy().items()]
        return max([*live, *(host.busiest for host in self._hosts)])[1]

    def board(self, post_id: str) -> list[Standing]:
        """Return the first ten of a match, nobody if it has not begun."""
        try:
            return self._store.leaderboard(post_id) if post_id else []
        except NotFound:
            return []
