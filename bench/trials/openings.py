"""Opening after a crash: a process is killed that holds a full store; another one opens it and reads.

The time counts from before the opening to the first record read, with the start of the server where there is one. Each
opening is of a copy of what the killed process left, and everything must be there.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns as now_ns

from bench.sample import Case, require, sample_of
from bench.subjects import SUBJECTS
from bench.subjects.protocol import Subject
from bench.trials.trial import Effort, Found, Trial, Turn

HOME = Path(__file__).resolve().parents[2]
POST = "t3_open"
ENDED_S = 300.0


class Openings(Trial):
    """Opening what was killed."""

    name = "opening"
    lasting = True

    def __init__(self, records: int) -> None:
        self._case = Case("opening", f"open {records:,} records after kill -9", by_time=True)

    @property
    def cases(self) -> Sequence[Case]:
        return (self._case,)

    def able(self, subject: type[Subject]) -> bool:
        return self.name not in subject.LACKS

    def start(self, subject: type[Subject], directory: Path, effort: Effort) -> Turn:
        return OpeningsTurn(subject, directory, self._case, effort.records)


class OpeningsTurn(Turn):
    """What a killed process left, and a copy of it for each opening."""

    def __init__(self, subject: type[Subject], directory: Path, case: Case, records: int) -> None:
        self._kind, self._directory, self._case, self._records = subject, directory, case, records
        self._left, self._copy = directory / "left", directory / "copy"
        self._left.mkdir()
        command = _command("hold", subject, self._left, records)
        with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - ourselves
            require(
                child.stdout is not None and child.stdout.readline().strip() == "full", f"{subject.TITLE}: not full"
            )
            child.send_signal(signal.SIGKILL)

    def measure(self, seed: int) -> Iterator[Found]:  # noqa: ARG002 - nothing is drawn
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._left, self._copy, ignore=_sockets)
        command = _command("open", self._kind, self._copy, self._records)
        told = subprocess.run(  # noqa: S603 - ourselves
            command, cwd=HOME, check=True, stdout=subprocess.PIPE, text=True, timeout=ENDED_S
        )
        took = int(json.loads(told.stdout))
        yield self._case, "", sample_of([array("Q", [took])], self._records, took)

    def close(self) -> int:
        found = self._kind.stored(self._copy)
        require(found.records == self._records, f"{self._kind.TITLE}: {self._records:,} were there, {found} are")
        return found.records


def act(what: str, name: str, directory: Path, records: int) -> None:
    """Be the process that holds a store until it is killed, or the one that opens it and tells how long that took."""
    kind = next(subject for subject in SUBJECTS if name == subject.NAME)
    if what == "hold":
        subject = kind(directory)
        subject.create([POST])
        subject.load(POST, {f"user{n:010d}": 1 for n in range(records)})
        print("full", flush=True)
        signal.pause()
    began = now_ns()
    subject = kind(directory)
    subject.score(POST, "user0000000000")
    took = now_ns() - began
    subject.close()
    print(took)


def _sockets(directory: str, names: list[str]) -> list[str]:
    """Name the sockets in a directory: whoever listened there is dead, and they cannot be copied."""
    return [name for name in names if Path(directory, name).is_socket()]


def _command(what: str, subject: type[Subject], directory: Path, records: int) -> list[str]:
    return [sys.executable, "-m", "bench", "peers", "--act", what, subject.NAME, str(directory.resolve()), str(records)]
