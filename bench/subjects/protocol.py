"""What a subject must do, and what it may be able to do as well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

Draw = tuple[str, str]
"""Whom to award a point: a post and a user."""


class Subject(Protocol):
    """A store of points in a directory of its own, called from many threads.

    It may also have `submit` (then it is `Pipelining`) and `top(post, user)`, the ten leaders of the post.
    """

    NAME: ClassVar[str]
    TITLE: ClassVar[str]
    SETUP: ClassVar[str]
    """How it is set up, where a title has several ways and the better one counts."""

    def __init__(self, directory: Path) -> None: ...

    def create(self, posts: Sequence[str]) -> None:
        """Make the matches."""

    def award(self, post: str, user: str) -> None:
        """Add one point; return only when it would survive a power cut."""

    def score(self, post: str, user: str) -> object:
        """Read the points of a player."""

    def close(self) -> None: ...

    @staticmethod
    def stored_points(directory: Path) -> int:
        """Open what was closed and add up all points."""


class Waitable(Protocol):
    """An award on its way."""

    def get(self) -> object:
        """Return when it would survive a power cut."""


@runtime_checkable
class Pipelining(Subject, Protocol):
    """A subject that takes many awards before the first is acknowledged."""

    def submit(self, awards: Sequence[Draw]) -> Sequence[Waitable]:
        """Hand over one point for each; each is acknowledged by its own reply."""
