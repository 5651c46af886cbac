"""A process below which single system calls go wrong: it forks a child for every task, and each has its own fault.

The calls are counted by a library in C (`calls.c`) that is built on the spot and loaded before the C library. LevelDB
goes through it as well as we do. What children report comes through a pipe and is known here, whatever happens to them.
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest

SOURCE = Path(__file__).with_name("calls.c")
PATIENCE_S = 60.0
WRITE, SYNC, CREATE, RENAME, REMOVE, RESIZE, OPEN = (1 << bit for bit in range(7))
CHANGING: Final = WRITE | SYNC | CREATE | RENAME | REMOVE | RESIZE
"""The calls that change something."""
NOTHING, KILL, TEAR, FAIL, STALL = range(5)
FOR_EVER: Final = -1
Event = tuple[Any, ...]


@dataclass(frozen=True)
class Fault:
    """What goes wrong, from which call on (the first is 1) and how often."""

    action: int = NOTHING
    at: int = 0
    times: int = 1
    code: int = errno.EIO
    kinds: int = CHANGING
    stall_ms: int = 0

    def from_call(self, at: int) -> Fault:
        """The same at another call."""
        return replace(self, at=at)


class Calls:
    """The calls of this process, in a child of `Preloaded`."""

    def __init__(self, path: str, fault: Fault) -> None:
        self._library = ctypes.CDLL(None)
        self._path = os.path.realpath(path)
        self._fault = fault

    def arm(self) -> None:
        """Count from here on, and let the fault happen."""
        fault = self._fault
        self._library.calls_arm(
            self._path.encode(), fault.kinds, fault.action, fault.code, fault.at, fault.times, fault.stall_ms
        )

    def disarm(self) -> int:
        """Let everything work again; return how many calls were counted."""
        self._library.calls_disarm()
        return int(self._library.calls_count())


@dataclass(frozen=True)
class Outcome:
    """What a child reported, and what ended it (0: it came to its end)."""

    events: list[Event]
    signal: int

    def first(self, name: str) -> Event | None:
        """The first event of a name, without it."""
        return next((tuple(event[1:]) for event in self.events if event[0] == name), None)


class Preloaded:
    """The process, as a test sees it: it runs a script that imports everything and calls `serve`."""

    def __init__(self, library: Path, script: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._read = b""

    def run(self, task: str, path: Path, fault: Fault = Fault(), **details: Any) -> Outcome:
        """Let a child do a task on a directory, and wait for its end."""
        assert self._process.stdin is not None
        request = {"task": task, "path": str(path), "fault": asdict(fault), "details": details}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        events: list[Event] = []
        for event in self._events():
            if event[0] == "ended":
                failures = [failure[1] for failure in events if failure[0] == "failed"]
                assert not failures, f"{task} failed under {fault}:\n{failures[0]}"
                return Outcome(events, int(event[1]))
            events.append(event)
        raise AssertionError(f"{task} under {fault} hangs after {events}")

    def close(self) -> None:
        """End it, and a child that hangs."""
        self._process.kill()
        self._process.communicate()

    def _events(self) -> Iterator[Event]:
        assert self._process.stdout is not None
        fd, deadline = self._process.stdout.fileno(), monotonic() + PATIENCE_S
        while True:
            while b"\n" not in self._read:
                ready, _, _ = select.select([fd], [], [], max(0.0, deadline - monotonic()))
                data = os.read(fd, 1 << 20) if ready else b""
                if not data:
                    return
                self._read += data
            line, _, self._read = self._read.partition(b"\n")
            yield tuple(json.loads(line))


@contextmanager
def preloaded(home: Path, script: Path) -> Iterator[Preloaded]:
    """Build the library and start the process; skip the test, and say why, where that cannot be done."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("NOT TESTED: single system calls cannot go wrong without a C compiler and Linux; install gcc")
    library = home / "calls.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    process = Preloaded(library, script)
    try:
        yield process
    finally:
        process.close()


def serve(tasks: Mapping[str, Any]) -> None:
    """Do tasks for a test until it ends, each in a child: `task(path, calls, report, **details)`."""
    for line in sys.stdin.buffer:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _serve_one(tasks[request["task"]], request)
        _, status = os.waitpid(child, 0)
        report("ended", os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)


def _serve_one(task: Any, request: Mapping[str, Any]) -> None:
    faulthandler.dump_traceback_later(PATIENCE_S / 2, exit=True)
    try:
        task(request["path"], Calls(request["path"], Fault(**request["fault"])), **request["details"])
    except BaseException as error:  # noqa: BLE001 - told to the test, whatever it is
        report("failed", repr(error))
    finally:
        os._exit(0)


def report(*event: Any) -> None:
    """Tell the test something; it is known there when this returns."""
    os.write(1, json.dumps(event, default=vars).encode() + b"\n")
