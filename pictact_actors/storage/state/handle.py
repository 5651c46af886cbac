"""A handle of LevelDB as the state uses it: the open database, what it says of itself, and the counts of its keys.

They belong together: when the database is opened anew, all three are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

from pictact_actors.storage.engine import Entry
from pictact_actors.storage.state.counted import PAIRS, Counted, loaded
from pictact_actors.storage.state.leveldb import Database
from pictact_actors.storage.state.trail import Trail

Replay = Callable[[int], Iterable[Entry]]
"""Gives the journal's entries from a sequence number on."""


class Handle(NamedTuple):
    """What was opened."""

    database: Database
    trail: Trail
    counted: Counted

    @classmethod
    def open(cls, open_database: Callable[[], Database], store_id: bytes) -> Self:
        """Open a database and read what it says of itself. Raises `StoreDamaged`, `StorageFull`; it is closed then."""
        database = open_database()
        try:
            return cls(database, Trail(database, store_id), loaded(database, database.cursor(PAIRS)))
        except BaseException:
            database.close()
            raise

    def lacking(self, replay: Replay, published: int) -> dict[str, bytes | None]:
        """Return what commits up to `published` wrote, and count it; the others are durable, but not for readers yet.

        The handle is closed if they cannot be read.
        """
        lacking: dict[str, bytes | None] = {}
        try:
            for entry in replay(self.trail.seq + 1):
                if entry.seq > published:
                    break
                lacking.update(entry.changes)
                self.counted.take(entry)
        except BaseException:
            self.database.close()
            raise
        return lacking
