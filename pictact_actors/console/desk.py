"""What the command line asks of a store, whoever has it open.

    Desk = StoreDesk    a store in this process (`counter.py`)
         | RemoteDesk   the store of another process, through its console (`remote.py`)

All answers are plain: maps with the camelCase names of the contract, made by the same code on both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")
Fields = Mapping[str, object]
"""A record, a standing, a problem: whatever has camelCase fields."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the journal: the records it wrote by key, and those that they replaced as far as that is known.

    None stands for no record: it was deleted, or there was none. Internal records are left out.
    """

    seq: int
    ts: float
    cause: str
    request_id: str | None
    records: Mapping[str, Fields | None]
    old: Mapping[str, Fields | None]

    def to_dict(self) -> dict[str, object]:
        """Return everything, for JSON."""
        return {
            "seq": self.seq,
            "ts": self.ts,
            "cause": self.cause,
            "requestId": self.request_id,
            "keys": list(self.records),
            "changes": self.records,
            "old": self.old,
        }


class Pace(Protocol):
    """Hands items on, one by one, at the pace of whoever takes them."""

    def __call__(self, items: Iterable[T], /) -> Iterator[T]:
        """Yield the items."""
        ...


class Desk(Protocol):
    """Answers each command of the command line. Every method raises what `Store` raises, an iterator as it is read."""

    def get(self, key: str) -> Fields:
        """Return a record."""
        ...

    def leaderboard(self, post_id: str | None, by: str | None, limit: int, offset: int) -> Sequence[Fields]:
        """Return a page of a match's board; without a match, of all players by one of their totals."""
        ...

    def player(self, user: str) -> Fields:
        """Return `lifetime` and `matches` of a player."""
        ...

    def log(self, from_seq: int | None, key: str | None, user: str | None) -> Iterator[Commit]:
        """Yield the commits that are kept, from one on; all, or those that wrote a key or a record of a player."""
        ...

    def stats(self) -> Fields:
        """Return the figures of the store."""
        ...

    def check(self) -> Sequence[Fields]:
        """Return what does not fit together."""
        ...

    def backup(self, directory: str | None) -> Fields:
        """Take a backup, and return what it is."""
        ...

    def cleanup(self) -> Fields:
        """Remove what is due, and return what that was."""
        ...

    def audit(self, since: float | None, limit: int | None) -> Iterator[Fields]:
        """Yield what was removed, from a time on (epoch s)."""
        ...
