"""What a shard has decided and the committer has not published yet, above the committed records.

Two generations stand in for taking records out one by one: when all of the older one is published it is dropped, and
the newer takes its place. So a record may stay for a while after it was published, as long as nobody but the shard
itself writes it; what a crossing wrote is purged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pictact_actors.model.records import Record


class Absent:
    """The type of `ABSENT`."""


ABSENT: Final = Absent()
"""Not decided here (`None` is a record that was deleted)."""


class Overlay:
    """Decided records by key. The shard's own thread only.

    The shard looks into `newer`, then `older`; `until` is the number of the batch that what is added now goes with.
    """

    def __init__(self) -> None:
        self.newer: dict[str, Record | None] = {}
        self.older: dict[str, Record | None] = {}
        self.until = 0
        self._older_until = 0

    def __bool__(self) -> bool:
        return bool(self.newer or self.older)

    def all(self) -> dict[str, Record | None]:
        """Return everything decided."""
        return {**self.older, **self.newer}

    def forget(self, published: int) -> None:
        """Drop what is published, once all of a generation is."""
        if published >= self.until:
            self.clear()
        elif published >= self._older_until and self.newer:
            self.older, self.newer = self.newer, {}
            self._older_until = self.until

    def purge(self, keys: Iterable[str]) -> None:
        """Drop what somebody else has written since."""
        for key in keys:
            self.newer.pop(key, None)
            self.older.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self.newer.clear()
        self.older.clear()
