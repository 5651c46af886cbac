"""Committed records decoded in memory, bounded in bytes.

Two generations of dicts stand in for a recency list: what is used moves to (or stays in) the hot one; when that is
full it becomes the cold one, and the old cold one is dropped. A hit costs one dict look-up and no bookkeeping.

Readers call `hot.get` without a lock; all changes are made under the lock of the moment (`Committed`).
"""

from __future__ import annotations

from pictact_actors.model.records import Lifetime, Record, Round

RECORD_OVERHEAD_BYTES = 480
"""What a decoded record takes beyond its encoded size: objects, dict entry, key."""
TEXT_BYTES = 128
"""What each text of a list takes beyond that."""
SMALL_BYTES = 512
"""A value whose growth from one version to the next need not be counted."""


class Cache:
    """Decoded records by key."""

    def __init__(self, bytes_max: int) -> None:
        self._generation_bytes = bytes_max // 2
        self._hot_bytes = self._cold_bytes = 0
        self.hot: dict[str, Record] = {}
        self.cold: dict[str, Record] = {}
        self._sizes: dict[str, int] = {}
        self._cold_sizes: dict[str, int] = {}
        self.misses = 0

    @property
    def size_bytes(self) -> int:
        """What its records take in memory, about."""
        return self._hot_bytes + self._cold_bytes

    def __len__(self) -> int:
        return len(self.hot) + len(self.cold)

    def put(self, key: str, record: Record, value_bytes: int) -> None:
        """Keep a record as the latest."""
        if key not in self.hot or value_bytes > SMALL_BYTES:
            taken_bytes = value_bytes + len(key) + RECORD_OVERHEAD_BYTES + TEXT_BYTES * _texts_in(record)
            self._hot_bytes += taken_bytes
            if self._hot_bytes > self._generation_bytes:
                self._turn(taken_bytes)
            if value_bytes > SMALL_BYTES:
                self._sizes[key] = value_bytes
        self.hot[key] = record

    def cold_bytes(self, key: str) -> int:
        """Return the encoded size of a record of the cold generation, 0 for a small one."""
        return self._cold_sizes.get(key, 0)

    def forget(self, key: str) -> None:
        """Drop a record."""
        self.hot.pop(key, None)
        self.cold.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self.hot, self.cold = {}, {}
        self._hot_bytes = self._cold_bytes = 0
        self._sizes, self._cold_sizes = {}, {}

    def _turn(self, first_bytes: int) -> None:
        self.cold, self.hot = self.hot, {}
        self._cold_bytes, self._hot_bytes = self._hot_bytes - first_bytes, first_bytes
        self._cold_sizes, self._sizes = self._sizes, {}


def _texts_in(record: Record) -> int:
    match record:
        case Lifetime():
            return len(record.trophies)
        case Round():
            return len(record.reference_images)
    return 0
