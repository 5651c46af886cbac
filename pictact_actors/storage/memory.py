"""The in-memory engine: the same rules, no disk. It can be told to fail and to conflict, for tests."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from itertools import takewhile

from pictact_actors.config import MIB
from pictact_actors.errors import EntriesGone, InvalidValue
from pictact_actors.ordered import SortedDict
from pictact_actors.storage.backup.snapshot import Snapshot
from pictact_actors.storage.check import state_problems
from pictact_actors.storage.engine import Commit, Conflict, Entry, Problem
from pictact_actors.storage.recovery.aside import Recovery
from pictact_actors.storage.usage import Usage


class MemoryEngine:
    """Storage that is gone when it is closed. See `Engine` for who calls what."""

    def __init__(self, journal_bytes_max: int = 64 * MIB, storage_bytes_max: int | None = None) -> None:
        self._storage_bytes_max = math.inf if storage_bytes_max is None else storage_bytes_max
        self._journal_bytes_max = journal_bytes_max
        self._lock = threading.Lock()
        self._records: SortedDict[str, bytes] = SortedDict()
        self._records_bytes = 0
        self._entries: deque[Entry] = deque()
        self._entries_bytes = 0
        self._base: dict[str, bytes] = {}
        self._base_seq = 0
        self._last_seq = 0
        self._committed: list[Entry] = []
        self.starved = None
        self._failures: list[Exception] = []
        self.archive = None
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
        entries = [
            Entry(seq, ts, commit.cause, commit.request_id, commit.changes)
            for seq, commit in enumerate(commits, self._last_seq + 1)
        ]
        with self._lock:
            self._entries.extend(entries)
            self._entries_bytes += sum(map(_size_of, entries))
        self.ts, self.mark = ts, mark
        self._last_seq += len(commits)
        self._committed += entries
        return self._last_seq

    def publish(self) -> None:
        """Apply what was kept since the last time."""
        committed, self._committed = self._committed, []
        with self._lock:
            for entry in committed:
                self._records_bytes += _apply(entry, self._records)
            self.seq = self._last_seq

    def get(self, key: str) -> bytes | None:
        """Return the encoded record under a key."""
        return self._records.get(key)

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate the records under a prefix as they are now, in key order."""
        with self._lock:
            listed = self._records.irange(prefix) if after is None else self._records.irange(max(prefix, after))
            found = [(key, self._records[key]) for key in takewhile(lambda key: key.startswith(prefix), listed)]
        if found and found[0][0] == after:
            del found[0]
        return iter(found)

    def rank(self, prefix: str, key: str) -> int:
        """Return how many keys under a prefix come before `key`."""
        with self._lock:
            return self._records.bisect_left(key) - self._records.bisect_left(prefix)

    def page(self, prefix: str, position: int, limit: int) -> Iterator[str]:
        """Iterate up to `limit` keys under a prefix as they are now, in key order, from a position on."""
        with self._lock:
            first = self._records.bisect_left(prefix) + position
            listed = self._records.islice(first, first + limit)
            return iter(list(takewhile(lambda key: key.startswith(prefix), listed)))

    def entries(self, from_seq: int | None = None) -> Iterator[Entry]:
        """Iterate the commits. Raises `EntriesGone` for those that are not kept one by one any more."""
        with self._lock:
            kept, base_seq = list(self._entries), self._base_seq
        if from_seq is not None and from_seq <= base_seq:
            raise EntriesGone(from_seq, base_seq + 1)
        return iter(kept if from_seq is None else kept[from_seq - base_seq - 1 :])

    def folded(self) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the last commit that is not kept any more, and all records right after it."""
        with self._lock:
            return self._base_seq, iter(sorted(self._base.items()))

    @property
    def recoveries(self) -> tuple[Recovery, ...]:
        """None: what has no disk has no damage."""
        return ()

    def bookmark(self, from_seq: int) -> MemoryBookmark:
        """Return the place before a commit. Raises `EntriesGone`."""
        self.listed(from_seq, 0)
        return MemoryBookmark(self, from_seq)

    def listed(self, from_seq: int, count: int) -> list[Entry]:
        """Return up to `count` published commits from a number on. Raises `EntriesGone`."""
        with self._lock:
            if from_seq <= self._base_seq:
                raise EntriesGone(from_seq, self._base_seq + 1)
            start = from_seq - self._base_seq - 1
            return [self._entries[place] for place in range(start, min(start + count, self.seq - self._base_seq))]

    def capture(self) -> Snapshot:
        """Refuse: it has no files."""
        raise InvalidValue("path", ":memory:", "has no files to back up: open the store in a directory, or export it")

    def check(self) -> Iterator[Problem]:
        """Compare the records with the commits."""
        with self._lock:
            base, base_seq, entries = dict(self._base), self._base_seq, list(self._entries)
            stored, seq = dict(self._records), self.seq
        pairs = ((key, stored[key]) for key in sorted(stored))
        return state_problems(pairs, lambda: iter(entries), seq, ((key, base[key]) for key in sorted(base)), base_seq)

    @property
    def suspected(self) -> bool:
        """Nothing is: memory is not read again."""
        return False

    def suspect(self, found: str) -> None:
        """Look at nothing."""

    def scrub(self, pace: Callable[[int], None]) -> Iterator[Problem]:  # noqa: ARG002 - memory is not read again
        """Nothing that lies in memory is read again."""
        return iter(())

    def usage(self) -> Usage:
        """Bytes of records and commits, and their keys."""
        return Usage(journal_bytes=self._entries_bytes, state_bytes=self._records_bytes, base_seq=self._base_seq)

    def size_bytes(self) -> int:
        """All of them."""
        return self._entries_bytes + self._records_bytes

    def room_bytes(self) -> float:
        """Return what the limit has left."""
        return self._storage_bytes_max - self.size_bytes()

    def roll(self) -> None:
        """Do nothing: every commit can be given back."""

    def reclaim(self, *, urgent: bool) -> Iterator[None]:
        """Keep only what the oldest commits led to."""
        keep_bytes = 0 if urgent else self._journal_bytes_max // 2
        if not urgent and self._entries_bytes <= self._journal_bytes_max:
            return
        while self._entries_bytes > keep_bytes:
            with self._lock:
                if not self._entries or self._entries[0].seq > self.seq:
                    return
                entry = self._entries.popleft()
                self._entries_bytes -= _size_of(entry)
                _apply(entry, self._base)
                self._base_seq = entry.seq
            yield

    def take_ballast(self) -> None:
        """Hold nothing: there is no disk."""

    def drop_ballast(self) -> int:
        """Give up nothing."""
        return 0

    def close(self) -> None:
        """Nothing to bring to rest."""


class MemoryBookmark:
    """A place between two commits."""

    def __init__(self, engine: MemoryEngine, from_seq: int) -> None:
        self._engine = engine
        self._next_seq = from_seq

    def read(self, count: int) -> list[Entry]:
        """Return the published commits that follow, up to `count`. Raises `EntriesGone`."""
        found = self._engine.listed(self._next_seq, count)
        self._next_seq += len(found)
        return found


def _size_of(entry: Entry) -> int:
    return sum(len(key) + len(value or b"") for key, value in entry.changes.items())


def _apply(entry: Entry, records: MutableMapping[str, bytes]) -> int:
    """Do what a commit does; return by how many bytes the records grew."""
    grown = 0
    for key, value in entry.changes.items():
        old = records.get(key)
        grown -= 0 if old is None else len(key) + len(old)
        if value is not None:
            records[key] = value
            grown += len(key) + len(value)
        elif old is not None:
            del records[key]
    return grown
