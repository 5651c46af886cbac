"""What every test shares: stores that are checked when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import HeldEngine
from hypothesis import settings

from pictact_actors import Store, StoreClosed, StoreConfig
from pictact_actors.clock import Clock, SystemClock
from pictact_actors.storage.engine import Problem

settings.register_profile("pictact", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("pictact")

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
        config = StoreConfig(**{"journal_segment_bytes": SEGMENT_BYTES, **limits})
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
    """Return what is wrong in a store, or None if it is closed."""
    try:
        return store.check()
    except StoreClosed:
        return None


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(tmp_path)
    yield opener
    opener.finish()


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, open_store: Opener) -> Store:
    """A store of each kind."""
    return open_store(MEMORY if request.param == "memory" else None)


@pytest.fixture
def memory(open_store: Opener) -> Store:
    """A store without a disk."""
    return open_store(MEMORY)


@pytest.fixture
def held(open_store: Opener) -> Iterator[HeldEngine]:
    """An engine in memory whose commits can be held up; open a store on it with `open_store(engine=held)`."""
    engine = HeldEngine()
    yield engine
    engine.let_go()
