"""The one seam under the committer: everything the runtime asks of storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Changes = Mapping[str, bytes | None]
"""What a commit does: encoded record by key, `None` deletes."""


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


class Engine(Protocol):
    """Durable storage of ordered commits, and the records they lead to.

    One thread (the committer) calls `commit` and `publish`; any thread calls the rest. What was committed becomes
    visible to `get` and `scan` with `publish`, so that the runtime decides when readers see it.
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

    def entries(self, from_seq: int = 1) -> Iterator[Entry]:
        """Iterate the commits from `from_seq` to the last one at the time of the call."""
        ...

    def check(self) -> Iterator[Problem]:
        """Compare what is stored with itself: the journal with its own chain, and the state with the journal."""
        ...

    def size_bytes(self) -> int:
        """Disk (or memory) space in use."""
        ...

    def close(self) -> None:
        """Bring everything to rest and give it up. Twice is fine."""
        ...
