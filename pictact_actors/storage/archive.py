r"""The archive: details of analytics that the store itself does not keep any more, in files for other programs.

    archive = ( details-TIME-NUMBER.jsonl.gz[STATE] )*        TIME = when the first of them was observed, in UTC
              copies/                                         of each of them, see `twins.py`
    file    = gzip of JSON Lines; what a line says is in `model/details.py`
    STATE   = ".new"       being written; worth nothing
            | ".pending"   complete and durable; what is in it is being removed from the store
            | ".damaged"   could not be read while it was pending; kept for people
            | ""           done: nobody writes it again

A detail is removed from the store only when it was read back from a pending file. So a crash at any moment leaves
every detail in the store or in the archive; and since pending files are finished before another one is begun, and
before anybody is served after a crash, never in both for longer than that takes.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import BufferedWriter
from pathlib import Path

from pictact_actors.errors import StorageFull, StoreDamaged
from pictact_actors.storage import twins
from pictact_actors.storage.engine import Problem
from pictact_actors.storage.truth.segment import NO_ROOM, sync_directory
from pictact_actors.storage.twins import Twins

_FIRST, _LAST = "details-", ".jsonl.gz"
_NEW, PENDING, DAMAGED = ".new", twins.PENDING, twins.DAMAGED
_LATEST_S = 253_402_300_799.0
"""The last second that has a year of four digits."""
_BUFFER_BYTES = 64 * 1024
Line = Mapping[str, object]


class Archive:
    """The files of one store's archive. One thread at a time writes."""

    def __init__(self, path: Path) -> None:
        """Look at what is there; what a crash left half written goes. The directory is made when it is needed."""
        self._path = path
        self._twins = Twins(path, _require_whole)
        for name in self._names():
            if name.endswith(_NEW):
                (path / name).unlink()
        self.mended = list(self._twins.mend(set(self._names())))
        """What was found damaged, and what was done about it."""
        names = self._names()
        self._number = max(map(_number_of, names), default=0)
        self._pending = [name.removesuffix(PENDING) for name in names if name.endswith(PENDING)]

    @property
    def pending(self) -> tuple[str, ...]:
        """The names of files that are complete, but not done, oldest first."""
        return tuple(self._pending)

    def names(self) -> tuple[str, ...]:
        """Return the names of its files, done or pending, but for those that could not be read."""
        return tuple(name for name in self._names() if not name.endswith((_NEW, DAMAGED)))

    def write(self, first_s: float, lines: Iterable[Line]) -> str:
        """Write a pending file whose first line was observed at `first_s` (epoch s), and sync it; return its name.

        Raises `StorageFull` when there is no room; nothing is left behind then.
        """
        name = f"{_FIRST}{_moment(first_s)}-{self._number + 1:06d}{_LAST}"
        aside = self._path / f"{name}{_NEW}"
        try:
            self._path.mkdir(exist_ok=True)
            _write(aside, lines)
            self._twins.add(name, aside)
            aside.rename(self._path / f"{name}{PENDING}")
        except Exception as error:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise StorageFull(str(error)) from error
            raise
        self._number += 1
        self._pending.append(name)
        return name

    def lines(self, name: str) -> Iterator[Line]:
        """Iterate the lines of a pending file, once its name is durable too. Raises `StoreDamaged`."""
        sync_directory(self._path)
        sync_directory(self._path.parent)
        yield from lines_of(self._path / f"{name}{PENDING}")

    def finish(self, name: str) -> None:
        """Declare a pending file done: nothing in it is in the store any more."""
        self._rename(name, "")

    def set_aside(self, name: str) -> None:
        """Keep a pending file that cannot be read for people to look at. What is still in the store stays there."""
        self._rename(name, DAMAGED)
        self._twins.set_aside(name)

    def check(self) -> Iterator[Problem]:
        """Read every file once, to see that it is whole and begins and ends with a line; mend it if it can be."""
        for name in self._names():
            path = self._path / name
            try:
                if not name.endswith((_NEW, PENDING, DAMAGED)):
                    self._twins.mend_one(name, thoroughly=True)
                if not name.endswith(_NEW):
                    _require_whole(path)
            except FileNotFoundError:  # finished meanwhile, and looked at under its other name the next time
                continue
            except StoreDamaged as damage:
                yield Problem("archive", name, damage.cause)

    def _names(self) -> list[str]:
        """Return the names of its files, in the order of what is in them; others are none of ours."""
        with suppress(FileNotFoundError):
            names = [path.name for path in self._path.iterdir()]
            return sorted(name for name in names if name.startswith(_FIRST) and _LAST in name)
        return []

    def _rename(self, name: str, state: str) -> None:
        (self._path / f"{name}{PENDING}").rename(self._path / f"{name}{state}")
        self._pending.remove(name)
        sync_directory(self._path)


def _write(path: Path, lines: Iterable[Line]) -> None:
    with path.open("wb") as file:
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
        with packed, BufferedWriter(packed, _BUFFER_BYTES) as buffer:
            for line in lines:
                buffer.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _moment(time_s: float) -> str:
    """Return epoch seconds as they stand in a name: in the order of time."""
    return datetime.fromtimestamp(min(time_s, _LATEST_S), UTC).strftime("%Y%m%dT%H%M%SZ")


def _number_of(name: str) -> int:
    number = name.partition(_LAST)[0].rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def lines_of(path: Path) -> Iterator[Line]:
    """Iterate the lines of a file. Raises `StoreDamaged`."""
    try:
        with gzip.open(path, "rb") as file:
            for text in file:
                yield _line_of(text)
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise StoreDamaged(f"{path} does not read: {error}") from error


def _require_whole(path: Path) -> None:
    """Unpack a file, which tests its checksums, and look at its two ends. Raises `StoreDamaged`."""
    try:
        with gzip.open(path, "rb") as file:
            ends = [file.readline(), *deque(file, maxlen=1)]
        for text in ends:
            _line_of(text)
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise StoreDamaged(f"{path} does not read: {error}") from error


def _line_of(text: bytes) -> Line:
    line = json.loads(text)
    if not isinstance(line, dict):
        raise ValueError(f"{text[:80]!r} is no line of an archive")  # noqa: TRY004 - as for what is no JSON
    return line
