"""Sending a game log from several hosts at once, in an order that gives one outcome.

A group's messages all go through the same host, so a match and a user keep their order. Messages that touch many
groups or decide when a match expires (`ALONE`) wait for everything before them and hold back everything after them.
Time goes with the messages: the clock shows the latest `ts` sent, and no message is sent while one from more than
`AHEAD_S_MAX` before it is unanswered, so no host lives in another's past or future. With each hour of the log that
begins, what is due is cleaned up: where a match ends is up to the log, not to how fast it is replayed.

Threads: the reader owns the clock and the pace; each host thread owns its window; `Flight` is shared, under its lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from pictact_actors.cli.gamelog import Message
from pictact_actors.clock import monotonic
from pictact_actors.errors import AlreadyExists, InvalidKey, InvalidValue, MatchClosed, NotFound, StoreError
from pictact_actors.model.commands import CancelMatch, Command, CompleteMatch, CreateMatch
from pictact_actors.model.keys import shard_of
from pictact_actors.store import Store

ALONE = (CreateMatch, CompleteMatch, CancelMatch)
AHEAD_S_MAX = 10.0
CLEAN_EVERY_S = 3_600.0
WINDOW_MAX = 64
"""Messages that a host hands to the store at once."""
TIMEOUT_S = 60.0
"""A slow disk makes a replay slow, not wrong."""

_REFUSALS = (InvalidKey, InvalidValue, NotFound, AlreadyExists, MatchClosed)
"""What says something about the message. Any other error says something about the store, and ends the replay."""


class LogClock:
    """The store's clock during a replay: the latest `ts` of the log, never backwards."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Epoch seconds."""
        return self._now

    def reach(self, ts: float) -> None:
        """Go on to `ts`, unless it is in the past."""
        self._now = max(self._now, ts)


class Pace:
    """When to send: at once (`speed` None), or as the log's time passes, `speed` times as fast."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._started: tuple[float, float] | None = None

    def wait_s(self, ts: float) -> float:
        """Return how long to wait before a message of `ts` is due, in seconds."""
        if self._speed is None:
            return 0.0
        if self._started is None:
            self._started = monotonic(), ts
        began, first_ts = self._started
        return max(0.0, began + (ts - first_ts) / self._speed - monotonic())


@dataclass(slots=True)
class Tally:
    """How a replay went, in lines."""

    applied: int = 0
    rejected: int = 0
    invalid: int = 0
    elapsed_s: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """All figures with their camelCase names."""
        rate = self.applied / self.elapsed_s if self.elapsed_s else 0.0
        return {
            "applied": self.applied,
            "rejected": self.rejected,
            "skipped": self.invalid,
            "elapsedS": round(self.elapsed_s, 3),
            "perS": round(rate, 1),
        }


class ReplayStopped(StoreError):
    """The store could not go on with a message; `number` is its line."""

    def __init__(self, number: int, cause: StoreError) -> None:
        super().__init__(
            f"replay stopped at line {number}: {cause}; replay the same log again when that is mended, "
            "nothing is applied twice"
        )
        self.number = number


@dataclass(slots=True)
class Flight:
    """The messages sent and not yet answered."""

    room: int
    tally: Tally
    on_refusal: Callable[[int, StoreError], None]
    failure: ReplayStopped | None = None
    stopping: bool = False
    _sent: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def depart(self) -> None:
        """Wait for room, then count a message as sent. Raises `ReplayStopped`."""
        with self._changed:
            self._changed.wait_for(lambda: self._sent < self.room or self.failure)
            self._raise_failure()
            self._sent += 1

    def land_all(self) -> None:
        """Wait until every message sent is answered. Raises `ReplayStopped`."""
        with self._changed:
            self._changed.wait_for(lambda: self._sent == 0 or self.failure)
            self._raise_failure()

    def arrive(self, applied: int, refused: list[tuple[int, StoreError]]) -> None:
        """Count messages as answered."""
        for number, error in refused:
            self.on_refusal(number, error)
        with self._changed:
            self.tally.applied += applied
            self.tally.rejected += len(refused)
            self._sent -= applied + len(refused)
            self._changed.notify_all()

    def fail(self, number: int, cause: StoreError) -> None:
        """End the replay."""
        with self._changed:
            self.failure = self.failure or ReplayStopped(number, cause)
            self._changed.notify_all()

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure


class Host(threading.Thread):
    """Sends its share of the log, a window at a time, in order."""

    def __init__(self, store: Store, flight: Flight, number: int) -> None:
        super().__init__(name=f"replay-host-{number}", daemon=True)
        self._store = store
        self._flight = flight
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def send(self, message: Message | None) -> None:
        """Queue a message; None is the last."""
        self._inbox.put(message)

    def run(self) -> None:
        """Send windows until told to stop, or until the replay has failed."""
        last = False
        while not last:
            window, last = self._next_window()
            if self._flight.stopping or self._flight.failure is not None:
                return
            if window:
                self._send_window(window)

    def _next_window(self) -> tuple[list[Message], bool]:
        window: list[Message] = []
        message = self._inbox.get()
        while message is not None:
            window.append(message)
            if len(window) == WINDOW_MAX or self._inbox.empty():
                return window, False
            message = self._inbox.get()
        return window, True

    def _send_window(self, window: list[Message]) -> None:
        refused: list[tuple[int, StoreError]] = []
        try:
            replies = self._store.submit([message.command for message in window], timeout=TIMEOUT_S)
        except StoreError as error:
            self._flight.fail(window[0].number, error)
            return
        for message, reply in zip(window, replies, strict=True):
            try:
                reply.get(timeout=TIMEOUT_S)
            except _REFUSALS as error:
                refused.append((message.number, error))
            except StoreError as error:
                self._flight.fail(message.number, error)
                return
        self._flight.arrive(len(window) - len(refused), refused)


class Replay:
    """A log on its way into a store, from `hosts` threads. Use as a context manager."""

    def __init__(
        self, store: Store, clock: LogClock, tally: Tally, *, hosts: int, on_refusal: Callable[[int, StoreError], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._clock.reach(store.runtime.engine.ts)
        self._flight = Flight(hosts * WINDOW_MAX * 2, tally, on_refusal)
        self._hosts = [Host(store, self._flight, number) for number in range(hosts)]
        self._oldest_ts = 0.0

    def __enter__(self) -> Self:
        for host in self._hosts:
            host.start()
        return self

    def __exit__(self, kind: object, *_details: object) -> None:
        self._flight.stopping = kind is not None
        for host in self._hosts:
            host.send(None)
        for host in self._hosts:
            host.join()

    def send(self, message: Message, *, refusal: StoreError | None = None) -> None:
        """Send a message when its turn has come, or only count it if it is refused. Raises `ReplayStopped`."""
        alone = isinstance(message.command, ALONE)
        if alone or message.ts > self._oldest_ts + AHEAD_S_MAX:
            self._flight.land_all()
            self._oldest_ts = message.ts
        self._reach(message.ts)
        self._flight.depart()
        if refusal is None:
            self._host_of(message.command).send(message)
        else:
            self._flight.arrive(0, [(message.number, refusal)])
        if alone:
            self._flight.land_all()

    def pass_over(self, message: Message) -> None:
        """Count a message as applied whose match was played before and is gone."""
        self._reach(message.ts)
        self._flight.depart()
        self._flight.arrive(1, [])

    def finish(self) -> None:
        """Wait until everything sent is answered, and clean up. Raises `ReplayStopped`."""
        self._flight.land_all()
        self._store.cleanup()

    def _reach(self, ts: float) -> None:
        """Go on to the time of a message; clean up what was due before its hour began."""
        hour = self._clock.now() // CLEAN_EVERY_S
        if ts // CLEAN_EVERY_S > hour:
            self._flight.land_all()
            self._clock.reach(ts // CLEAN_EVERY_S * CLEAN_EVERY_S)
            self._store.cleanup()
        self._clock.reach(ts)

    def _host_of(self, command: Command) -> Host:
        return self._hosts[shard_of(command.group, len(self._hosts))]
