"""The embedded engine: a journal that is the truth and a LevelDB state that follows it, in one directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Self

from pictact_actors.clock import Clock
from pictact_actors.config import StoreConfig
from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.check import state_problems
from pictact_actors.storage.directory import Directory
from pictact_actors.storage.engine import Changes, Commit, Entry, Problem
from pictact_actors.storage.journal import Journal
from pictact_actors.storage.leveldb import Database
from pictact_actors.storage.state import State


class EmbeddedEngine:
    """Storage of one process, on one machine's disk. See `Engine` for who calls what."""

    def __init__(self, directory: Directory, config: StoreConfig) -> None:
        self._directory = directory
        self._journal = Journal.open(directory.journal, directory.store_id, config.journal_segment_bytes)
        self._committed: tuple[list[Changes], int] = ([], 0)
        self._replayed = 0
        try:
            self._state = State(
                lambda: Database(directory.state, config.state_buffer_bytes, config.state_cache_bytes),
                directory.store_id,
                config.state_pending_max,
                self._journal.entries,
            )
        except BaseException:
            self._journal.close()
            raise

    @classmethod
    def open(cls, path: str | os.PathLike[str], config: StoreConfig, clock: Clock, *, create: bool = True) -> Self:
        """Open a directory, creating it if need be, and bring the state forward from the journal.

        Raises `StoreLocked`, `NotAStore`, `StoreDamaged`.
        """
        directory = Directory.open(path, create=create, now=clock.now(), segment_bytes=config.journal_segment_bytes)
        try:
            engine = cls(directory, config)
            engine._recover()
        except BaseException:
            directory.release()
            raise
        return engine

    @property
    def seq(self) -> int:
        """The last published sequence number."""
        return self._state.seq

    @property
    def ts(self) -> float:
        """The time of the last commit, epoch seconds."""
        return self._journal.ts

    @property
    def mark(self) -> float:
        """The last unique time given out before the last commit."""
        return self._journal.mark

    @property
    def replayed(self) -> int:
        """Commits that the state lacked when the store was opened."""
        return self._replayed

    @property
    def torn_bytes(self) -> int:
        """Bytes of a torn last frame that were cut when the store was opened."""
        return self._journal.torn_bytes

    def commit(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        """Append a group to the journal and sync. Raises `StorageFull`, `CommitFailed`."""
        self._state.make_room()
        seq = self._journal.append(commits, ts, mark)
        self._committed = ([commit.changes for commit in commits], seq)
        return seq

    def publish(self) -> None:
        """Make the last commit group visible."""
        changes, seq = self._committed
        self._state.publish(changes, seq)

    def get(self, key: str) -> bytes | None:
        """Return the encoded record under a key."""
        return self._state.get(key)

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate the records under a prefix as they are now, in key order."""
        return self._state.scan(prefix, after)

    def entries(self, from_seq: int = 1) -> Iterator[Entry]:
        """Iterate the commits in the journal."""
        return self._journal.entries(from_seq)

    def check(self) -> Iterator[Problem]:
        """Compare the journal with its chain and the state with the journal, at this moment."""
        return state_problems(self.scan(""), self.entries, self.seq)

    def size_bytes(self) -> int:
        """Disk space of journal and state."""
        return self._journal.size_bytes() + self._state.size_bytes(self._directory.state)

    def close(self) -> None:
        """Bring the state up to date if possible, and close everything. Twice is fine."""
        try:
            self._state.close()
        finally:
            self._journal.close()
            self._directory.release()

    def _recover(self) -> None:
        try:
            self._require_journal()
            self._journal.cut_tail()
            self._replayed = self._state.catch_up()
        except BaseException:
            self._state.close()
            self._journal.close()
            raise
        self._state.start()

    def _require_journal(self) -> None:
        if self._state.applied_seq > self._journal.seq:
            raise StoreDamaged(
                f"the state holds {self._state.applied_seq} commits, but the journal has only {self._journal.seq} "
                f"up to {self._journal.end}"
            )
