"""Disks that fail on demand, one system call at a time, below one module of the package."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

FULL = errno.ENOSPC
BROKEN = errno.EIO


class Killed(BaseException):
    """The process ends here: nothing of what it had planned for errors is done."""


@dataclass
class Fault:
    """What goes wrong with a call: after `passing` calls, the next `times` ones fail with `code`.

    A write puts `written` bytes on the disk before it fails.
    """

    code: int
    passing: int = 0
    times: int = 1
    written: int = 0

    def strikes(self) -> bool:
        if self.passing:
            self.passing -= 1
            return False
        self.times -= 1
        return self.times >= 0


class FaultyOs:
    """The `os` module as one module sees it."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self.calls: list[str] = []

    def fail(self, name: str, code: int, **when: int) -> None:
        """Let calls of a function fail."""
        self._faults[name] = Fault(code, **when)

    def heal(self) -> None:
        """Let everything work again."""
        self._faults.clear()

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._watched(name, real) if callable(real) and not isinstance(real, type) else real

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            fault = self._faults.get(name)
            if fault is None or not fault.strikes():
                return real(*args, **options)
            if fault.written:
                fd, data, at = args
                real(fd, data[: fault.written], at)
            raise OSError(fault.code, os.strerror(fault.code))

        return call


def faulty_os(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> FaultyOs:
    """Put a disk that can fail below some modules."""
    disk = FaultyOs()
    for module in modules:
        monkeypatch.setattr(module, "os", disk)
    return disk
