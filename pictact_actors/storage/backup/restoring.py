"""Restoring: a store as it was at a moment, built aside, verified, and put in its place at once.

    PATH.restoring/ = RESTORING  store/      RESTORING: held with flock while it is being built
    store/          = a data directory; renamed to PATH when everything in it is durable

What is copied is compared with what the backup says of it; then the state is built from it, as recovery does, and
compared with base and journal, and with the digest of the backup if it is the backup's own moment. Then it is seen
whether the records make sense together. Nothing is ever overwritten: PATH must not be there, or be an empty directory.
What an interrupted restore left is replaced by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pictact_actors import log
from pictact_actors.clock import SystemClock
from pictact_actors.config import StoreConfig
from pictact_actors.errors import BackupInvalid, InvalidValue, NotAStore, StorageFull, StoreDamaged
from pictact_actors.storage import identity
from pictact_actors.storage.archive import DAMAGED
from pictact_actors.storage.backup import archived
from pictact_actors.storage.backup.backup import finished, require_whole
from pictact_actors.storage.backup.digest import summary
from pictact_actors.storage.backup.place import Place, copied
from pictact_actors.storage.backup.route import Route, routed
from pictact_actors.storage.backup.sense import contradictions
from pictact_actors.storage.backup.source import Source, sources
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.engine import Engine, Entry, Problem
from pictact_actors.storage.identity import Identity
from pictact_actors.storage.state import leveldb
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.base import Base
from pictact_actors.storage.truth.journal import Journal
from pictact_actors.storage.truth.layer import layer_name
from pictact_actors.storage.truth.segment import NO_ROOM, segment_name, sync_directory

ASIDE = ".restoring"
_MARK = "RESTORING"
Sense = Callable[[Engine], Iterator[Problem]]
_PROBLEMS_MAX = 100
_ATTEMPTS = 5
"""A store that has its directory open may remove files while they are read: begin again."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was restored: `records` as they were after commit `seq`, at `ts` (epoch s), in the directory `path`."""

    path: str
    seq: int
    ts: float
    records: int
    digest: str
    """As in `BackupInfo`."""
    problems: tuple[Problem, ...] = ()
    """Records that contradict others, the first hundred, as `check` finds them: they were written so."""

    def to_dict(self) -> dict[str, object]:
        """All fields."""
        return {
            "path": self.path,
            "seq": self.seq,
            "ts": self.ts,
            "records": self.records,
            "digest": self.digest,
            "problems": [problem.to_dict() for problem in self.problems],
        }


def restored(
    backup: str | os.PathLike[str],
    path: str | os.PathLike[str],
    to_seq: int | None,
    to_time: float | None,
    config: StoreConfig | None = None,
    sense: Sense = contradictions,
) -> RestoreReport:
    """Restore from a backup, a place or a data directory into a new directory. See `Store.restore`."""
    _require_moment(to_seq, to_time)
    path, config = Path(os.path.realpath(path)), config or StoreConfig()
    require_free(path)
    try:
        with _aside(path) as home:
            report = _restored(Path(backup).absolute(), home / "store", config, to_seq, to_time)
            problems = _contradicting(backup, home / "store", config, sense)
            require_free(path)
            (home / "store").rename(path)
            sync_directory(path.parent)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StorageFull(f"restoring to {path}: {error.strerror}") from error
        raise
    log.info(log.STORE_RESTORED, path=str(path), backup=str(backup), seq=report.seq, records=report.records)
    return replace(report, path=str(path), problems=problems)


def _require_moment(to_seq: int | None, to_time: float | None) -> None:
    """Raise `InvalidValue` unless that is a moment: one of both, or none."""
    if to_seq is not None and to_time is not None:
        raise InvalidValue("to_time", to_time, "cannot be given together with to_seq")
    if to_seq is not None and (isinstance(to_seq, bool) or not isinstance(to_seq, int) or to_seq < 0):
        raise InvalidValue("to_seq", to_seq, "must be the number of a commit")
    if to_time is not None and (isinstance(to_time, bool) or not isinstance(to_time, int | float)):
        raise InvalidValue("to_time", to_time, "must be epoch seconds")


def require_free(path: Path) -> None:
    """Raise `NotAStore` if there is anything at `path` that would be overwritten."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise NotAStore(str(path), "there is something already, and nothing is overwritten; name a new directory")


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Make a directory to build in, and take it away at the end. One restore to a path at a time."""
    home = path.with_name(path.name + ASIDE)
    mark = home / _MARK
    if home.exists() and not mark.exists() and any(home.iterdir()):
        raise NotAStore(str(home), "it is needed for restoring, but holds something else; move that away")
    home.mkdir(parents=True, exist_ok=True)
    fd = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotAStore(str(path), "another restore to it is under way; wait for its end") from None
        shutil.rmtree(home / "store", ignore_errors=True)
        try:
            yield home
        finally:
            shutil.rmtree(home / "store", ignore_errors=True)
            with suppress(OSError):
                mark.unlink()
                home.rmdir()
    finally:
        os.close(fd)


def _restored(
    backup: Path, home: Path, config: StoreConfig, to_seq: int | None, to_time: float | None
) -> RestoreReport:
    """Build a data directory from the best source that leads to the moment."""
    for _ in range(_ATTEMPTS):
        there = _names_in(backup)
        try:
            return _best(backup, home, config, to_seq, to_time)
        except FileNotFoundError as error:
            refused = BackupInvalid(str(backup), f"it lacks a file: {error}")
        except BackupInvalid as error:
            refused = error
            if _names_in(backup) == there:
                break
    raise refused


def _best(backup: Path, home: Path, config: StoreConfig, to_seq: int | None, to_time: float | None) -> RestoreReport:
    """Build a data directory from the first source that leads to the moment."""
    refused: BackupInvalid | None = None
    for source in sources(backup, to_seq, to_time):
        shutil.rmtree(home, ignore_errors=True)
        try:
            return _built(source, home, config, to_seq, to_time)
        except BackupInvalid as error:
            refused = refused or error
    raise refused or BackupInvalid(str(backup), "nothing in it leads to that moment")


def _names_in(backup: Path) -> set[Path]:
    """Return the files of base and journal, if that is a data directory."""
    return {path for part in ("base", "journal") for path in (backup / part).glob("*")}


def _built(source: Source, home: Path, config: StoreConfig, to_seq: int | None, to_time: float | None) -> RestoreReport:
    if source.manifest is not None:
        place = Place(source.path.parent)
        for piece in source.manifest.pieces:
            finished(require_whole(place, piece))
    try:
        route = finished(routed(source, to_seq, to_time))
        _copy(source, route, home)
        _build_state(home, source.store_id, config, lambda state: _archive(source, route, home, state))
        return _verified(source, route, home, config)
    except StoreDamaged as damage:
        raise BackupInvalid(str(source.path), damage.what) from damage


def _copy(source: Source, route: Route, home: Path) -> None:
    """Copy what the store is made of, durably; the journal up to the moment."""
    for part in ("base", "journal"):
        (home / part).mkdir(parents=True)
    for layer in source.stack.layers():
        finished(copied(layer.path, home / "base" / layer_name(layer.number), layer.size_bytes))
    for track in route.tracks:
        stop = track.before(route.seq)
        behind = track.rest(route.seq) if track is route.tracks[-1] else b""
        finished(copied(track.path, home / "journal" / segment_name(track.header.number), stop.end, behind))
    Identity(source.store_id, source.created_at).write(home / identity.NAME)
    leveldb.create(home / "state")
    for made in (*home.iterdir(), home, home.parent):
        if made.is_dir():
            sync_directory(made)


def _archive(source: Source, route: Route, home: Path, state: State) -> None:
    """Copy the archive, as it was at the moment."""
    if source.manifest is None or source.manifest.seq != route.seq:
        archived.take_over(source.archived, home / "archive", state.get, route.ts)
        return
    own = {piece.name for piece in source.manifest.pieces}
    for file in source.archived:
        if f"archive/{file.name}" in own:
            archived.copy(file.path, home / "archive" / file.name)


def _build_state(home: Path, store_id: bytes, config: StoreConfig, look: Callable[[State], None]) -> None:
    """Bring an empty state forward from base and journal, have somebody look at it, and make it durable."""
    path, base = home / "state", Base(home / "base", store_id)
    journal = Journal.open(home / "journal", store_id, config.segment_bytes)

    def since(from_seq: int) -> Iterator[Entry]:
        if from_seq < journal.first_seq:
            yield from base.entries(from_seq, base.stack)
            from_seq = base.seq + 1
        yield from journal.entries(from_seq)

    try:
        base.require_journal(journal)
        state = State(
            lambda: leveldb.Database(path, config.buffer_bytes, config.state_cache_bytes),
            store_id,
            config.state_pending_max,
            since,
        )
        try:
            state.catch_up(journal.position)
            look(state)
        finally:
            state.close()
    finally:
        journal.close()
    leveldb.sync(path)


def _verified(source: Source, route: Route, home: Path, config: StoreConfig) -> RestoreReport:
    """Open what was built, as any other store, and compare everything with everything. Raises `StoreDamaged`."""
    engine = EmbeddedEngine.open(home, config, SystemClock(), create=False)
    try:
        for problem in engine.check():
            if problem.kind == "archive" and problem.key.endswith(DAMAGED):
                continue
            raise StoreDamaged(f"what was restored does not fit together: {problem.key} {problem.detail}")
        found = finished(summary(engine.scan("")))
        if engine.seq != route.seq:
            raise StoreDamaged(f"it was restored up to commit {engine.seq} instead of {route.seq}")
    finally:
        engine.close()
    manifest = source.manifest
    if manifest is not None and manifest.seq == route.seq and found != (manifest.records, manifest.digest):
        raise StoreDamaged(f"it was restored with {found.records} records, or others than the backup says")
    return RestoreReport(str(home), route.seq, route.ts, found.records, found.digest.hex())


def _contradicting(
    backup: str | os.PathLike[str], home: Path, config: StoreConfig, sense: Sense
) -> tuple[Problem, ...]:
    """Return which records contradict others. Raises `BackupInvalid` if nobody can have written them so."""
    engine = EmbeddedEngine.open(home, config, SystemClock(), create=False)
    try:
        found = sense(engine)
        problems = tuple(islice(found, _PROBLEMS_MAX))
        for _ in found:
            pass
    except StoreDamaged as damage:
        raise BackupInvalid(os.fspath(backup), damage.what) from damage
    finally:
        engine.close()
    return problems
