"""One moment of a store, pinned so that it can be read and copied while the store goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pictact_actors.storage.truth.base import Pin
from pictact_actors.storage.truth.stack import Stack


@dataclass
class Snapshot:
    """The moment after commit `seq`: where its files are, and its records. Read by the thread that took it.

    Nothing of base and journal is removed until `release`. `first_number` is the first segment behind the stack,
    `archived` the names of the files in the archive at that moment.
    """

    path: Path
    store_id: bytes
    seq: int
    stack: Stack
    first_number: int
    archived: tuple[str, ...]
    pairs: Iterator[tuple[str, bytes]]
    pin: Pin | None

    def release(self) -> None:
        """Let the store give back space again."""
        self.pin = None


def created_at(path: Path) -> float:
    """Return when the store in a directory was created (epoch s), 0 if it does not say so any more."""
    try:
        return float(json.loads((path / "STORE").read_bytes())["createdAt"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
