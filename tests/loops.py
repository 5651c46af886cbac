"""Playing on a store from an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from engines import PATIENCE_S

from pictact_actors import AsyncStore, Match, Store, StoreConfig


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
