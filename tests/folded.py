"""A data directory with small files whose journal is folded again and again, and what it has to hold."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commits import Put

from pictact_actors import StoreConfig
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.testing import ManualClock

CLOCK = ManualClock(1_700_000_000)
SEGMENT_BYTES = 4096
CONFIG = StoreConfig(
    journal_segment_bytes=SEGMENT_BYTES,
    journal_bytes_max=4 * SEGMENT_BYTES,
    state_buffer_bytes=64 * 1024,
    state_cache_bytes=64 * 1024,
)


@dataclass
class Folded:
    """An engine on a directory, and the records that its commits led to."""

    path: Path
    seed: int = 0
    config: StoreConfig = CONFIG
    records: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.engine = self.opened()

    def opened(self) -> EmbeddedEngine:
        return EmbeddedEngine.open(self.path, self.config, CLOCK)

    def reopen(self) -> None:
        self.engine.close()
        self.engine = self.opened()

    def commit(self, **changes: bytes | None) -> None:
        self.engine.commit([Put(changes)], 5.0, 6.0)
        self.engine.publish()
        for key, value in changes.items():
            if value is None:
                self.records.pop(key, None)
            else:
                self.records[key] = value

    def work(self, commits: int, keys: int = 200) -> None:
        """Write, overwrite and delete."""
        for _ in range(commits):
            written = {f"k{self.rng.randrange(keys):04}" for _ in range(self.rng.randint(1, 3))}
            self.commit(**{key: None if self.rng.random() < 0.3 else self.rng.randbytes(60) for key in written})

    def fill_segments(self, count: int, **work: Any) -> None:
        """Work until so many more segments are full."""
        full = len(self.engine._journal.closed()) + count
        while len(self.engine._journal.closed()) < full:
            self.work(5, **work)

    def reclaim(self, *, urgent: bool = True) -> int:
        """Give back space to the end; return how many steps that took."""
        return sum(1 for _ in self.engine.reclaim(urgent=urgent))

    def fold(self) -> None:
        """Fold all full segments, and leave the runs as they are."""
        for _ in self.engine._folding._fold(0):
            pass
        for _ in self.engine._folding._clear():
            pass

    def problems(self) -> list[str]:
        """Compare everything with everything."""
        found = [problem.detail for problem in self.engine.check()]
        if list(self.engine.scan("")) != sorted(self.records.items()):
            found.append("it shows other records than were committed")
        return found

    def base(self) -> dict[str, bytes]:
        return dict(self.engine._base.stack.pairs())

    def files(self) -> dict[str, bytes]:
        """Base and journal as they are."""
        names = [*(self.path / "base").glob("*"), *(self.path / "journal").glob("*")]
        return {str(name.relative_to(self.path)): name.read_bytes() for name in names}

    def layers(self) -> list[Path]:
        return sorted((self.path / "base").glob("*.layer"))


class Images:
    """Copies of a directory as a kill would leave it before each call that changes it."""

    def __init__(self, path: Path, home: Path) -> None:
        self._path = path
        self._home = home
        self._count = 0

    def take(self, *_: object) -> None:
        image = self._home / f"{self._count:04}"
        self._count += 1
        shutil.copytree(self._path, image, ignore=shutil.ignore_patterns("state"))

    def all(self) -> Iterator[Path]:
        return iter(sorted(self._home.iterdir()))
