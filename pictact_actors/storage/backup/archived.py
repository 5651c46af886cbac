"""The archive of a restored store: each detail is in the store or in the archive, as it was at that moment.

A file that was archived by then is taken over; one that was archived later is not, the store still has its details and
will archive them again. One whose details were just being removed is pending, and finished when the store is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pictact_actors import log
from pictact_actors.errors import Rejected, StoreDamaged
from pictact_actors.model import codec
from pictact_actors.model.details import detail_of, is_same
from pictact_actors.storage.archive import DAMAGED, PENDING, lines_of
from pictact_actors.storage.backup.place import copied
from pictact_actors.storage.backup.source import Archived
from pictact_actors.storage.truth.segment import sync_directory
from pictact_actors.storage.twins import COPIES

Get = Callable[[str], bytes | None]


def take_over(files: list[Archived], path: Path, get: Get, ts: float) -> None:
    """Copy what belongs to the archive of a store at a time (epoch s); `get` reads its records."""
    for archived in files:
        done = archived.name.removesuffix(PENDING)
        source = archived.path
        name: str | None = f"{done}{DAMAGED}"
        for candidate in (source, source.parent / COPIES / done):
            try:
                source, name = candidate, _name_at(candidate, done, get, ts)
                break
            except (StoreDamaged, Rejected, FileNotFoundError) as error:
                log.error(log.ARCHIVE_DAMAGED, file=str(candidate), cause=str(error))
        if name is not None:
            copy(source, path / name)


def copy(source: Path, path: Path) -> None:
    """Copy one file durably."""
    if not path.parent.exists():
        path.parent.mkdir()
        sync_directory(path.parent.parent)
    for _ in copied(source, path, source.stat().st_size):
        pass
    sync_directory(path.parent)


def _name_at(path: Path, done: str, get: Get, ts: float) -> str | None:
    """Return the name that a file had at a time, None if it was not there yet."""
    removed = present = False
    for line in lines_of(path):
        detail = detail_of(line)
        found = get(detail.key)
        if found is not None and is_same(detail, codec.decode(detail.key, found)):
            present = True
        elif detail.created_at <= ts:
            removed = True
    if not removed:
        return None
    return f"{done}{PENDING}" if present else done
