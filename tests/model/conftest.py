"""Fixtures of the model tests: a world without a store."""

from __future__ import annotations

import pytest
from world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def game(world: World) -> World:
    """A world with one open match, `t3_a`."""
    world.create()
    return world
