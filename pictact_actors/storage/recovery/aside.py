"""What was damaged and is not used any more, kept for people to look at, and what was done about it.

    damaged = ( NUMBER-NAME )*  recoveries.jsonl

A file or directory goes there under its own name with a number before it, the newest KEPT_MAX stay. `recoveries.jsonl`
has the last REPORTS_MAX recoveries, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pictact_actors import log
from pictact_actors.storage.truth.segment import sync_directory, write_durably

NAME: Final = "damaged"
KEPT_MAX: Final = 16
REPORTS_MAX: Final = 100
_REPORTS = "recoveries.jsonl"
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Recovery:
    """A damage that was healed when a store was opened: when (epoch s), which case, what was found, what was done."""

    ts: float
    case: str
    found: str
    done: str

    def to_dict(self) -> dict[str, object]:
        """All fields, plain."""
        return asdict(self)


class Aside:
    """The directory `damaged` of one store; it is made when it is needed."""

    def __init__(self, root: Path) -> None:
        self._path = root / NAME

    def keep(self, path: Path, *, linked: bool = False) -> None:
        """Move a file or directory there, durably; `linked`: a file that stays where it is for now."""
        if not self._path.exists():
            self._path.mkdir()
            sync_directory(self._path.parent)
        number = max(map(_number_of, self._kept()), default=0) + 1
        kept = self._path / f"{number:0{_DIGITS}}-{path.name}"
        if linked:
            os.link(path, kept)
        else:
            path.rename(kept)
        sync_directory(self._path)
        sync_directory(path.parent)
        for old in self._kept()[:-KEPT_MAX]:
            with suppress(OSError):
                shutil.rmtree(old) if old.is_dir() else old.unlink()

    def report(self, recovery: Recovery) -> None:
        """Log a recovery and add it to the list. A list that cannot be written keeps nobody from opening."""
        log.warning(log.STORE_RECOVERED, case=recovery.case, found=recovery.found, done=recovery.done)
        reports = [*self.recoveries(), recovery][-REPORTS_MAX:]
        lines = b"".join(json.dumps(report.to_dict()).encode() + b"\n" for report in reports)
        with suppress(OSError):
            self._path.mkdir(exist_ok=True)
            aside = self._path / f"{_REPORTS}.new"
            write_durably(aside, lines)
            aside.rename(self._path / _REPORTS)
            sync_directory(self._path)
            sync_directory(self._path.parent)

    def recoveries(self) -> tuple[Recovery, ...]:
        """Return what the list has, oldest first; lines that do not read are left out."""
        found: deque[Recovery] = deque(maxlen=REPORTS_MAX)
        with suppress(OSError):
            for line in (self._path / _REPORTS).read_bytes().splitlines():
                with suppress(ValueError, TypeError, KeyError):
                    shown = json.loads(line)
                    found.append(
                        Recovery(float(shown["ts"]), str(shown["case"]), str(shown["found"]), str(shown["done"]))
                    )
        return tuple(found)

    def size_bytes(self) -> int:
        """Return what all of it takes."""
        total = 0
        for path in self._path.rglob("*"):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def _kept(self) -> list[Path]:
        return sorted((path for path in self._path.glob("*-*") if _number_of(path)), key=_number_of)


def _number_of(path: Path) -> int:
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0
