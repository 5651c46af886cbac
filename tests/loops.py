"""Playing on a store from an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from engines import PATIENCE_S

from pictact_actors import AsyncStore, Match, Store, StoreConfig
from pictact_actors.clock import monotonic


def run(play: Callable[[AsyncStore], Coroutine[Any, Any, None]], path: Any = ":memory:", **limits: Any) -> None:
    """Play on a store opened in an event loop of its own; what is left is checked."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S), AsyncStore.open(path, config=StoreConfig(**limits)) as store:
            await play(store)
            assert await store.check() == []

    asyncio.run(main())


def run_on(store: Store, play: Callable[[AsyncStore], Coroutine[Any, Any, None]]) -> None:
    """Play on a store that is open already."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await play(AsyncStore(store))

    asyncio.run(main())


async def create(store: AsyncStore, post_id: str = "t3_a") -> Match:
    """Create a match."""
    return await store.create_match(post_id, subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")


def off_loop(act: Callable[[], Any]) -> asyncio.Future[Any]:
    """Do something that blocks in a thread."""
    return asyncio.get_running_loop().run_in_executor(None, act)


async def longest_gap(during: Awaitable[Any]) -> float:
    """Beat as often as the loop lets us while something goes on; return the longest time between two beats, in s."""
    work = asyncio.ensure_future(during)
    gap, last = 0.0, monotonic()
    while not work.done():
        await asyncio.sleep(0.001)
        now = monotonic()
        gap, last = max(gap, now - last), now
    await work
    return gap
