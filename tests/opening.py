"""How a test opens stores: each is checked when the test is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines import PATIENCE_S

from pictact_actors import Store, StoreClosed, StoreConfig
from pictact_actors.clock import Clock, SystemClock, monotonic
from pictact_actors.config import PERIOD_S_MAX
from pictact_actors.storage.engine import Problem

MEMORY = ":memory:"
SEGMENT_BYTES = 256 * 1024
"""Small journal segments: they are quickly made, and they roll over now and then."""


class Opener:
    """Opens stores. Whatever a test leaves behind is checked at its end: the open ones as they are, the rest anew."""

    def __init__(self, home: Path) -> None:
        self.path = home / "game-data"
        self._stores: list[Store] = []
        self._latest: dict[Path, Store] = {}

    def __call__(
        self, path: str | Path | None = None, *, engine: Any = None, clock: Clock | None = None, **limits: Any
    ) -> Store:
        """Open `path` (`":memory:"`, or by default a directory of the test), or a store on an `engine`."""
        quiet = {"read_alarm_s": PERIOD_S_MAX, "write_alarm_s": PERIOD_S_MAX}  # a busy machine is no test's business
        config = StoreConfig(**{"journal_segment_bytes": SEGMENT_BYTES, **quiet, **limits})
        if engine is not None:
            store = Store(engine, config, clock or SystemClock())
        else:
            store = Store.open(path or self.path, config=config, clock=clock)
            self._latest[Path(path or self.path)] = store
        self._stores.append(store)
        return store

    def finish(self) -> None:
        """Check and close everything."""
        found = {store: _problems(store) for store in self._stores}
        for store in self._stores:
            store.close()
        problems = [problem for listed in found.values() for problem in listed or ()]
        for path, store in self._latest.items():
            if found[store] is None and path.exists():
                with Store.open(path, create=False) as left:
                    problems += left.check()
        assert problems == []


def _problems(store: Store) -> list[Problem] | None:
    """Return what is wrong in a store, or None if it is closed. Everything that was let in must have left again."""
    try:
        problems = store.check()
    except StoreClosed:
        return None
    stuck = [link for link in store.runtime.links if not link.gate.wait_empty(monotonic() + PATIENCE_S)]
    return problems + [Problem("gate", f"shard:{link.index}", f"{link.gate.in_flight} never left") for link in stuck]
