"""A store that remembers what it held after each of its commits, and backups of it."""

from __future__ import annotations

import math
from pathlib import Path

from commits import Put
from folded import CLOCK, CONFIG, Folded

from pictact_actors import BackupInfo, RestoreReport
from pictact_actors.storage.backup import backup
from pictact_actors.storage.backup.place import Place
from pictact_actors.storage.backup.restoring import restored
from pictact_actors.storage.embedded import EmbeddedEngine

START = 1_000.0


class Timeline(Folded):
    """Commits in groups; the n-th group is committed at `START + n` epoch seconds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.held: list[dict[str, bytes]] = [{}]
        self.times: list[float] = [0.0]
        self.groups = 0

    def commit_group(self, commits: int, keys: int = 40) -> None:
        """Commit a random group."""
        self.groups += 1
        puts = [Put(self._changes(keys)) for _ in range(commits)]
        self.engine.commit(puts, START + self.groups, START)
        self.engine.publish()
        for put in puts:
            now = dict(self.held[-1])
            for key, value in put.changes.items():
                if value is None:
                    now.pop(key, None)
                else:
                    now[key] = value
            self.held.append(now)
            self.times.append(START + self.groups)

    def live(self, groups: int) -> None:
        """Commit so many groups of random size."""
        for _ in range(groups):
            self.commit_group(self.rng.randint(1, 5))

    def backup(self, path: Path) -> BackupInfo:
        return backup.finished(backup.taken(self.engine.capture(), Place(path), CLOCK.now(), math.inf))

    def keep_in(self, path: Path) -> None:
        """Copy segments there before they are folded, as scheduled backups do."""
        self.engine.keep = lambda closed, segment: backup.kept(Place(path, "segment"), closed, segment)

    @property
    def seq(self) -> int:
        return self.engine.seq

    def _changes(self, keys: int) -> dict[str, bytes | None]:
        rng = self.rng
        names = {f"k{rng.randrange(keys):03}" for _ in range(rng.randint(1, 3))}
        return {name: None if rng.random() < 0.2 else rng.randbytes(20) for name in sorted(names)}


def restore(source: Path, path: Path, *, to_seq: int | None = None, to_time: float | None = None) -> RestoreReport:
    return restored(source, path, to_seq, to_time, CONFIG, lambda _: iter(()))


def records_in(path: Path) -> dict[str, bytes]:
    """What a directory holds that was restored; it takes commits, too."""
    engine = EmbeddedEngine.open(path, CONFIG, CLOCK, create=False)
    try:
        assert list(engine.check()) == []
        found = dict(engine.scan(""))
        engine.commit([Put({"after": b"1"})], engine.ts, engine.mark)
        engine.publish()
        assert engine.get("after") == b"1"
        return found
    finally:
        engine.close()
