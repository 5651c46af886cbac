"""What every test shares: stores that are checked when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import HeldEngine
from hypothesis import settings
from opening import MEMORY, Opener

from pictact_actors import Store

settings.register_profile("pictact", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("pictact")


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
def held(open_store: Opener) -> Iterator[HeldEngine]:  # noqa: ARG001 - to be let go before that checks
    """An engine in memory whose commits can be held up; open a store on it with `open_store(engine=held)`."""
    engine = HeldEngine()
    yield engine
    engine.let_go()
