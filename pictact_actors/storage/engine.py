"""The one seam under the committer: everything the runtime asks of storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pictact_actors.storage.usage import Usage

if TYPE_CHECKING:
    from pictact_actors.storage.archive import Archive
    from pictact_actors.storage.backup.snapshot import Snapshot
    from pictact_actors.storage.recovery.aside import Recovery

Changes = Mapping[str, bytes | None]
"""What a commit does: encoded record by key, `None` deletes."""
FOLDED = "folded"
"""The cause of an entry that stands for many commits."""


class Commit(Protocol):
    """One atomic step, as the runtime hands it over."""

    @property
    def cause(self) -> str:
        """The command that led to it."""
        ...

    @property
    def request_id(self) -> str | None:
        """The caller's request id."""
        ...

    @property
    def changes(self) -> Changes:
        """What it writes."""
        ...


class Entry(NamedTuple):
    """One commit as the journal has it. `ts` is epoch seconds, `seq` its place in the commit order (from 1)."""

    seq: int
    ts: float
    cause: str
    request_id: str | None
    changes: Changes


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that `check()` found: what kind, about which key or place, and the details."""

    kind: str
    key: str
    detail: str

    def to_dict(self) -> dict[str, object]:
        """All fields, plain."""
        return {"kind": self.kind, "key": self.key, "detail": self.detail}


class Conflict(Exception):
    """Another host wrote some groups first: nothing of this commit group was applied."""

    def __init__(self, groups: frozenset[str]) -> None:
        super().__init__(f"{len(groups)} groups were written by another host")
        self.groups = groups


class Bookmark(Protocol):
    """A place between two commits, from which one thread at a time reads on. It holds nothing open."""

    def read(self, count: int) -> Sequence[Entry]:
        """Return the published commits that follow, `count` or somewhat more; none if there are none yet.

        Raises `EntriesGone` if the next one is not kept any more, `StoreDamaged`.
        """
        ...


class Engine(Protocol):
    """Durable storage of ordered commits, and the records they lead to.

    One thread (the committer) calls `commit`, `publish` and `roll`; any thread calls the rest. What was committed
    becomes visible to `get` and `scan` with `publish`, so that the runtime decides when readers see it.
    """

    @property
    def seq(self) -> int:
        """The last published sequence number."""
        ...

    @property
    def ts(self) -> float:
        """The time of the last commit, epoch seconds."""
        ...

    @property
    def mark(self) -> float:
        """The last unique time given out before the last commit (see `StoreClock.unique`)."""
        ...

    @property
    def archive(self) -> Archive | None:
        """Where details go that are not kept any more; None if there is no such place."""
        ...

    def commit(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        """Make a commit group durable with one sync and return the sequence number of its last commit.

        Raises `StorageFull` (nothing was written), `CommitFailed` (unknown, terminal) or `Conflict`.
        """
        ...

    def publish(self) -> None:
        """Make the last commit group visible to `get` and `scan`."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return the encoded record under a key."""
        ...

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate the records whose keys begin with `prefix`, in key order, as they are at this moment.

        Starts behind `after` if given. The moment is that of the call, however long the iteration takes.
        """
        ...

    def rank(self, prefix: str, key: str) -> int:
        """Return how many keys under a counted prefix (`keys.COUNTED`) come before `key`, which begins with it.

        Counted keys have empty values, are written only when they are not there, and deleted only when they are.
        """
        ...

    def page(self, prefix: str, position: int, limit: int) -> Iterator[str]:
        """Iterate up to `limit` keys under a counted prefix in key order, from a position on; 0 is that of the first.

        The moment is that of the call, as for `scan`.
        """
        ...

    def entries(self, from_seq: int | None = None) -> Iterator[Entry]:
        """Iterate the commits from `from_seq`, or the oldest one kept, to the last one at the time of the call.

        Raises `EntriesGone` if `from_seq` is not kept any more.
        """
        ...

    def folded(self) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the last commit that is folded (0: none), and all records right after it, in key order.

        As long as the iterator lives, nothing of those and the commits behind them is given up.
        """
        ...

    @property
    def recoveries(self) -> Sequence[Recovery]:
        """Damages that were healed when the store was opened, now or before; oldest first, the last hundred."""
        ...

    def bookmark(self, from_seq: int) -> Bookmark:
        """Return the place before a commit, which may be the next one. Raises `EntriesGone` if it is not kept."""
        ...

    def capture(self) -> Snapshot:
        """Pin this moment, to be copied while others go on. Raises `InvalidValue` if there are no files to copy."""
        ...

    def check(self) -> Iterator[Problem]:
        """Compare what is stored with itself: the journal with its own chain, and the state with base and journal."""
        ...

    def scrub(self, pace: Callable[[int], None]) -> Iterator[Problem]:
        """Read everything once while the store goes on, and yield what is wrong; `pace` is told of all bytes read.

        It comes back when more may be read, or raises. Raises `EntriesGone` when that is slower than what is given up.
        """
        ...

    def suspect(self, found: str) -> None:
        """Be told that something which is not read every day did not read; it is looked at with the next `reclaim`."""
        ...

    @property
    def suspected(self) -> bool:
        """Whether that is due, and `reclaim` needs a `roll` first."""
        ...

    # -- room

    def usage(self) -> Usage:
        """Measure disk (or memory) space in use."""
        ...

    def size_bytes(self) -> int:
        """Return the space in use as `usage` found it last, and what was written since. Cheap."""
        ...

    def room_bytes(self) -> float:
        """Return the room that there is for more, on the disk and below the limit of the store, in bytes."""
        ...

    @property
    def starved(self) -> str | None:
        """Why what was committed cannot be brought to where it is read, while that is so."""
        ...

    def roll(self) -> None:
        """Let `reclaim` give back what the latest commits replaced too. Raises `StorageFull`, `CommitFailed`."""
        ...

    def reclaim(self, *, urgent: bool) -> Iterator[None]:
        """Give back space in small steps, as long as the caller goes on; `urgent`: all that can be given back.

        One thread's. Raises `StorageFull` or `OSError` when that needs more room than there is, `StoreDamaged`.
        """
        ...

    def take_ballast(self) -> None:
        """Hold some of the room, for what has to be done when there is none any more."""
        ...

    def drop_ballast(self) -> int:
        """Give that room up; return how much it was, in bytes."""
        ...

    def close(self) -> None:
        """Bring everything to rest and give it up. Twice is fine."""
        ...
