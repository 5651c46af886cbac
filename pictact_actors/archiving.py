"""Taking details of analytics out of the store once they are old enough: into the archive, if there is one.

A file of the archive is written and synced; what is removed is then read back from it, a bounded number of details at
a time, and each goes in a commit of the shard that owns it. What a crash interrupts goes on with the same file, so the
way after a crash is the ordinary way. A store in memory has no archive: there, and where the configuration says so,
details are removed without one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import TypeVar

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.errors import InvalidKey, InvalidValue, StoreClosed, StoreDamaged
from pictact_actors.model import codec, keys
from pictact_actors.model.chores import Discard, Sweep
from pictact_actors.model.details import detail_of, line_of
from pictact_actors.model.indexes import due_parts
from pictact_actors.model.records import ARCHIVED, DISCARDED, Observation
from pictact_actors.model.removal import Removal
from pictact_actors.runtime.runtime import Runtime
from pictact_actors.storage.archive import Archive

T = TypeVar("T")
_LINES_MAX = 10_000
"""Lines of a file; more make another one. So many are in memory at the most, and may be left for the next opening."""
_WORK_S, _PAUSE_S = 0.001, 0.0005
"""How long it reads on at most, and how long it then lets others have the interpreter."""


class _Unreadable(Exception):
    """A file that was written cannot be read back."""


class Archiving:
    """Moves what is due from the store to its archive. One thread at a time."""

    def __init__(self, runtime: Runtime, stopping: threading.Event) -> None:
        self._runtime = runtime
        self._stopping = stopping
        self._step = runtime.config.cleanup_step
        self._archive = runtime.engine.archive if runtime.config.observation_archive else None

    def clear(self, began: float, until: float) -> Iterator[int]:
        """Take out what was observed up to `until` (epoch s), step by step; yield how many details each step removed.

        `began` (epoch s) names the cleanup in the audit. Raises `StorageFull` if the archive has no room.
        """
        yield from self.resume(began)
        details = self._due(until)
        if self._archive is None:
            yield from self._remove(details, began, DISCARDED, "")
            return
        for first in details:
            lines = map(line_of, self._paced(chain([first], islice(details, _LINES_MAX - 1))))
            name = self._archive.write(first.created_at, lines)
            yield from self._finish(self._archive, name, began)

    def resume(self, began: float) -> Iterator[int]:
        """Finish the files that a crash or a full disk left pending; yield as `clear` does."""
        archive = self._runtime.engine.archive
        if archive is not None:
            for name in archive.pending:
                yield from self._finish(archive, name, began)

    def _finish(self, archive: Archive, name: str, began: float) -> Iterator[int]:
        """Remove from the store what a pending file holds."""
        try:
            yield from self._remove(_read_back(archive, name), began, ARCHIVED, name)
        except _Unreadable as error:
            log.error(log.ARCHIVE_DAMAGED, file=name, cause=str(error))
            archive.set_aside(name)
        else:
            archive.finish(name)

    def _remove(self, details: Iterator[Observation], began: float, reason: str, name: str) -> Iterator[int]:
        """Remove details; those of a post together as far as they are near each other: each command is a commit."""
        while window := list(islice(self._paced(details), _LINES_MAX)):
            window.sort(key=attrgetter("post_id"))
            for step in _steps(window, self._step):
                commands = [
                    Discard(post_id, tuple(of_post), Sweep(began, self._shard_of(post_id), reason, name))
                    for post_id, of_post in groupby(step, attrgetter("post_id"))
                ]
                answers = [call.get() for call in self._runtime.submit(commands, None)]
                yield sum(answer.records for answer in answers if isinstance(answer, Removal))

    def _shard_of(self, post_id: str) -> int:
        return keys.shard_of(keys.match_key(post_id), self._runtime.config.shards)

    def _paced(self, items: Iterator[T]) -> Iterator[T]:
        """Iterate, and let others work in between. Raises `StoreClosed` when the store is closing."""
        pause_at = monotonic() + _WORK_S
        for item in items:
            yield item
            if monotonic() > pause_at:
                if self._stopping.wait(_PAUSE_S):
                    raise StoreClosed
                pause_at = monotonic() + _WORK_S

    def _due(self, until: float) -> Iterator[Observation]:
        """Iterate the details that were observed up to a time, oldest first."""
        engine = self._runtime.engine
        for entry, _ in engine.scan("due:observed:"):
            _, time, name = due_parts(entry)
            if time > until:
                return
            key = f"{keys.OBSERVATION}:{name}"
            value = engine.get(key)
            if value is None:
                continue
            detail = codec.decode(key, value)
            if isinstance(detail, Observation):
                yield detail


def _read_back(archive: Archive, name: str) -> Iterator[Observation]:
    try:
        yield from map(detail_of, archive.lines(name))
    except (StoreDamaged, InvalidKey, InvalidValue) as error:
        raise _Unreadable(str(error)) from error


def _steps(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut into parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
