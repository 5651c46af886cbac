"""Where the console of a data directory is: the socket file `console.sock` in it.

A name of a socket has at most 107 bytes. One in a directory with a longer name is reached through the directory's
descriptor.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pictact_actors.storage.directory import CONSOLE

NAME_BYTES_MAX = 107
_MODE = 0o600
_BACKLOG = 64
_TIMEVAL = struct.Struct("@ll")


@contextmanager
def _reached(path: Path) -> Iterator[str]:
    """Yield a name for a socket that is short enough, as long as the block runs."""
    if len(os.fsencode(path)) <= NAME_BYTES_MAX:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def connected(root: Path, timeout_s: float) -> socket.socket:
    """Return a connection to the console of a data directory. Raises `OSError` if nobody is there."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        waits = _TIMEVAL.pack(int(timeout_s), int(timeout_s % 1 * 1e6))  # where many knock; Python's own does not
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, waits)
        with _reached(root / CONSOLE) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection


class Door:
    """The listening socket of a data directory that this process holds. What a dead process left is replaced."""

    def __init__(self, root: Path) -> None:
        """Listen. Raises `OSError` if that cannot be."""
        self._path = root / CONSOLE
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with suppress(FileNotFoundError):
                if stat.S_ISSOCK(self._path.lstat().st_mode):
                    self._path.unlink()
            with _reached(self._path) as name:
                self.listener.bind(name)
                self._path.chmod(_MODE)  # before anybody can come in
            self._made = self._seen()
            self.listener.listen(_BACKLOG)
        except BaseException:
            self.listener.close()
            raise

    def shut(self) -> None:
        """Remove the file and let nobody in any more; whoever waits in `accept` comes back with `OSError`."""
        with suppress(OSError):
            if self._seen() == self._made:  # it may be somebody else's by now
                self._path.unlink()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)

    def _seen(self) -> tuple[int, int]:
        seen = self._path.lstat()
        return seen.st_dev, seen.st_ino
