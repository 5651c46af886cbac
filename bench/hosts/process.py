"""A host as a process of its own: begun on a free port, killed or asked to end."""

from __future__ import annotations

import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

PATIENCE_S = 60.0
HOME = Path(__file__).resolve().parents[2]


class HostFailed(Exception):
    """A host did not begin, or did not end well; what it said is on stderr."""


class Host:
    """A running host. `ready_s` is what it took from its beginning until it served."""

    def __init__(self, process: subprocess.Popen[str], url: str, ready_s: float) -> None:
        self.process = process
        self.url = url
        self.ready_s = ready_s

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> float:
        """Ask it to end and return how long that took (s). Raises `HostFailed`."""
        began = perf_counter()
        self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        if code:
            raise HostFailed(f"the host ended with exit code {code}")
        return perf_counter() - began


@contextmanager
def running(name: str, directory: Path, port: int = 0) -> Iterator[Host]:
    """Run a host on a data directory; it is killed if it still runs in the end. Raises `HostFailed`."""
    began = perf_counter()
    command = [sys.executable, "-m", f"bench.hosts.{name}", "--data", str(directory.resolve()), "--port", str(port)]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ourselves
        try:
            yield Host(process, _url(process), perf_counter() - began)
        finally:
            process.kill()


def _url(process: subprocess.Popen[str]) -> str:
    if process.stdout is None or not select.select([process.stdout], [], [], PATIENCE_S)[0]:
        raise HostFailed(f"the host was not ready within {PATIENCE_S:g} s")
    found = re.search(r"http://\S+", process.stdout.readline())
    if found is None:
        raise HostFailed("the host ended before it was ready")
    return found[0]
