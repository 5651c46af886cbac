r"""The state: every record's latest value, in LevelDB, following the journal.

    LevelDB key = a record's key, or one that begins with a zero byte: see `trail.py` and `counted.py`

Commits become visible in memory first (`publish`) and reach LevelDB a moment later, many at once: a thread of its own
writes what has gathered, and what a crash takes from it comes back from the journal. A record that changed ten times
meanwhile is written once. If the thread falls behind, `make_room` holds the committer up, so memory stays bounded.

Who owns what: the committer adds to `_active`; under `_lock` the writer turns it into `_frozen` and, once LevelDB has
it, drops `_frozen`. Readers look into `_active`, `_frozen` and LevelDB, in that order, without the lock: a change is
only ever removed from one after it is in the next.

Counted keys (`counted.py`) are counted when somebody asks, and before the writer freezes what goes to LevelDB: the
counts that go with it are of the same moment. `_counting` is taken before `_lock`.

A handle that failed a write may lose more (LevelDB 1.22 misaligns its log), so it only reads from then on, until there
is room for another one; what that one lacks comes back from the journal.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import dropwhile, islice
from typing import Final, TypeVar

from pictact_actors import log
from pictact_actors.errors import StorageFull, StoreClosed, StoreDamaged
from pictact_actors.model.keys import COUNTED
from pictact_actors.storage.engine import Changes
from pictact_actors.storage.merge import merged, over, under
from pictact_actors.storage.state.counted import Counted
from pictact_actors.storage.state.handle import Handle, Replay
from pictact_actors.storage.state.leveldb import Cursor, Database
from pictact_actors.storage.truth.position import Position
from pictact_actors.threads import HERE, let_others_finish, undisturbed

_FIRST_KEY = "\1"
_MISSING: Final = object()
_GATHER_S = 0.25
"""How long the writer lets changes gather while few are pending."""
_IDLE_S = 60.0
"""Longest sleep of the writer while nothing happens."""
_FEW = 16_384
"""Pending changes that are few; beyond it the committer yields to the writer."""
_FEW_BYTES, _BYTES_MAX = 16 * 1024 * 1024, 64 * 1024 * 1024
"""The same in bytes, about, and how many may wait for the writer: large records are not many, but take memory too."""
_PLENTY_BYTES = 1024 * 1024 * 1024
"""With so much room nobody asks how much is needed."""
_COPIES, _KEY_BYTES = 3, 64
"""What is written is in LevelDB's log, in a table, and in one that a compaction writes; a key takes about so much."""
_YIELD_S, _RETRY_S = 0.002, 0.5
"""Pauses: of the committer for a writer that is behind, and between attempts to open the state again."""
_SHORT = 256
"""Keys of a page that are read at once."""
_STALL_S = 5.0
"""How long a full backlog may hold the committer up, and the writer who closes."""

T = TypeVar("T")


class State:
    """Latest values by key. The committer publishes, any thread reads."""

    def __init__(
        self,
        open_database: Callable[[], Database],
        store_id: bytes,
        pending_max: int,
        replay: Replay,
        room_bytes: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._room = room_bytes
        self._open_database = open_database
        self._database, self._trail, self._counted = Handle.open(open_database, store_id)
        self._store_id = store_id
        self._position: Position | None = None
        self._pending_max = pending_max
        self._replay = replay
        self._lock = threading.Condition()
        self._active: dict[str, bytes | None] = {}
        self._frozen: dict[str, bytes | None] = {}
        self._active_bytes = 0
        self._closing = False
        self._failure: str | None = None
        self._handle_failed = False
        self._swap: Callable[[], None] | None = None
        self._counting = threading.Lock()
        self._uncounted: list[Changes] = []
        self.seq = self.applied_seq = self._trail.seq
        self._writer = threading.Thread(target=self._write_on, name="pictact-state", daemon=True)

    @property
    def position(self) -> Position | None:
        """Where the journal goes on behind what LevelDB holds; None if that is not known."""
        return self._trail.position

    def catch_up(self, position: Position | None = None) -> int:
        """Bring the state forward from the journal to its end, `position`; return by how many commits.

        Before `start`.
        """
        replayed = 0
        empty = not self._trail.number
        for entry in self._replay(self.seq + 1):
            for key, value in entry.changes.items():  # all at once nobody else would run meanwhile
                self._active[key] = value
            self._counted.take(entry, first=empty and not entry.seq)
            self.seq = entry.seq
            replayed += 1
            if len(self._active) >= self._pending_max:
                self._flush()
        self._position = position
        if self._active or position != self._trail.position:
            self._flush()
        return replayed

    def start(self) -> None:
        """Start following what is published."""
        self._writer.start()

    def publish(self, changes: Iterable[Changes], position: Position, size_bytes: int = 0) -> None:
        """Make the changes of a commit group visible, up to a position, about so many bytes. The committer's."""
        with self._lock:
            self._active_bytes += size_bytes
            wake = not self._active
            for change in changes:
                self._active.update(change)
                for key in change:
                    if key.startswith(COUNTED):
                        self._uncounted.append(change)
                        break
            self._position, self.seq = position, position.seq
            if wake or self._is_much():
                self._lock.notify_all()

    def make_room(self) -> None:
        """Hold the committer up while too much is pending. Raises `StorageFull` if it stays too much."""
        if self._failure is None and not self._is_much():
            return
        with self._lock:
            self._lock.wait_for(lambda: not self._frozen or self._failure is not None, _YIELD_S)
            self._lock.wait_for(lambda: self._has_room() or self._failure is not None, _STALL_S)
            if not self._has_room():
                raise StorageFull(f"the state cannot be written: {self._failure or 'LevelDB stalls'}")

    def _has_room(self) -> bool:
        """Whether more may be published. While nothing can be written, all that is pending counts."""
        if self._failure is None:
            return len(self._active) < self._pending_max and self._active_bytes < _BYTES_MAX
        return self.pending() < self._pending_max

    def _is_much(self) -> bool:
        """Whether so much is pending that the writer should begin."""
        return len(self._active) >= _FEW or self._active_bytes >= _FEW_BYTES

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
            except StoreDamaged as damage:
                self._await_another(database, damage)

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate the pairs under a prefix as they are now, in key order, behind `after`."""
        pending, cursor = self._pinned(prefix, after)
        stored = ((key.decode(), value) for key, value in cursor)
        return merged(stored, pending) if pending else stored

    def pinned(self, low: str) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the last published commit, and all pairs from a key on as they are right after it."""
        with self._lock:
            found = self.scan("", low.removesuffix("\0") or None)
            return self.seq, dropwhile(lambda pair: pair[0] < low, found)

    def rank(self, prefix: str, key: str) -> int:
        """Return how many keys under a counted prefix come before `key`."""
        while True:
            before, keys = self._ask(lambda counted: counted.before(prefix, key))
            with suppress(StoreClosed):  # the handle went while it was read: ask the next one
                return before + sum(1 for _ in keys)

    def page(self, prefix: str, position: int, limit: int) -> Iterator[str]:
        """Iterate up to `limit` keys under a counted prefix as they are now, in order, from a position on.

        A short page is read at once; who iterates a long one may have to read it again when the handle goes meanwhile.
        """
        while True:
            skipped, keys = self._ask(lambda counted: counted.page(prefix, position, limit))
            found = islice(keys, skipped, skipped + limit)
            if limit > _SHORT:
                return found
            with suppress(StoreClosed):
                return iter(list(found))

    def chunks(self) -> list[tuple[str, int]]:
        """Return where each chunk of counted keys begins, and how many it has."""
        return self._ask(Counted.chunks)

    def settle(self, seq: int, timeout_s: float) -> bool:
        """Have LevelDB hold durably what was published up to `seq`; False if it does not within `timeout_s`."""
        with self._lock:
            self._lock.wait_for(lambda: self._has_written(seq) or self._closing or self._failure is not None, timeout_s)
            if self._closing or not self._has_written(seq):
                return False
            database, trail = self._database, self._trail
        number = trail.number
        database.settle()
        trail.settled(number)
        return self._database is database and self._failure is None

    def _has_written(self, seq: int) -> bool:
        return self._failure is None and self.applied_seq >= seq

    def compact(self, low: str, high: str | None) -> None:
        """Have LevelDB give back the space of what was deleted between two keys."""
        self._database.compact(low.encode(), None if high is None else high.encode())

    def verify(self, until_s: float) -> bool:
        """Read LevelDB until a `monotonic()`, to see that it passes its checksums; say whether that was all of it."""
        return self._database.verify(until_s)

    def is_at(self, position: Position) -> bool:
        """Whether LevelDB has everything up to a position, and nothing is pending or went wrong."""
        return self._failure is None and not self.pending() and self._trail.position == position

    def replace(self, swap: Callable[[], None], seq: int, timeout_s: float) -> bool:
        """Go on with a database that holds the commits up to `seq`: `swap`, repeatable, puts it in this one's place.

        False if the state closes before, or that takes longer.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: self.seq >= seq, timeout_s):
                return False
            self._swap = swap
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._swap is None or self._closing, timeout_s)
            return self._swap is None

    @property
    def failure(self) -> str | None:
        """Why nothing can be written, while that is so."""
        return self._failure

    def pending(self) -> int:
        """Return how many changes LevelDB does not have yet."""
        return len(self._active) + len(self._frozen)

    def close(self) -> None:
        """Write what is pending, if LevelDB takes it in time, and close: a handler's read may keep the writer out."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        if self._writer.ident is not None:
            self._writer.join(_STALL_S)
        self._database.close()

    def _pinned(self, prefix: str, after: str | None) -> tuple[list[tuple[str, bytes | None]], Cursor]:
        """Return what is pending under a prefix, and a cursor on the rest, of one moment."""
        start = _FIRST_KEY if after is None else after
        while True:
            with self._lock:
                database = self._database
                try:
                    cursor = database.cursor(prefix.encode(), start.encode())
                    frozen, newer = self._frozen, under(prefix, after, self._active)
                    break
                except StoreClosed:
                    self._await_another(database)
        return over(under(prefix, after, frozen), newer), cursor  # nobody changes what is frozen

    def _ask(self, question: Callable[[Counted], T]) -> T:
        """Ask the counts of what is published now. Raises `StoreDamaged`, `StoreClosed`."""
        while True:
            if self._uncounted:
                undisturbed(self._fold)
            with self._counting:
                database = self._database
                try:
                    return question(self._counted)
                except StoreClosed:
                    pass
            self._await_another(database)

    def _fold(self) -> None:
        """Fold what was published into the counts."""
        with self._counting:
            with self._lock:
                uncounted, self._uncounted = self._uncounted, []
            for changes in uncounted:
                self._counted.fold(changes)

    def _await_another(self, closed: Database, damage: StoreDamaged | None = None) -> None:
        """Wait for the database that takes the place of a closed or damaged one; an actor does not wait for that.

        Raises `StoreClosed`, or the damage, if none does.
        """
        with self._lock:
            patience_s = 0.0 if damage and HERE.in_actor else _STALL_S
            self._lock.wait_for(lambda: self._database is not closed or self._closing, patience_s)
            if self._database is closed:
                if damage is not None:
                    raise damage
                raise StoreClosed if self._closing else StoreClosed(f"the state cannot be opened: {self._failure}")

    def _write_on(self) -> None:
        let_others_finish()
        while self._wait_for_work():
            try:
                self._require_room()
                if self._handle_failed or self._swap:
                    self._reopen()
                self._handle_failed = True  # until it has not
                self._flush()
                self._handle_failed = False
                if self._trail.is_long:
                    self.settle(self.applied_seq, 0)
            except Exception as error:  # noqa: BLE001 - whatever it was, the journal has everything and the writer goes on
                self._fail(error)

    def _wait_for_work(self) -> bool:
        """Wait until something is pending; False when the state closes and nothing is, or nothing can be written."""
        with self._lock:
            while not (self._closing or self._active or self._frozen or self._swap):
                self._lock.wait(_IDLE_S)
            self._lock.wait_for(lambda: self._closing or self._swap or self._is_much(), _GATHER_S)
            return not self._closing or (self._failure is None and bool(self._active or self._frozen))

    def _require_room(self) -> None:
        """Raise `StorageFull` if LevelDB would run out of room: a handle that did is worth nothing any more."""
        room = self._room()
        if room < _PLENTY_BYTES:
            pending = [*self._frozen.copy().values(), *self._active.copy().values()]
            if room < _COPIES * sum(len(value) + _KEY_BYTES for value in pending if value is not None):
                raise StorageFull("the state has no room for what is pending")

    def _flush(self) -> None:
        seq, position, counts = self._freeze()
        self._database.write({**counts, **self._trail.next(seq, position)}, self._frozen)
        with self._counting, self._lock:
            self.applied_seq = seq
            self._failure = None
            self._frozen = {}
            self._counted.written()
            self._lock.notify_all()

    def _freeze(self) -> tuple[int, Position | None, dict[bytes, bytes | None]]:
        """Set apart what goes to LevelDB now; return the seq, the position and the counts of that moment."""
        with self._counting:
            with self._lock:
                if not self._frozen:
                    self._frozen, self._active = self._active, {}
                elif self._failure is not None:
                    self._frozen, self._active = {**self._frozen, **self._active}, {}
                self._active_bytes = 0 if not self._active else self._active_bytes
                seq, position = self.seq, self._position
                uncounted, self._uncounted = self._uncounted, []
            for changes in uncounted:
                self._counted.fold(changes)
            return seq, position, self._counted.freeze()

    def _fail(self, error: Exception) -> None:
        """Note why nothing can be written, and wait a little. Everything stays pending until it works again."""
        if self._failure is None:
            log.warning(log.STATE_WRITE_FAILED, cause=str(error), pending=self.pending())
        self._fold()  # or what is to be counted would grow for as long as this lasts
        with self._lock:
            self._failure = str(error)
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._closing, _RETRY_S)

    def _reopen(self) -> None:
        """Go on with another handle, with what it lacks put below what is pending."""
        self._database.require_room()
        self._database.close()
        if self._swap is not None:
            self._swap()
        handle = Handle.open(self._open_database, self._store_id)
        with self._counting:
            with self._lock:
                published, counted_too = self.seq, len(self._uncounted)
            lost = handle.lacking(self._replay, published)
            with self._lock:
                self._frozen = {**lost, **self._frozen, **self._active}
                self._active, self._active_bytes = {}, 0
                self._database, self._trail, self._counted = handle
                self._swap = None
                del self._uncounted[:counted_too]
                self._lock.notify_all()
