"""Counts of what happens rarely, by name."""

from __future__ import annotations

import threading
from collections import Counter


class Tally:
    """Counters that any thread adds to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        """Add to counters."""
        with self._lock:
            self._counts.update(counts)

    def __getitem__(self, name: str) -> int:
        return self._counts[name]
