"""Backups of a running store: when somebody asks for one, and by themselves at set times.

    taken ──backup_interval_s──▶ due ──▶ taken again, older ones than the latest `backups_kept` go
                                  │
                               failed: logged, tried again when the next one is due; the store goes on

Between two scheduled backups the journal that the store gives up is copied into the pool first, so that every commit
since the oldest kept backup can be restored to. One backup of a store at a time; it works in small steps with pauses.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.errors import BackupInvalid, InvalidValue, StoreClosed, StoreDamaged, StoreError
from pictact_actors.runtime.runtime import Runtime
from pictact_actors.storage.backup import backup
from pictact_actors.storage.backup.manifest import BackupInfo, info_of
from pictact_actors.storage.backup.place import Place
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.truth.journal import Closed
from pictact_actors.storage.usage import free_bytes
from pictact_actors.threads import HERE, would_wait_for_itself

T = TypeVar("T")
NAME = "backups"
_STOP_S = 5.0
_WORK_S = 0.002
"""How long it works before others get a turn."""
_PAUSE_S, _LONG_PAUSE_S = 0.0005, 0.004
"""The pause then, when somebody waits for it and when nobody does."""
_ATTEMPTS = 3
"""The state may be opened anew while it is read: begin again."""


class Backups:
    """Takes backups of one store. `last` is the latest good one, of this process or found in the configured place."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._config = runtime.config
        self._taking = threading.Lock()
        self._stopping = threading.Event()
        self._failing: str | None = None
        self._thread = threading.Thread(target=self._run, name="pictact-backups", daemon=True)
        engine = runtime.engine
        self._configured: Path | None = None
        if isinstance(engine, EmbeddedEngine):
            self._configured = Path(self._config.backup_directory or engine.path / NAME).absolute()
        self._held_seq: int | None = None
        self.last: BackupInfo | None = None

    def start(self) -> None:
        """Look for the last backup in the configured place, and begin if there are to be more."""
        engine, path = self._runtime.engine, self._configured
        if not isinstance(engine, EmbeddedEngine) or path is None:
            return
        with suppress(OSError):
            own = [found for found in Place(path).manifests() if found.store_id == engine.store_id]
            self.last = max((info_of(found, path) for found in own), key=lambda info: info.taken_at, default=None)
        self._held_seq = None if self.last is None else self.last.seq
        if self._config.backup_interval_s is not None:
            engine.keep = self._keep
            self._thread.start()

    def stop(self) -> None:
        """End what is being done; it is no backup then."""
        self._stopping.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    def take(self, path: Path | None) -> BackupInfo:
        """Take a backup now, into a place or the configured one, and return what it is. See `Store.backup`."""
        if HERE.in_actor:
            raise would_wait_for_itself()
        self._runtime.committed.require_open()
        path = path or self._configured
        if path is None:
            raise InvalidValue("directory", None, "must be given: the store has no directory of its own")
        return self._take(Place(path.absolute()), _PAUSE_S)

    @property
    def age_s(self) -> float | None:
        """How long ago the last good backup was taken, in seconds."""
        return None if self.last is None else max(0.0, self._runtime.clock.now() - self.last.taken_at)

    def _take(self, place: Place, pause_s: float) -> BackupInfo:
        with self._alone(place):
            try:
                for _ in range(_ATTEMPTS - 1):
                    with suppress(StoreClosed):
                        return self._taken(place, pause_s)
                    self._runtime.committed.require_open()
                return self._taken(place, pause_s)
            except StoreDamaged as damage:
                self._runtime.engine.suspect(damage.what)
                raise

    @contextmanager
    def _alone(self, place: Place) -> Iterator[None]:
        """Wait until no other backup of this store is being taken, as long as a caller waits for a large step."""
        if not self._taking.acquire(timeout=self._config.crossing_timeout_s):
            raise BackupInvalid(str(place.path), "another backup of this store is being taken, wait for its end")
        try:
            yield
        finally:
            self._taking.release()

    def _taken(self, place: Place, pause_s: float) -> BackupInfo:
        since = monotonic()
        snapshot = self._runtime.committed.capture()
        taken = backup.taken(snapshot, place, self._runtime.clock.now(), self._room_bytes(snapshot.path, place.path))
        info = self._paced(taken, pause_s)
        self.last = info
        if place.path == self._configured:
            self._held_seq = info.seq
        log.info(
            log.BACKUP_TAKEN,
            path=info.path,
            seq=info.seq,
            records=info.records,
            copied_bytes=info.copied_bytes,
            seconds=round(monotonic() - since, 3),
        )
        return info

    def _room_bytes(self, data: Path, place: Path) -> float:
        """Return what may be added to a place: the store needs some of the room itself if it is on the same disk."""
        there = next(path for path in (place, *place.parents) if path.exists())
        room: float = free_bytes(there)
        if there.stat().st_dev != data.stat().st_dev:
            return room
        if place.is_relative_to(data):
            room = min(room, self._runtime.engine.room_bytes())
        return room - self._config.ballast_bytes - self._config.segment_bytes

    def _paced(self, steps: Generator[None, None, T], pause_s: float) -> T:
        """Run to the end, but let others work in between. Raises `StoreClosed` when the store is closing."""
        pause_at = monotonic() + _WORK_S
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # what the generator returns
            if monotonic() > pause_at:
                if self._stopping.wait(pause_s):
                    steps.close()
                    raise StoreClosed
                pause_at = monotonic() + _WORK_S

    # -- its own thread's

    def _run(self) -> None:
        interval_s, path, age_s = self._config.backup_interval_s, self._configured, self.age_s
        if interval_s is None or path is None:
            return
        place = Place(path)
        wait_s = 0.0 if age_s is None else max(0.0, interval_s - age_s)
        while not self._stopping.wait(wait_s):
            wait_s = interval_s
            try:
                self._take(place, _LONG_PAUSE_S)
                self._prune(place)
                self._failing = None
            except Exception as error:  # noqa: BLE001 - whatever it was, the store goes on, and the next one is due later
                if self._stopping.is_set() or self._is_closed():
                    return
                self._failed(log.BACKUP_FAILED, error)

    def _prune(self, place: Place) -> None:
        with self._alone(place):
            place.prune(self._config.backups_kept)

    def _is_closed(self) -> bool:
        try:
            self._runtime.committed.require_open()
        except StoreClosed:
            return True
        return False

    def _failed(self, event: str, error: Exception) -> None:
        """Say so once, not each time while it lasts."""
        cause = f"{event}: {error!r}"
        if cause != self._failing:
            self._failing = cause
            if isinstance(error, StoreError | OSError):
                log.warning(event, cause=str(error))
            else:
                log.error(event, cause=repr(error), exc_info=error)

    # -- the thread's that gives space back

    def _keep(self, closed: Closed, path: Path) -> Iterator[None]:
        """Copy a segment of the journal that is given up, if there is a backup from which it leads on."""
        if self._configured is None or self._held_seq is None or closed.following.first_seq <= self._held_seq + 1:
            return
        try:
            yield from backup.kept(Place(self._configured, "segment"), closed, path)
        except Exception as error:  # noqa: BLE001 - space is given back all the same
            self._failed(log.BACKUP_LACKS, error)
