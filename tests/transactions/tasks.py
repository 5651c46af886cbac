"""What tasks do with a store."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from cells import put
from loops import longest_gap, off_loop, run_on
from stage import waiting
from waiting import until

from pictact_actors import AsyncStore, Store

GAP_S = 0.05
"""Longest time that an event loop may stand still."""


async def add(tx: Any, key: str, number: int = 1) -> int:
    """Add to a cell."""
    points = (await tx.get(key)).points + number
    await put(tx, key, points)
    return points


async def add_both(tx: Any, first: str, second: str) -> int:
    """Add to two cells, in this order."""
    await add(tx, first)
    return await add(tx, second)


async def until_waiting(store: Store, count: int) -> None:
    """Wait until somebody waits for a lock."""
    await off_loop(lambda: until(lambda: waiting(store) == count))


def assert_no_gap(store: Store, play: Callable[[AsyncStore], Coroutine[Any, Any, None]]) -> None:
    """Whoever blocks the loop does so every time; a busy machine does not."""
    gaps = []

    async def main(aio: AsyncStore) -> None:
        while len(gaps) < 3:
            gaps.append(await longest_gap(play(aio)))
            if gaps[-1] <= GAP_S:
                return

    run_on(store, main)
    assert min(gaps) <= GAP_S, f"the loop stood still for {gaps} s"
