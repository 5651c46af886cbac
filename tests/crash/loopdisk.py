"""A file system on a loop device whose power can be cut: what was not synced by then is gone."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

IMAGE_BYTES = 320 * 1024 * 1024
"""As small as xfs may be. The file is sparse."""
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_TOOLS = ("losetup", "mount", "umount")


class LoopDisk:
    """One file system, mounted at `path`. Not for several threads."""

    def __init__(self, home: Path, kind: str) -> None:
        self.path = home / "mounted"
        self.path.mkdir()
        image = home / "disk.image"
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        _run(f"mkfs.{kind}", "-q", str(image))
        self._device = _run("losetup", "--find", "--show", str(image))

    def mount(self) -> None:
        """Mount it; a journal that a cut left is replayed by that."""
        _run("mount", self._device, str(self.path))

    def unmount(self) -> None:
        """Unmount it. Nobody may have anything open there."""
        _run("umount", str(self.path))

    def cut(self) -> None:
        """Cut the power: from now on nothing reaches the disk, not even the log of the file system."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def power_up(self) -> None:
        """Mount it again after a cut, when all that had files open there are dead."""
        self.unmount()
        self.mount()

    def give_up(self) -> None:
        """Unmount and detach it, whatever happened."""
        for command in (("umount", "--lazy", str(self.path)), ("losetup", "--detach", self._device)):
            subprocess.run(command, capture_output=True, check=False)


@contextmanager
def loop_disk(home: Path, kind: str) -> Iterator[LoopDisk]:
    """Make and mount a disk; skip the test, and say why, where that cannot be done."""
    if os.geteuid():
        pytest.skip("NOT TESTED: cutting the power of a file system needs root")
    missing = [tool for tool in (f"mkfs.{kind}", *_TOOLS) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"NOT TESTED: no power can be cut without {', '.join(missing)}; install xfsprogs or util-linux")
    try:
        disk = LoopDisk(home, kind)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"NOT TESTED: there is no loop device to be had: {error.stderr.strip()}")
    try:
        disk.mount()
        yield disk
    finally:
        disk.give_up()


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
