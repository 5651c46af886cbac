"""Boards of one match: the ten leaders, a player's rank, a player's neighbours, while points are awarded.

A writer hands over a hundred awards every hundredth of a second (10,000 a second), each hundred durable before the next
is begun; who cannot keep up writes as fast as it can, and the figures say how much that was. The reader rests between
two looks, as a page does that is shown now and then: without rest it would keep the interpreter from the writer.
Afterwards, in quiet, every answer is held against a plain list of all players.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from time import perf_counter_ns as now_ns
from time import sleep
from typing import Self

from bench.sample import Case, require, sample_of
from bench.subjects.protocol import Board, Line, Ranking, Subject
from bench.trials.players import DRAWS
from bench.trials.trial import Effort, Found, Trial, Turn

TICK_S, TICK_AWARDS = 0.01, 100
REST_S = 0.0005
POINTS = 10_000
CHECKED = 3
"""Players whose rank and neighbours are compared at the end."""
OPERATIONS = {"top": "top 10", "rank": "a rank", "around": "neighbours"}


class Boards(Trial):
    """Boards of one size."""

    name = "boards"
    lasting = True

    def __init__(self, players: int) -> None:
        self._players = players
        self._cases = {
            name: Case(f"{name}-{players}", f"{title} of {players:,}, being written", by_time=True)
            for name, title in OPERATIONS.items()
        }

    @property
    def cases(self) -> Sequence[Case]:
        return tuple(self._cases.values())

    def able(self, subject: type[Subject]) -> bool:
        return issubclass(subject, Ranking) and subject.SETUP in {"", "1 connection"}

    def start(self, subject: type[Subject], directory: Path, effort: Effort) -> Turn:
        if not issubclass(subject, Ranking):
            raise TypeError(f"{subject.TITLE} has no boards")
        return BoardsTurn(subject.TITLE, subject.board(directory), self._cases, self._players, effort.seconds / 2)


class BoardsTurn(Turn):
    """A board, and what it must show."""

    def __init__(self, title: str, board: Board, cases: dict[str, Case], players: int, seconds: float) -> None:
        self._title, self._board, self._cases, self._seconds = title, board, cases, seconds
        drawn = random.Random(players)
        self._points = {f"player{n:07d}": drawn.randrange(POINTS) for n in range(players)}
        self._users = list(self._points)
        board.fill(self._points)
        board.top()

    def measure(self, seed: int) -> Iterator[Found]:
        drawn = cycle(random.Random(seed).choices(self._users, k=DRAWS))
        operations: dict[str, Callable[[], object]] = {
            "top": self._board.top,
            "rank": lambda: self._board.rank(next(drawn)),
            "around": lambda: self._board.around(next(drawn)),
        }
        for name, operation in operations.items():
            with Writer(self._board, self._users, self._points, seed) as writer:
                began, latencies = now_ns(), array("Q")
                deadline = began + int(self._seconds * 1e9)
                while (sent := now_ns()) < deadline or not latencies:
                    operation()
                    latencies.append(now_ns() - sent)
                    sleep(REST_S)
                took = now_ns() - began
                beside = writer.awards / took * 1e9
            yield self._cases[name], "", sample_of([latencies], len(latencies), took, beside)

    def close(self) -> int:
        ordered = sorted(self._points.values())
        top = [points for _, points in self._board.top()]
        require(top == ordered[-10:][::-1], f"{self._title}: those are not the ten leaders")
        for user in random.Random(len(ordered)).sample(self._users, CHECKED):
            points = self._points[user]
            best, last = (len(ordered) - at(ordered, points) for at in (bisect_right, bisect_left))
            require(best < self._board.rank(user) <= last, f"{self._title}: that is not the rank of {user}")
            self._require_around(user, self._board.around(user))
        self._board.close()
        return sum(ordered)

    def _require_around(self, user: str, lines: list[Line]) -> None:
        shown = [points for _, points in lines]
        require((user, self._points[user]) in lines, f"{self._title}: {user} is not among the own neighbours")
        require(shown == sorted(shown, reverse=True), f"{self._title}: neighbours of {user} in no order")
        require(all(self._points[name] == points for name, points in lines), f"{self._title}: wrong points")


class Writer:
    """Awards points in a thread, at an even pace, and knows what was acknowledged. Raises in the end what it met."""

    def __init__(self, board: Board, users: Sequence[str], points: dict[str, int], seed: int) -> None:
        self.awards = 0
        self._board, self._users, self._points = board, users, points
        self._random, self._stop = random.Random(seed), Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="board-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        due = now_ns()
        try:
            while not self._stop.wait(max(0.0, (due - now_ns()) / 1e9)):
                due = max(due + int(TICK_S * 1e9), now_ns() - int(TICK_S * 1e9))
                users = self._random.choices(self._users, k=TICK_AWARDS)
                self._board.add(users)
                self.awards += len(users)
                for user in users:
                    self._points[user] += 1
        except Exception as error:  # noqa: BLE001 - raised where it is seen
            self._error = error
