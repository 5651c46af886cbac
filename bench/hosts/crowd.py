"""Players whose host is killed in the middle, and who count what was acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import aiohttp

from bench.hosts.dialect import POST_ID, Dialect, Request
from bench.hosts.drive import post

ANSWER_S_MAX = 30.0


class Lost(Exception):
    """A host lost what it had acknowledged, or counted something twice."""


@dataclass(slots=True)
class Player:
    """One client, its acknowledged awards, and the last one: the only one that may have had no answer."""

    user: str
    acknowledged: int = 0
    last: Request | None = None


class Aftermath(NamedTuple):
    """Awards acknowledged before the kill, those without an answer, and how many of these had been stored."""

    acknowledged: int
    unanswered: int
    stored: int


class Crowd:
    """Players who are awarded points one after the other, all at once."""

    def __init__(self, dialect: Dialect, players: int) -> None:
        self._dialect = dialect
        self._players = [Player(f"survivor{number}") for number in range(players)]

    def play(self, url: str, kill: Callable[[], None], after: int) -> None:
        """Play until nobody gets an answer any more; `kill` is called once so many awards are acknowledged."""
        asyncio.run(self._play(url, kill, after))

    def verify(self, url: str) -> Aftermath:
        """Compare with the scores that are there, repeat what had no answer, and compare again. Raises `Lost`."""
        return asyncio.run(self._verify(url))

    async def _play(self, url: str, kill: Callable[[], None], after: int) -> None:
        killed = False

        async def play(session: aiohttp.ClientSession, player: Player) -> None:
            nonlocal killed
            while True:
                player.last = self._dialect.awarding(player.user, f"{player.user}-{player.acknowledged}")
                try:
                    status = await post(session, player.last)
                except aiohttp.ClientError:
                    return
                if status != 200:
                    raise Lost(f"an award was answered with {status}")
                player.acknowledged += 1
                if not killed and self._acknowledged >= after:
                    killed = True
                    kill()

        async with _session(url) as session:
            await asyncio.gather(*(play(session, player) for player in self._players))

    async def _verify(self, url: str) -> Aftermath:
        stored = 0
        async with _session(url) as session:
            for player in self._players:
                before = await _points(session, player)
                if not player.acknowledged <= before <= player.acknowledged + 1:
                    raise Lost(f"{player.user} has {before} points, {player.acknowledged} were acknowledged")
                stored += before - player.acknowledged
                if player.last is not None and await post(session, player.last) != 200:
                    raise Lost(f"{player.user}'s last award cannot be repeated")
                after = await _points(session, player)
                if after != player.acknowledged + 1:
                    raise Lost(f"{player.user} has {after} points for {player.acknowledged + 1} awards")
        return Aftermath(self._acknowledged, len(self._players), stored)

    @property
    def _acknowledged(self) -> int:
        return sum(player.acknowledged for player in self._players)


def _session(url: str) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
    return aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0), timeout=timeout)


async def _points(session: aiohttp.ClientSession, player: Player) -> int:
    async with session.get(f"/matches/{POST_ID}/scores/{player.user}") as answer:
        return int((await answer.json())["points"]) if answer.status == 200 else 0
