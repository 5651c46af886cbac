"""What the janitor asks of the actors: messages that remove what is due, a bounded number of records each.

They are the store's own, so there is nothing in them to check. What they do is in `removal.py`.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Self

from pictact_actors.model import keys
from pictact_actors.model.commands import Command, PostCommand, UserCommand
from pictact_actors.model.frozen import frozen
from pictact_actors.model.records import Observation


class Sweep(NamedTuple):
    """A cleanup as the audit names it: when it began (epoch s), in which shard, and why; `archive` is a file's name.

    A shard counts what it removes in one entry of its own, in the same commit: no two actors write the same entry.
    """

    time: float
    shard: int
    reason: str
    archive: str = ""

    @property
    def owner(self) -> str:
        """Whose entry it is: the shard's, one for each file."""
        return f"{self.archive}/{self.shard}" if self.archive else str(self.shard)


@frozen
class Expire(PostCommand):
    """Remove up to `limit` records of a match that is due, those behind the key `after`."""

    NAME: ClassVar[str] = "expire"
    post_id: str
    limit: int
    after: str = ""
    request_id: str | None = None

    def checked(self) -> Self:
        """Return itself."""
        return self


@frozen
class Forget(UserCommand):
    """Remove up to `limit` of a user's answered requests that are old enough, found under an hour (epoch s)."""

    NAME: ClassVar[str] = "forget_requests"
    user: str
    hour: float
    limit: int
    sweep: Sweep
    request_id: str | None = None

    def checked(self) -> Self:
        """Return itself."""
        return self


@frozen
class Discard(PostCommand):
    """Remove details of a post's analytics that are in the archive, or that nobody wants to keep.

    `details` are what was read of them: a record that is another one by now stays.
    """

    NAME: ClassVar[str] = "discard_details"
    post_id: str
    details: tuple[Observation, ...]
    sweep: Sweep
    request_id: str | None = None

    def checked(self) -> Self:
        """Return itself."""
        return self


@frozen
class Strike(Command):
    """Remove an entry of the audit (its key) if nothing was added to it after `until` (epoch s)."""

    NAME: ClassVar[str] = "forget_audit"
    key: str
    until: float
    request_id: str | None = None

    @property
    def group(self) -> str:
        """The group of the entry."""
        return keys.parse(self.key).group

    def checked(self) -> Self:
        """Return itself."""
        return self
