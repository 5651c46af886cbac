"""Ctrl-C, SIGTERM and SIGHUP: they stop a command between two steps, never in the middle of one.

Only the main thread uses this. `handled()` lets a signal raise `Stopped`; within `held()` it waits until the step
(opening, closing, one hand-over to the store) is done. A second signal does not wait.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BATCH = 256


class Stopped(KeyboardInterrupt):
    """A signal asked the command to stop. `exit_code` is the shell's convention: 128 + its number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class _Door:
    """Whether a signal may come in now. Owned by the main thread, where Python runs signal handlers."""

    def __init__(self) -> None:
        self.holds = 0
        self.waiting: int | None = None

    def receive(self, number: int, _frame: FrameType | None) -> None:
        if self.holds and self.waiting is None:
            self.waiting = number
            return
        self.waiting = None
        raise Stopped(number)

    def release(self) -> None:
        self.holds -= 1
        if self.holds == 0 and self.waiting is not None:
            number, self.waiting = self.waiting, None
            raise Stopped(number)


_door = _Door()


@contextmanager
def handled() -> Iterator[None]:
    """Raise `Stopped` for signals, and put the old handlers back afterwards. Ignored signals stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    replaced = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in replaced:
        signal.signal(number, _door.receive)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        _door.waiting = None


def ignore() -> None:
    """Ignore signals from now on: the command has ended, only the interpreter is still leaving."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """Let a step finish before a signal stops the command."""
    _door.holds += 1
    try:
        yield
    finally:
        _door.release()


def uninterrupted(items: Iterable[T]) -> Iterator[T]:
    """Yield `items`; a signal never lands inside the iterator that makes them."""
    source = iter(items)
    while True:
        with held():
            batch = list(islice(source, _BATCH))
        if not batch:
            return
        yield from batch
