"""What happens to open stores when the process forks or ends.

A forked child has the parent's files and locks, but none of its threads: its stores refuse everything, and nothing of
theirs is closed or freed there. A host that forgot to close gets its writes in flight finished at exit. What was
opened last goes first: the console before the store that it shows.
"""

from __future__ import annotations

import atexit
import os
import weakref
from itertools import count
from typing import Protocol

from pictact_actors.errors import StoreClosed


class Running(Protocol):
    """Parts of an open store that run."""

    def close(self) -> bool:
        """Finish what is in flight and close; True if this call did, all of it."""
        ...

    def abandon(self, reason: StoreClosed) -> None:
        """Refuse everything from now on, without touching what other threads own."""
        ...


_numbers = count()
_open: weakref.WeakValueDictionary[int, Running] = weakref.WeakValueDictionary()
_inherited: list[Running] = []
"""Stores of a parent process, kept so that nothing of theirs is ever freed here."""


def keep_track(running: Running) -> None:
    """Take care of what runs at fork and exit."""
    _open[next(_numbers)] = running


def _latest_first() -> list[Running]:
    return [running for _, running in sorted(_open.items(), reverse=True)]


def _after_fork_in_child() -> None:
    reason = StoreClosed("the store belongs to the parent process; open one in the child, on a directory of its own")
    for running in _latest_first():
        running.abandon(reason)
        _inherited.append(running)
    _open.clear()


def _at_exit() -> None:
    for running in _latest_first():
        running.close()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
