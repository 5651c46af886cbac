r"""The state: every record's latest value, in LevelDB, following the journal.

    LevelDB key   = a record's key, or "\0applied"
    applied value = CBOR { "seq": last sequence number in it, "store": store id }     in the same batch as its records

Commits become visible in memory first (`publish`) and reach LevelDB a moment later, many at once: a thread of its own
writes what has gathered, and what a crash takes from it comes back from the journal. A record that changed ten times
meanwhile is written once. If the thread falls behind, `make_room` holds the committer up, so memory stays bounded.

Who owns what: the committer adds to `_active`; under `_lock` the writer turns it into `_frozen` and, once LevelDB has
it, drops `_frozen`. Readers look into `_active`, `_frozen` and LevelDB, in that order, without the lock: a change is
only ever removed from one after it is in the next.

A handle that failed a write may lose more (LevelDB 1.22 misaligns its log), so nothing is written to it any more. It
still reads, until there is room to open another one; what that one lacks comes back from the journal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from pictact_actors import log
from pictact_actors.errors import StorageFull, StoreClosed, StoreDamaged
from pictact_actors.model import codec
from pictact_actors.storage.engine import Changes, Entry
from pictact_actors.storage.leveldb import Cursor, Database
from pictact_actors.storage.merge import merged, under
from pictact_actors.threads import let_others_finish

_APPLIED = b"\0applied"
_FIRST_KEY = "\1"
_MISSING: Final = object()
_GATHER_S = 0.25
"""How long the writer lets changes gather while few are pending."""
_IDLE_S = 60.0
"""Longest sleep of the writer while nothing happens."""
_FEW = 16_384
"""Pending changes that are few; beyond it the committer yields to the writer."""
_YIELD_S = 0.002
_RETRY_S = 0.5
"""Pause between attempts to reopen a state that could not be written."""
_STALL_S = 5.0
"""How long a full backlog may hold the committer up before writes are refused."""

Pairs = list[tuple[str, bytes | None]]
Replay = Callable[[int], Iterable[Entry]]
"""Gives the journal's entries from a sequence number on."""


class State:
    """Latest values by key. The committer publishes, any thread reads."""

    def __init__(
        self, open_database: Callable[[], Database], store_id: bytes, pending_max: int, replay: Replay
    ) -> None:
        self._open_database = open_database
        self._database = open_database()
        self._store_id = store_id
        self._pending_max = pending_max
        self._replay = replay
        self._lock = threading.Condition()
        self._active: dict[str, bytes | None] = {}
        self._frozen: dict[str, bytes | None] = {}
        self._closing = False
        self._failure: str | None = None
        try:
            self.applied_seq = self._applied_in(self._database)
        except BaseException:
            self._database.close()
            raise
        self.seq = self.applied_seq
        self._writer = threading.Thread(target=self._write_on, name="pictact-state", daemon=True)

    def catch_up(self) -> int:
        """Bring the state forward from the journal; return how many commits that took. Before `start`."""
        replayed = 0
        for entry in self._replay(self.seq + 1):
            self._active.update(entry.changes)
            self.seq = entry.seq
            replayed += 1
            if len(self._active) >= self._pending_max:
                self._flush()
        self._flush()
        return replayed

    def start(self) -> None:
        """Start following what is published."""
        self._writer.start()

    def publish(self, changes: Iterable[Changes], seq: int) -> None:
        """Make the changes of a commit group visible. The committer's."""
        with self._lock:
            wake = not self._active
            for change in changes:
                self._active.update(change)
            self.seq = seq
            if wake or len(self._active) >= _FEW:
                self._lock.notify_all()

    def make_room(self) -> None:
        """Hold the committer up while too much is pending. Raises `StorageFull` if it stays too much."""
        if len(self._active) < _FEW and self._failure is None:
            return
        with self._lock:
            self._lock.wait_for(lambda: not self._frozen or self._failure is not None, _YIELD_S)
            self._lock.wait_for(lambda: self._has_room() or self._failure is not None, _STALL_S)
            if not self._has_room():
                raise StorageFull(f"the state cannot be written: {self._failure or 'LevelDB stalls'}")

    def _has_room(self) -> bool:
        """Whether more may be published. While nothing can be written, all that is pending counts."""
        pending = len(self._active) if self._failure is None else self.pending()
        return pending < self._pending_max

    def get(self, key: str) -> bytes | None:
        """Return the published value under a key. Raises `StoreDamaged`, `StoreClosed`."""
        while True:
            database = self._database  # first: what another one lacks is above it before it takes its place
            found = self._active.get(key, _MISSING)
            if found is _MISSING:
                found = self._frozen.get(key, _MISSING)
            if found is not _MISSING:
                return found  # type: ignore[return-value]  # not _MISSING: bytes or None
            try:
                return database.get(key.encode())
            except StoreClosed:
                self._await_another(database)

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate the pairs under a prefix as they are now, in key order, behind `after`."""
        pending, cursor = self._pinned(prefix, after)
        return merged(((key.decode(), value) for key, value in cursor), pending)

    def size_bytes(self, directory: Path) -> int:
        """Disk space of the database's files."""
        return sum(file.stat().st_size for file in directory.iterdir() if file.is_file())

    def pending(self) -> int:
        """Return how many changes LevelDB does not have yet."""
        return len(self._active) + len(self._frozen)

    def close(self) -> None:
        """Write what is pending, if LevelDB takes it, and close."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        if self._writer.ident is not None:
            self._writer.join()
        self._database.close()

    def _pinned(self, prefix: str, after: str | None) -> tuple[Pairs, Cursor]:
        """Return what is pending under a prefix, and a cursor on the rest, of one moment."""
        start = _FIRST_KEY if after is None else after
        while True:
            with self._lock:
                database = self._database
                try:
                    cursor = database.cursor(prefix.encode(), start.encode())
                except StoreClosed:
                    self._await_another(database)
                else:
                    return under(prefix, after, {**self._frozen, **self._active}), cursor

    def _await_another(self, closed: Database) -> None:
        """Wait for the database that takes the place of a closed one. Raises `StoreClosed` if none does."""
        with self._lock:
            self._lock.wait_for(lambda: self._database is not closed or self._closing, _STALL_S)
            if self._database is closed:
                raise StoreClosed if self._closing else StoreClosed(f"the state cannot be opened: {self._failure}")

    def _applied_in(self, database: Database) -> int:
        value = database.get(_APPLIED)
        if value is None:
            return 0
        try:
            applied = codec.loads(value)
            seq, store_id = int(applied["seq"]), applied["store"]
        except (ValueError, TypeError, KeyError) as error:
            raise StoreDamaged(f"the state does not say what is in it: {error}") from error
        if store_id != self._store_id:
            raise StoreDamaged("the state belongs to another store")
        return seq

    def _write_on(self) -> None:
        let_others_finish()
        while self._wait_for_work():
            try:
                if self._failure is not None:
                    self._reopen()
                self._flush()
            except Exception as error:  # noqa: BLE001 - whatever it was, the journal has everything and the writer goes on
                self._fail(error)

    def _wait_for_work(self) -> bool:
        """Wait until something is pending; False when the state closes and nothing is, or nothing can be written."""
        with self._lock:
            while not (self._closing or self._active or self._frozen):
                self._lock.wait(_IDLE_S)
            self._lock.wait_for(lambda: self._closing or len(self._active) >= _FEW, _GATHER_S)
            return not self._closing or (self._failure is None and bool(self._active or self._frozen))

    def _flush(self) -> None:
        with self._lock:
            if not self._frozen:
                self._frozen, self._active = self._active, {}
            elif self._failure is not None:
                self._frozen, self._active = {**self._frozen, **self._active}, {}
            seq = self.seq
        if not self._frozen:
            return
        batch: dict[bytes, bytes | None] = {key.encode(): value for key, value in self._frozen.items()}
        batch[_APPLIED] = codec.dumps({"seq": seq, "store": self._store_id})
        self._database.write(batch)
        with self._lock:
            self.applied_seq = seq
            self._failure = None
            self._frozen = {}
            self._lock.notify_all()

    def _fail(self, error: Exception) -> None:
        """Note why nothing can be written, and wait a little. Everything stays pending until it works again."""
        if self._failure is None:
            log.warning(log.STATE_WRITE_FAILED, cause=str(error), pending=self.pending())
        with self._lock:
            self._failure = str(error)
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._closing, _RETRY_S)

    def _reopen(self) -> None:
        """Go on with another handle, with what it lacks put below what is pending."""
        self._database.require_room()
        self._database.close()
        database = self._open_database()
        try:
            lost = self._lost_by(database)
        except BaseException:
            database.close()
            raise
        with self._lock:
            self._frozen = {**lost, **self._frozen, **self._active}
            self._active = {}
            self._database = database
            self._lock.notify_all()

    def _lost_by(self, database: Database) -> dict[str, bytes | None]:
        """Return what was published and is not in a reopened database although it was written."""
        published, lost = self.seq, dict[str, bytes | None]()
        for entry in self._replay(self._applied_in(database) + 1):
            if entry.seq > published:  # durable, but not for readers yet
                break
            lost.update(entry.changes)
        return lost
