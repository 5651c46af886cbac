"""The in-memory engine: the same rules, no disk. It can be told to fail and to conflict, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from pictact_actors.storage.check import state_problems
from pictact_actors.storage.engine import Commit, Conflict, Entry, Problem


class MemoryEngine:
    """Storage that is gone when it is closed. See `Engine` for who calls what."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, bytes] = {}
        self._entries: list[Entry] = []
        self._failures: list[Exception] = []
        self.seq = 0
        self.ts = 0.0
        self.mark = 0.0

    def fail_next(self, error: Exception) -> None:
        """Let the next commit raise `error` (a `Conflict`, `StorageFull`, `CommitFailed`)."""
        self._failures.append(error)

    def conflict_next(self, *groups: str) -> None:
        """Let the next commit conflict in these groups, as if another host had written them."""
        self.fail_next(Conflict(frozenset(groups)))

    def commit(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        """Keep a group, to be shown by `publish`."""
        if self._failures:
            raise self._failures.pop(0)
        first = len(self._entries) + 1
        self._entries.extend(
            Entry(seq, ts, commit.cause, commit.request_id, commit.changes) for seq, commit in enumerate(commits, first)
        )
        self.ts, self.mark = ts, mark
        return len(self._entries)

    def publish(self) -> None:
        """Apply what was kept since the last time."""
        with self._lock:
            for entry in self._entries[self.seq :]:
                for key, value in entry.changes.items():
                    if value is None:
                        self._records.pop(key, None)
                    else:
                        self._records[key] = value
            self.seq = len(self._entries)

    def get(self, key: str) -> bytes | None:
        """Return the encoded record under a key."""
        return self._records.get(key)

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate the records under a prefix as they are now, in key order."""
        with self._lock:
            found = [
                pair
                for pair in self._records.items()
                if pair[0].startswith(prefix) and (after is None or pair[0] > after)
            ]
        return iter(sorted(found))

    def entries(self, from_seq: int = 1) -> Iterator[Entry]:
        """Iterate the commits."""
        return iter(self._entries[from_seq - 1 :])

    def check(self) -> Iterator[Problem]:
        """Compare the records with the commits."""
        return state_problems(self.scan(""), self.entries, self.seq)

    def size_bytes(self) -> int:
        """Bytes of all records and their keys."""
        with self._lock:
            return sum(len(key) + len(value) for key, value in self._records.items())

    def close(self) -> None:
        """Nothing to bring to rest."""
