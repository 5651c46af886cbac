"""Who holds locks in the shards, over several steps: a crossing, or a caller's transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING

from pictact_actors.runtime.messages import Release

if TYPE_CHECKING:
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.reply import Call
    from pictact_actors.runtime.shard import ShardActor

_NUMBERS = count(1)


class Holder(ABC):
    """Holds locks until its work is committed or given up. `number` says who began later.

    `epochs` says which incarnation of each shard it relied on: the committer refuses its work if one has changed
    since. A holder that is `over` gets no further lock, and nothing of it is committed any more.
    """

    gives_way = False
    """Whether it may be aborted to break a deadlock."""

    def __init__(self) -> None:
        self.number = next(_NUMBERS)
        self.over = False
        self.mark = 0.0
        self.epochs: dict[ShardLink, int] = {}
        self.visited: set[ShardLink] = set()

    @property
    @abstractmethod
    def home(self) -> ShardLink:
        """The shard whose gate it came through."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What people call it."""

    @property
    @abstractmethod
    def changes(self) -> Mapping[str, bytes | None]:
        """What it writes."""

    @abstractmethod
    def asking(self, link: ShardLink) -> Call | None:
        """Return the message of its own that a shard has to answer, if there is one."""

    @abstractmethod
    def groups_held(self) -> list[str]:
        """Return the groups it holds now, for people."""

    @abstractmethod
    def enter(self, shard: ShardActor) -> None:
        """Go on in a shard where it has all its locks now, in that shard's thread."""

    @abstractmethod
    def refused(self) -> Exception | None:
        """Go on after the committer refused its work: return what its caller gets, or None if it tries again."""

    @abstractmethod
    def gave_up(self, shard: ShardActor) -> None:
        """End a wait for locks in a shard, in that shard's thread."""

    def abort(self, error: Exception) -> None:
        """Give way, for this reason. Only called if it `gives_way`."""
        raise NotImplementedError from error

    def rely_on(self, link: ShardLink, epoch: int) -> None:
        """Note that it holds locks in a shard of this epoch; the oldest counts."""
        self.visited.add(link)
        self.epochs.setdefault(link, epoch)

    def is_current(self) -> bool:
        """Whether everything it relied on still stands."""
        return not self.over and all(link.epoch == epoch for link, epoch in tuple(self.epochs.items()))

    def release(self) -> None:
        """Unlock everything, everywhere: it is over."""
        self.over = True
        for link in tuple(self.visited):
            link.tell(Release(self))
