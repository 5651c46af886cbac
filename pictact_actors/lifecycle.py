"""What happens to open stores when the process forks or ends.

A forked child has the parent's files and locks, but none of its threads: its stores refuse everything, and nothing of
theirs is closed or freed there. A host that forgot to close gets its writes in flight finished at exit.
"""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from pictact_actors.errors import StoreClosed


class Runtime(Protocol):
    """The running parts of an open store."""

    def close(self) -> bool:
        """Finish what is in flight and close."""
        ...

    def abandon(self, reason: StoreClosed) -> None:
        """Refuse everything from now on, without touching what other threads own."""
        ...


_open: weakref.WeakSet[Runtime] = weakref.WeakSet()
_inherited: list[Runtime] = []
"""Stores of a parent process, kept so that nothing of theirs is ever freed here."""


def keep_track(runtime: Runtime) -> None:
    """Take care of an open store at fork and exit."""
    _open.add(runtime)


def _after_fork_in_child() -> None:
    reason = StoreClosed("the store belongs to the parent process; open one in the child, on a directory of its own")
    for runtime in list(_open):
        runtime.abandon(reason)
        _inherited.append(runtime)
    _open.clear()


def _at_exit() -> None:
    for runtime in list(_open):
        runtime.close()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
