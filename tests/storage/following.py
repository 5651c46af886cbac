"""A state, the journal that it follows, and a LevelDB that fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from commits import applied
from waiting import until

from pictact_actors.storage.engine import Entry
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.state.leveldb import NO_RECORDS, Database
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.position import Position

STORE_ID = b"store id 16 long"
PENDING_MAX = 8
BUFFER_BYTES = CACHE_BYTES = 64 * 1024


class Faults:
    """What goes wrong with the handles of one state."""

    def __init__(self) -> None:
        self.writing: Exception | None = None
        self.opening: Exception | None = None
        self.full = False
        self.forgetting = False
        self.meanwhile: Callable[[], object] | None = None
        self.handles = self.asked_for_room = 0

    def heal(self) -> None:
        """Let everything work again."""
        self.writing = self.opening = None
        self.full = self.forgetting = False


class FaultyDatabase(Database):
    """LevelDB on a bad day: it may take writes and forget them, and then refuse."""

    def __init__(self, path: Path, faults: Faults) -> None:
        if faults.opening is not None:
            raise faults.opening
        super().__init__(path, BUFFER_BYTES, CACHE_BYTES)
        self.faults = faults
        self.failed = False
        faults.handles += 1

    def write(self, changes: Mapping[bytes, bytes | None], records: Mapping[str, bytes | None] = NO_RECORDS) -> None:
        assert not self.failed, "nothing may be written to a handle that failed"
        if self.faults.writing is not None:
            self.failed = True
            raise self.faults.writing
        if self.faults.meanwhile is not None:
            self.faults.meanwhile()
        if not self.faults.forgetting:
            super().write(changes, records)

    def require_room(self) -> None:
        self.faults.asked_for_room += 1
        if self.faults.full:
            raise OSError("no room to open again")


class Following:
    """A state and the journal that it follows."""

    def __init__(self, home: Path) -> None:
        self.path = home / "state"
        self.faults = Faults()
        self.journal: list[Entry] = []
        home.mkdir()
        leveldb.create(self.path)
        self.state = self.opened()

    def opened(self, store_id: bytes = STORE_ID) -> State:
        return State(lambda: FaultyDatabase(self.path, self.faults), store_id, PENDING_MAX, self.entries)

    def entries(self, from_seq: int) -> Iterator[Entry]:
        return iter(self.journal[from_seq - 1 :])

    def note(self, *changes: Mapping[str, bytes | None]) -> Position:
        """Take a commit group into the journal, without publishing it."""
        for change in changes:
            self.journal.append(Entry(len(self.journal) + 1, 0.0, "put_many", None, change))
        return self.position()

    def position(self) -> Position:
        """The end of the journal."""
        return Position(len(self.journal), 0.0, 0.0, b"chain", 1, len(self.journal))

    def publish(self, *changes: Mapping[str, bytes | None]) -> None:
        self.state.publish(changes, self.note(*changes))

    def expected(self) -> dict[str, bytes]:
        return applied(self.journal)

    def reopen(self) -> int:
        """Close and open again; return how many commits were brought forward."""
        self.state.close()
        self.state = self.opened()
        return self.state.catch_up(self.position())

    def fail(self, changes: Mapping[str, bytes | None] | None = None) -> None:
        """Let the next write fail and wait until the state has noticed."""
        self.faults.writing = OSError("no space left on device")
        self.publish(changes or {"failed": b"1"})
        until(lambda: self.state._failure is not None)

    def settle(self) -> None:
        """Let everything work again and wait until LevelDB has it."""
        self.faults.heal()
        until(lambda: not self.state.pending())
