"""What a command did: its exit code and what it said. Shared by the tests of the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A shell that runs tests in the background lets them ignore Ctrl-C, and so would their children.
PROGRAM = """
import signal, runpy
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("pictact_actors", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        (line,) = self.err.splitlines()
        assert line.startswith("pictact: ")
        return line


Run = Callable[..., Ran]
Start = Callable[..., "subprocess.Popen[str]"]
