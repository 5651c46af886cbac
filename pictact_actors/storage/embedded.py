"""The embedded engine: base and journal, which are the truth, and a LevelDB state that follows, in one directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Self

from pictact_actors.clock import Clock
from pictact_actors.config import StoreConfig
from pictact_actors.errors import StorageFull, StoreDamaged
from pictact_actors.storage.archive import Archive
from pictact_actors.storage.backup.place import POOL
from pictact_actors.storage.backup.snapshot import Snapshot
from pictact_actors.storage.ballast import Ballast
from pictact_actors.storage.directory import Directory, unopened
from pictact_actors.storage.engine import Changes, Commit, Entry, Problem
from pictact_actors.storage.folding import FLOOR_PARTS, Folding, Keep, keep_nothing
from pictact_actors.storage.recovery import seal
from pictact_actors.storage.recovery.aside import Aside, Recovery
from pictact_actors.storage.recovery.mending import Mending
from pictact_actors.storage.recovery.recovery import Opening
from pictact_actors.storage.restating import Restating, noticing
from pictact_actors.storage.scrub import Scrub
from pictact_actors.storage.state.handle import Replay
from pictact_actors.storage.state.leveldb import Database
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.bookmark import JournalBookmark
from pictact_actors.storage.truth.journal import Closed
from pictact_actors.storage.truth.position import Position
from pictact_actors.storage.twins import COPIES
from pictact_actors.storage.usage import Usage, free_bytes, size_of


class EmbeddedEngine:
    """Storage of one process, on one machine's disk. See `Engine` for who calls what."""

    def __init__(self, directory: Directory, config: StoreConfig, now: float) -> None:
        self._directory = directory
        self._config = config
        self._ballast = Ballast(directory.path, config.ballast_bytes)
        self._aside = Aside(directory.path)
        self._measured: tuple[int, int] = (0, 0)
        self._closed = self._in_doubt = False
        self._reclaiming: Generator[None, None, None] = _nothing()
        self.keep: Keep = keep_nothing
        self._mending = Mending(directory.state, self._open_state, self._aside)
        opening = Opening(directory, config, self._open_state, now)
        self._truth, self._state, self._replayed = opening.recovered()
        self._base, self._journal = self._truth.base, self._truth.journal
        self._stamps = opening.stamps
        self._committed: tuple[list[Changes], Position, int] = ([], self._journal.position, 0)
        try:
            self.archive = Archive(directory.archive)
            for found, done in self.archive.mended:
                self._aside.report(Recovery(now, "archive damaged", found, done))
            self.usage()
        except BaseException:
            self._state.close()
            self._truth.close()
            raise
        self._folding = Folding(
            self._journal,
            self._base,
            self._state,
            self._directory.state,
            self.room_bytes,
            self._config,
            self._keep,
        )
        self._restating = Restating(self._truth, self._state, self._folding, self._aside)
        self._state.start()
        self._mending.watch(self._truth, self._state)

    @classmethod
    def open(cls, path: str | os.PathLike[str], config: StoreConfig, clock: Clock, *, create: bool = True) -> Self:
        """Open a directory, creating it if need be, and bring the state forward from base and journal.

        Raises `StoreLocked`, `NotAStore`, `StoreDamaged`, and `StorageFull` if even the ballast is too little room.
        """
        directory = Directory.open(path, create=create, now=clock.now(), segment_bytes=config.segment_bytes)
        try:
            try:
                return cls._recovered(directory, config, clock.now())
            except StorageFull:
                if not Ballast(directory.path, config.ballast_bytes).drop():
                    raise
            return cls._recovered(directory, config, clock.now())
        except BaseException:
            directory.release()
            raise

    @classmethod
    def _recovered(cls, directory: Directory, config: StoreConfig, now: float) -> Self:
        try:
            return cls(directory, config, now)
        except OSError as error:
            raise unopened(directory.path, error) from error

    @property
    def path(self) -> Path:
        """The data directory."""
        return self._directory.path

    @property
    def store_id(self) -> bytes:
        """What tells this store from others."""
        return self._directory.store_id

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

    @property
    def recoveries(self) -> tuple[Recovery, ...]:
        """Damages that were healed when this directory was opened, also before; oldest first."""
        return self._aside.recoveries()

    def commit(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        """Append a group to the journal and sync. Raises `StorageFull`, `CommitFailed`."""
        self._state.make_room()
        written = self._journal.written_bytes()
        self._in_doubt = True
        seq = self._journal.append(commits, ts, mark)
        self._in_doubt = False
        written = self._journal.written_bytes() - written
        self._committed = ([commit.changes for commit in commits], self._journal.position, written)
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
        return noticing(self._journal.entries(from_seq), self.suspect)

    def folded(self) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the last commit in the base, and all records right after it."""
        seq, records = self._base.records()
        return seq, noticing(records, self.suspect)

    def bookmark(self, from_seq: int) -> JournalBookmark:
        """Return the place before a commit in the journal. Raises `EntriesGone`."""
        return JournalBookmark(self._journal, from_seq, lambda: self.seq)

    def capture(self) -> Snapshot:
        """Pin this moment."""
        pin, stack = self._base.pin(), self._base.stack
        first_number = self._journal.numbers()[0] if stack.next is None else stack.next.number
        return Snapshot(
            path=self._directory.path,
            store_id=self._directory.store_id,
            seq=self.seq,
            stack=stack,
            first_number=first_number,
            archived=self.archive.names(),
            pairs=self._state.scan(""),
            pin=pin,
        )

    def check(self) -> Iterator[Problem]:
        """Compare base and journal with their chains and the state with both, at this moment; read the archive."""
        return chain(self._truth.compare(self._state), self.archive.check())

    def scrub(self, pace: Callable[[int], None]) -> Iterator[Problem]:
        """Read everything once at a pace, and compare it. See `scrub.py`."""
        return Scrub(self._truth, self._state, pace, self.suspect).problems()

    def suspect(self, found: str) -> None:
        """Read base and journal with the next `reclaim`, and write them anew if they are damaged."""
        self._restating.suspect(found)

    @property
    def suspected(self) -> bool:
        """Whether `reclaim` is to do that, and needs a `roll` before."""
        return self._restating.wanted

    def usage(self) -> Usage:
        """Measure disk space in use."""
        written = self._journal.written_bytes()
        usage = Usage(
            journal_bytes=self._journal.size_bytes(),
            state_bytes=size_of(self._directory.state),
            base_bytes=self._base.size_bytes(),
            archive_bytes=size_of(self._directory.archive) + size_of(self._directory.archive / COPIES),
            ballast_bytes=self._ballast.size_bytes,
            backup_bytes=size_of(self._directory.backups) + size_of(self._directory.backups / POOL),
            damaged_bytes=self._aside.size_bytes(),
            base_seq=self._base.seq,
        )
        measured = usage.state_bytes + usage.archive_bytes + usage.backup_bytes + usage.damaged_bytes
        self._measured = (measured, written)
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
        self._restating.pin()

    def reclaim(self, *, urgent: bool) -> Iterator[None]:
        """Fold the journal into the base, remove what that replaces, compact the state. See `folding.py`."""
        self._reclaiming = self._given_back(urgent=urgent)
        return self._reclaiming

    def _given_back(self, *, urgent: bool) -> Generator[None, None, None]:
        yield from self._restating.steps()
        try:
            yield from self._folding.reclaim(urgent=urgent)
        except StoreDamaged as damage:
            self.suspect(damage.what)
            raise

    def take_ballast(self) -> None:
        """Hold room for cleanup on a full disk."""
        self._ballast.take(self.room_bytes(), self.size_bytes() - self._ballast.size_bytes)

    def drop_ballast(self) -> int:
        """Give it up; return how much it was, in bytes."""
        return self._ballast.drop()

    def close(self) -> None:
        """Bring the state up to date if possible, close everything, and seal it. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._mending.stop()
        with suppress(ValueError):  # somebody is still at it
            self._reclaiming.close()  # what it was writing must not go when another store has the directory
        try:
            self._state.close()
            self._journal.close()
            self._seal()
        finally:
            self._journal.close()
            self._directory.release()

    def _seal(self) -> None:
        """Say what everything is like at rest; not if something is pending or in doubt: the next opening sees to it."""
        if not self._in_doubt and self._state.is_at(self._journal.position):
            with suppress(OSError):  # without it, everything is read the next time
                seal.write(self._directory.path, self._directory.identity.shown(), self._journal.position, self._stamps)

    def _open_state(self, path: Path, replay: Replay) -> State:
        config = self._config
        return State(
            lambda: Database(path, config.buffer_bytes, config.state_cache_bytes, self._mending.begin),
            self._directory.store_id,
            config.state_pending_max,
            replay,
            lambda: self.room_bytes() - FLOOR_PARTS * config.segment_bytes,
        )

    def _keep(self, closed: Closed, path: Path) -> Iterator[None]:
        return self.keep(closed, path)


def _nothing() -> Generator[None, None, None]:
    yield from ()
