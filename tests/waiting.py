"""Waiting for a fact that nobody announces."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

PATIENCE_S = 20.0
_LOOK_S = 0.001


def until(fact: Callable[[], object]) -> None:
    """Wait until something is true; give up after longer than it can take on a busy machine."""
    deadline = monotonic() + PATIENCE_S
    while not fact():
        assert monotonic() < deadline, "it never became true"
        threading.Event().wait(_LOOK_S)
