"""The embedded engine: base and journal, which are the truth, and a LevelDB state that follows, in one directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

from pictact_actors.clock import Clock
from pictact_actors.config import StoreConfig
from pictact_actors.errors import StorageFull, StoreDamaged
from pictact_actors.storage import rebuilding
from pictact_actors.storage.archive import Archive
from pictact_actors.storage.ballast import Ballast
from pictact_actors.storage.base import Base, Pin
from pictact_actors.storage.check import Recount, state_problems
from pictact_actors.storage.directory import Directory
from pictact_actors.storage.engine import Changes, Commit, Entry, Problem
from pictact_actors.storage.folding import FLOOR_PARTS, Folding
from pictact_actors.storage.journal import Journal
from pictact_actors.storage.leveldb import Database
from pictact_actors.storage.state import State
from pictact_actors.storage.usage import Usage, free_bytes, size_of


class EmbeddedEngine:
    """Storage of one process, on one machine's disk. See `Engine` for who calls what."""

    def __init__(self, directory: Directory, config: StoreConfig) -> None:
        self._directory = directory
        self._config = config
        self.archive = Archive(directory.archive)
        self._base = Base(directory.base, directory.store_id)
        self._ballast = Ballast(directory.path, config.ballast_bytes)
        self._journal = Journal.open(directory.journal, directory.store_id, config.segment_bytes)
        self._committed: tuple[list[Changes], int, int] = ([], 0, 0)
        self._measured: tuple[int, int] = (0, 0)
        self._replayed = 0
        try:
            self._base.require_journal(self._journal)
            rebuilding.settle(directory.state)
            self._state = self._open_state(directory.state)
        except BaseException:
            self._journal.close()
            raise

    @classmethod
    def open(cls, path: str | os.PathLike[str], config: StoreConfig, clock: Clock, *, create: bool = True) -> Self:
        """Open a directory, creating it if need be, and bring the state forward from base and journal.

        Raises `StoreLocked`, `NotAStore`, `StoreDamaged`, and `StorageFull` if even the ballast is too little room.
        """
        directory = Directory.open(path, create=create, now=clock.now(), segment_bytes=config.segment_bytes)
        try:
            try:
                return cls._recovered(directory, config)
            except StorageFull:
                if not Ballast(directory.path, config.ballast_bytes).drop():
                    raise
            return cls._recovered(directory, config)
        except BaseException:
            directory.release()
            raise

    @classmethod
    def _recovered(cls, directory: Directory, config: StoreConfig) -> Self:
        engine = cls(directory, config)
        engine._recover()
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
        written = self._journal.written_bytes()
        seq = self._journal.append(commits, ts, mark)
        self._committed = ([commit.changes for commit in commits], seq, self._journal.written_bytes() - written)
        return seq

    def publish(self) -> None:
        """Make the last commit group visible."""
        self._state.publish(*self._committed)

    def get(self, key: str) -> bytes | None:
        """Return the encoded record under a key."""
        return self._state.get(key)

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate the records under a prefix as they are now, in key order."""
        return self._state.scan(prefix, after)

    def rank(self, prefix: str, key: str) -> int:
        """Return how many keys under a counted prefix come before `key`."""
        return self._state.rank(prefix, key)

    def page(self, prefix: str, position: int, limit: int) -> Iterator[str]:
        """Iterate up to `limit` keys under a counted prefix as they are now, in key order, from a position on."""
        return self._state.page(prefix, position, limit)

    def entries(self, from_seq: int | None = None) -> Iterator[Entry]:
        """Iterate the commits in the journal. Raises `EntriesGone` for those that are only in the base."""
        return self._journal.entries(from_seq)

    def check(self) -> Iterator[Problem]:
        """Compare base and journal with their chains and the state with both, at this moment; read the archive."""
        pin, stack = self._base.pin(), self._base.stack
        recount = Recount(self._state.chunks())
        stored = recount.along(self.scan(""))
        problems = state_problems(
            stored, lambda: self._journal.entries(stack.seq + 1), self.seq, stack.pairs(), stack.seq
        )
        return chain(_holding(pin, problems), recount.problems(), self.archive.check())

    def usage(self) -> Usage:
        """Measure disk space in use."""
        written = self._journal.written_bytes()
        usage = Usage(
            journal_bytes=self._journal.size_bytes(),
            state_bytes=size_of(self._directory.state),
            base_bytes=self._base.size_bytes(),
            archive_bytes=size_of(self._directory.archive),
            ballast_bytes=self._ballast.size_bytes,
            base_seq=self._base.seq,
        )
        self._measured = (usage.state_bytes + usage.archive_bytes, written)
        return usage

    def size_bytes(self) -> int:
        """Disk space in use: journal and base are counted; the rest as measured last, and what may have come to it."""
        measured, written_then = self._measured
        grown = self._journal.written_bytes() - written_then
        counted = self._journal.size_bytes() + self._base.size_bytes() + self._ballast.size_bytes
        return counted + measured + grown

    def room_bytes(self) -> float:
        """Return what the disk, and the limit of the store, have left."""
        free, limit = free_bytes(self._directory.path), self._config.storage_bytes_max
        return free if limit is None else min(free, limit - self.size_bytes())

    @property
    def starved(self) -> str | None:
        """Why the state cannot be written, while that is so."""
        return self._state.failure

    def roll(self) -> None:
        """Let all that is committed be given back by `reclaim`. Raises `StorageFull`, `CommitFailed`."""
        self._journal.roll()

    def reclaim(self, *, urgent: bool) -> Iterator[None]:
        """Fold the journal into the base, remove what that replaces, compact the state. See `folding.py`."""
        return self._folding.reclaim(urgent=urgent)

    def take_ballast(self) -> None:
        """Hold room for cleanup on a full disk."""
        self._ballast.take(self.room_bytes(), self.size_bytes() - self._ballast.size_bytes)

    def drop_ballast(self) -> int:
        """Give it up; return how much it was, in bytes."""
        return self._ballast.drop()

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
            if not self._can_follow(self._state.applied_seq):
                self._state.close()
                self._rebuild_state()
                self._state = self._open_state(self._directory.state)
            self._replayed = self._state.catch_up()
            self.usage()
        except BaseException:
            self._state.close()
            self._journal.close()
            raise
        self._folding = Folding(
            self._journal, self._base, self._state, self._directory.state, self.room_bytes, self._config
        )
        self._state.start()

    def _require_journal(self) -> None:
        for seq, holder in ((self._state.applied_seq, "state"), (self._base.seq, "base")):
            if seq > self._journal.seq:
                raise StoreDamaged(
                    f"the {holder} holds {seq} commits, but the journal has only {self._journal.seq} "
                    f"up to {self._journal.end}"
                )

    def _open_state(self, path: Path) -> State:
        config = self._config
        return State(
            lambda: Database(path, config.buffer_bytes, config.state_cache_bytes),
            self._directory.store_id,
            config.state_pending_max,
            self._since,
            lambda: self.room_bytes() - FLOOR_PARTS * config.segment_bytes,
        )

    def _rebuild_state(self) -> None:
        """Build the state anew; in the room of the old one if there is hardly any other."""
        needed = 2 * self._base.stack.parts_bytes + self._config.ballast_bytes
        in_place = free_bytes(self._directory.path) < needed
        rebuilding.rebuild(self._directory.state, self._open_state, in_place=in_place)

    def _can_follow(self, seq: int) -> bool:
        """Whether a state that holds the commits up to `seq` can be brought forward."""
        return seq + 1 >= self._journal.first_seq or self._base.stack.reaches(seq)

    def _since(self, from_seq: int) -> Iterator[Entry]:
        """Iterate what brings a state forward: commits if they are kept, else what they led to."""
        pin, stack = self._base.pin(), self._base.stack
        if from_seq < self._journal.first_seq:
            yield from self._base.entries(from_seq, stack)
            from_seq = stack.seq + 1
        yield from self._journal.entries(from_seq)
        del pin


def _holding(pin: Pin, problems: Iterator[Problem]) -> Iterator[Problem]:
    """Keep a pin as long as somebody asks for more."""
    yield from problems
    del pin
