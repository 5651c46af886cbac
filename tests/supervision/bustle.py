"""Hosts that do everything at once, on threads and on an event loop, and what has to be there when they are through."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from breakdowns import post_in, user_in
from engines import PATIENCE_S

from pictact_actors import (
    AsyncStore,
    AwardPoints,
    ConflictAborted,
    DeadlockAborted,
    Lifetime,
    MatchClosed,
    Score,
    ShardRestarted,
    Store,
    StoreError,
)

POSTS = [post_in(shard, nth) for shard in range(4) for nth in range(2)]
PLAYERS = [user_in(shard, nth) for shard in range(4) for nth in range(3)]
TOKENS = [user_in(shard, 9) for shard in range(4)]
"""Players whose trophies are always written together."""
MOST_S = PATIENCE_S * 2
NOT_DONE = (ConflictAborted, DeadlockAborted, MatchClosed, ShardRestarted)
"""What a host may be told: nothing of it was done. Anything else is a mistake, also that nobody knows."""


class Bustle:
    """What everybody was told is done: points by post and player."""

    def __init__(self, store: Store, seed: int, disturb: Callable[[random.Random], object]) -> None:
        self.points: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter()
        self.completed: set[str] = set()
        self._store = store
        self._seed = seed
        self._disturb = disturb
        self._lock = threading.Lock()

    def play(self, threads: int, tasks: int, turns: int) -> None:
        """Let everybody play at once, to the end."""
        with ThreadPoolExecutor(threads + 1) as pool:
            playing = [pool.submit(self._host, number, turns) for number in range(threads)]
            playing.append(pool.submit(lambda: asyncio.run(self._loop(threads, tasks, turns))))
            for done in playing:
                done.result(MOST_S * 2)
        for post in POSTS:
            self._store.complete_match(post)

    def assert_all_is_there(self) -> None:
        """Compare the store with what everybody was told."""
        held = dict.fromkeys(self.points, 0)
        for _, score in self._store.scan("score:"):
            assert isinstance(score, Score)
            held[score.post_id, score.user] = score.points
        assert held == dict(self.points)
        for player in PLAYERS:
            played = {post for post, at in held if at == player}
            lifetime = self._store.lifetime(player)
            assert lifetime.matches_played == len(played), player
            assert lifetime.total_points == sum(self.points[post, player] for post in played), player
        assert len({tuple(self._store.lifetime(player).trophies) for player in TOKENS}) == 1
        assert self._store.check() == []

    # -- hosts

    def _host(self, number: int, turns: int) -> None:
        rng = random.Random(f"{self._seed}-{number}")
        for turn in range(turns):
            act = rng.choice([self._award, self._award, self._list, self._transact, self._update, self._put, self._end])
            try:
                act(rng, turn, number)
            except NOT_DONE as refused:
                self._count_refusal(refused)
            self._sometimes_disturb(rng)

    async def _loop(self, first: int, tasks: int, turns: int) -> None:
        store = AsyncStore(self._store)
        await asyncio.gather(*(self._task(store, number, turns) for number in range(first, first + tasks)))

    async def _task(self, store: AsyncStore, number: int, turns: int) -> None:
        rng = random.Random(f"{self._seed}-{number}")
        for _ in range(turns):
            act: Callable[[AsyncStore, random.Random], Awaitable[None]]
            act = rng.choice([self._award_aio, self._transact_aio, self._end_aio])
            try:
                await act(store, rng)
            except NOT_DONE as refused:
                self._count_refusal(refused)
            self._sometimes_disturb(rng)

    # -- what threads do

    def _award(self, rng: random.Random, _turn: int, _number: int) -> None:
        post, player = rng.choice(POSTS), rng.choice(PLAYERS)
        self._store.award_points(post, player, 1, timeout=MOST_S)
        self._note((post, player))

    def _list(self, rng: random.Random, _turn: int, _number: int) -> None:
        """Awards of which some come again with the same request id, and count once."""
        post, player, request = rng.choice(POSTS), rng.choice(PLAYERS), f"r{rng.getrandbits(60)}"
        messages = [AwardPoints(post, player, 1, request_id=f"{request}-{n % 3}") for n in range(5)]
        done = set()
        for message, reply in zip(messages, self._store.submit(messages, timeout=MOST_S), strict=True):
            try:
                reply.get()
                done.add(message.request_id)
            except NOT_DONE as refused:
                self._count_refusal(refused)
        self._note(*[(post, player)] * len(done))

    def _transact(self, rng: random.Random, _turn: int, _number: int) -> None:
        places = _places(rng)

        def award(tx: Any) -> None:
            for post, player in places:
                tx.award_points(post, player, 1)

        self._store.transact(award, timeout=MOST_S)
        self._note(*places)

    def _update(self, rng: random.Random, _turn: int, _number: int) -> None:
        """Only of a score that is there: an update does not look at its match."""
        with self._lock:
            known = sorted(key for key in self.points if key[0] not in self.completed)
        if known:
            post, player = rng.choice(known)
            key = f"score:{post}:{player}"
            self._store.transact(partial(_add_one, key, post), timeout=MOST_S)
            self._note((post, player))

    def _put(self, _rng: random.Random, turn: int, number: int) -> None:
        token = f"{number}-{turn}"
        records = {f"lifetime:{player}": Lifetime(player, trophies=[token]) for player in TOKENS}
        self._store.put_many(records, timeout=MOST_S)

    def _end(self, rng: random.Random, turn: int, _number: int) -> None:
        """Complete a match, once in a while."""
        if turn % 10 == 9:
            post = rng.choice(POSTS)
            self._store.complete_match(post, timeout=MOST_S)
            self.completed.add(post)

    # -- what tasks do

    async def _award_aio(self, store: AsyncStore, rng: random.Random) -> None:
        places = _places(rng)
        told = await asyncio.gather(
            *(store.award_points(post, player, 1, timeout=MOST_S) for post, player in places), return_exceptions=True
        )
        for place, score in zip(places, told, strict=True):
            if isinstance(score, NOT_DONE):
                self._count_refusal(score)
            else:
                assert isinstance(score, Score), score
                self._note(place)

    async def _transact_aio(self, store: AsyncStore, rng: random.Random) -> None:
        places = _places(rng)

        async def award(tx: Any) -> None:
            for post, player in places:
                await tx.award_points(post, player, 1)

        await store.transact(award, timeout=MOST_S)
        self._note(*places)

    async def _end_aio(self, store: AsyncStore, rng: random.Random) -> None:
        if rng.random() < 0.1:
            post = rng.choice(POSTS)
            await store.complete_match(post, timeout=MOST_S)
            self.completed.add(post)

    # -- all

    def _note(self, *places: tuple[str, str]) -> None:
        with self._lock:
            self.points.update(places)

    def _count_refusal(self, refused: StoreError) -> None:
        with self._lock:
            self.refused[type(refused).__name__] += 1

    def _sometimes_disturb(self, rng: random.Random) -> None:
        if rng.random() < 0.2:
            self._disturb(rng)


def _places(rng: random.Random) -> list[tuple[str, str]]:
    return [(rng.choice(POSTS), rng.choice(PLAYERS)) for _ in range(rng.randint(1, 4))]


def _add_one(key: str, post: str, tx: Any) -> None:
    """Add a point to a score by hand, if its match still takes some."""
    if tx.get(f"match:{post}").status != "active":
        raise MatchClosed(post, "completed")
    score = tx.get(key)
    tx.put(key, replace(score, points=score.points + 1))
