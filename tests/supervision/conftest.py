"""Stores whose actors are judged quickly, and traps that let everybody go when a test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from breakdowns import SHARDS, WEDGED_S, SetTrap, Trap, post_in
from engines import HeldEngine
from games import begin
from opening import MEMORY, Opener

from pictact_actors import Store


@pytest.fixture
def set_trap(open_store: Opener) -> Iterator[SetTrap]:  # noqa: ARG001 - to let go before that checks
    """Make traps."""
    traps: list[Trap] = []

    def made(times: int = 1, error: BaseException | None = None) -> Trap:
        traps.append(Trap(times, error))
        return traps[-1]

    yield made
    for trap in traps:
        trap.let_go()


@pytest.fixture
def open_game(open_store: Opener) -> Callable[..., Store]:
    """Open a store with a match in each shard, by default without a disk."""

    def opened(path: Any = MEMORY, **limits: Any) -> Store:
        store = open_store(path, **{"shards": SHARDS, "wedged_after_s": WEDGED_S, **limits})
        begin(store, *(post_in(shard) for shard in range(SHARDS)))
        return store

    return opened


@pytest.fixture
def game(open_game: Callable[..., Store]) -> Store:
    """A store without a disk, with a match in each shard."""
    return open_game()


@pytest.fixture
def kept(open_store: Opener, held: HeldEngine) -> Store:
    """A store on a held engine, with a match in each shard."""
    store: Store = open_store(engine=held, shards=SHARDS)
    begin(store, *(post_in(shard) for shard in range(SHARDS)))
    return store
