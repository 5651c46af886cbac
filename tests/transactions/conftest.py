"""Stages over a store whose cells lie in known shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from cells import SHARDS, X, Y, Z, fill, post_in, user_in
from opening import MEMORY, Opener
from stage import SetStage, Stage

from pictact_actors import Store


@pytest.fixture
def sharded(open_store: Opener) -> Store:
    """A store without a disk and with `SHARDS` shards, whatever the default is."""
    return open_store(MEMORY, shards=SHARDS)


@pytest.fixture
def filled(sharded: Store) -> Store:
    """Three cells in three shards."""
    fill(sharded, {X: 10, Y: 20, Z: 30})
    return sharded


@pytest.fixture
def set_stage(sharded: Store) -> Iterator[SetStage]:
    """Fill cells and let transactions come on; those that are left over leave at the end."""
    stages: list[Stage] = []

    def set_up(values: Mapping[str, int]) -> Stage:
        fill(sharded, values)
        stages.append(Stage(sharded))
        return stages[-1]

    yield set_up
    for stage in stages:
        stage.clear()


PLACES = {
    "one group": [f"score:{post_in(0)}:{user}" for user in ("ann", "bob", "cat", "dan")],
    "groups of one shard": [f"score:{post_in(1, nth)}:ann" for nth in range(4)],
    "shards": [f"score:{post_in(shard)}:ann" for shard in range(4)],
    "posts and users": [
        f"match:{post_in(3)}",
        f"lifetime:{user_in(0)}",
        f"score:{post_in(2)}:ann",
        f"lifetime:{user_in(1)}",
    ],
}
"""Where four cells may lie."""

PREFIXES = {
    "one group": (f"score:{post_in(0)}:", PLACES["one group"]),
    "all scores": ("score:", PLACES["shards"]),
    "all players": ("lifetime:", [f"lifetime:{user_in(shard)}" for shard in range(4)]),
}
"""Prefixes, and four cells under each."""


@pytest.fixture(params=PLACES.values(), ids=PLACES)
def places(request: pytest.FixtureRequest) -> list[str]:
    """Four keys: of one group, of one shard, of many."""
    return list(request.param)


@pytest.fixture(params=PREFIXES.values(), ids=PREFIXES)
def predicate(request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    """A prefix within one group or over all shards, and four keys under it."""
    prefix, keys = request.param
    return prefix, list(keys)
