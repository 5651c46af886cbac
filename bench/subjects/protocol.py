"""What a subject must do, and what it may be able to do as well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, Self, runtime_checkable

Draw = tuple[str, str]
"""Whom to award a point: a post and a user."""
AwardTask = Callable[[str, str], Awaitable[object]]
Line = tuple[str, int]
"""A line of a board: a user and the points."""


class Stored(NamedTuple):
    """What is found on disk: how many records, and the points in all of them together."""

    records: int
    points: int


class Subject(Protocol):
    """A store of points in a directory of its own, called from many threads.

    What it can do beyond this it says by being `Pipelining`, `Batching`, `Tasking`, `Keeping`, `Completing` or
    `Ranking`; `LACKS` tells the reader why it is absent from a trial.
    """

    NAME: ClassVar[str]
    TITLE: ClassVar[str]
    SETUP: ClassVar[str]
    """How it is set up, where a title has several ways and the better one counts."""
    LACKS: ClassVar[Mapping[str, str]]
    """Why it is not in a trial, by the trial's name."""

    def __init__(self, directory: Path) -> None: ...

    def create(self, posts: Sequence[str]) -> None:
        """Make the matches."""

    def load(self, post: str, scores: Mapping[str, int]) -> None:
        """Put in new players with their points, in large steps; return when they would survive a power cut."""

    def award(self, post: str, user: str) -> None:
        """Add one point; return only when it would survive a power cut."""

    def score(self, post: str, user: str) -> object:
        """Read the points of a player."""

    def close(self) -> None: ...

    @staticmethod
    def stored(directory: Path) -> Stored:
        """Open what was closed and count all scores."""


class Waitable(Protocol):
    """An award on its way."""

    def get(self) -> object:
        """Return when it would survive a power cut."""


@runtime_checkable
class Pipelining(Protocol):
    """A subject that takes many awards before the first is acknowledged."""

    def submit(self, awards: Sequence[Draw]) -> Sequence[Waitable]:
        """Hand over one point for each; each is acknowledged by its own reply."""


@runtime_checkable
class Batching(Protocol):
    """A subject that takes many awards as one transaction: all of them or none."""

    def batch(self, awards: Sequence[Draw]) -> None:
        """Add one point for each; return when all would survive a power cut."""


@runtime_checkable
class Tasking(Protocol):
    """A subject with an asyncio face of its own."""

    @staticmethod
    def tasks(directory: Path, posts: Sequence[str], load: Mapping[str, int]) -> AbstractAsyncContextManager[AwardTask]:
        """Open in the running loop, with these matches and in each these players, and give what awards a point."""


@runtime_checkable
class Uncached(Protocol):
    """A subject that can be told to keep no records in memory."""

    @classmethod
    def without_cache(cls, directory: Path) -> Self: ...


class Keeping(Protocol):
    """A subject whose records can be written blindly and, unless it `LACKS` that, read as ranges of keys."""

    def put(self, post: str, user: str) -> None:
        """Write a record of one point, new or not; return only when it would survive a power cut."""

    def scan(self, post: str, user: str, limit: int) -> int:
        """Read up to `limit` records of a post in the order of their keys, from a user on. Return how many."""


@runtime_checkable
class Completing(Protocol):
    """A subject that completes a match in one atomic, durable step."""

    def complete(self, post: str) -> None:
        """Close the match; add to every participant's lifetime and write a line of history with the rank."""

    @staticmethod
    def lifetimes(directory: Path) -> Stored:
        """Open what was closed and count all lifetimes, with the points they have gathered."""


class Board(Protocol):
    """One match's players in order, while points are awarded. Opened in a directory of its own."""

    def __init__(self, directory: Path) -> None: ...

    def fill(self, scores: Mapping[str, int]) -> None:
        """Put in all players."""

    def add(self, users: Sequence[str]) -> None:
        """Award one point to each; return when all would survive a power cut."""

    def top(self) -> list[Line]:
        """Return the ten leaders."""

    def rank(self, user: str) -> int:
        """Return a player's rank, 1 for the leader."""

    def around(self, user: str) -> list[Line]:
        """Return a player's line with two on either side."""

    def close(self) -> None: ...


@runtime_checkable
class Ranking(Protocol):
    """A subject that keeps boards in order."""

    @staticmethod
    def board(directory: Path) -> Board:
        """Open a board."""
