"""Redis with an append-only file that is synced before each answer, over a Unix socket.

As its documentation says for data that must last: `appendonly yes`, `appendfsync always` (one sync for all commands
that arrived together, before any is answered), no snapshots beside it, everything else as it comes; hiredis parses the
answers; a pipeline for many commands, MULTI or a script for what belongs together, and a sorted set for a leaderboard.
The bench starts the server by itself in the data directory, with no port, and it dies with whoever started it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar, Final

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as NotConnected
from redis.retry import Retry

from bench.subjects.protocol import AwardTask, Board, Draw, Line, Stored, Waitable

SOCKET = "redis.socket"
NEEDED = ("redis-server", "setpriv")
START_S = 60.0
STOP_S = 30.0
STEP = 4_000
CONNECTIONS = 64
CONFIG = """
port 0
unixsocket {socket}
appendonly yes
appendfsync always
save ""
"""
COMPLETE = """
    local post, board, rank, before = ARGV[1], {}, 0, ''
    for _, user in ipairs(redis.call('ZRANGE', 'players:' .. post, 0, -1)) do
        local score = redis.call('HMGET', 'score:' .. post .. ':' .. user, 'points', 'wins')
        board[#board + 1] = {user, tonumber(score[1]), tonumber(score[2] or 0)}
    end
    table.sort(board, function(a, b) return a[2] > b[2] or (a[2] == b[2] and a[3] > b[3]) end)
    for position, line in ipairs(board) do
        local user, points, wins = line[1], line[2], line[3]
        if points .. '/' .. wins ~= before then rank, before = position, points .. '/' .. wins end
        redis.call('HINCRBY', 'lifetime:' .. user, 'wins', wins)
        redis.call('HINCRBY', 'lifetime:' .. user, 'played', 1)
        redis.call('HINCRBY', 'lifetime:' .. user, 'points', points)
        redis.call('HSET', 'history:' .. user .. ':' .. post, 'points', points, 'wins', wins, 'rank', rank)
    end
    redis.call('HSET', 'match:' .. post, 'status', 'completed')
"""


class Server:
    """A redis-server of our own. Returns from the constructor when it serves."""

    def __init__(self, directory: Path) -> None:
        self._place = os.open(directory, os.O_DIRECTORY)
        self.socket: Final = f"/proc/self/fd/{self._place}/{SOCKET}"  # the path of a socket has 107 bytes at the most
        config = directory / "redis.conf"
        config.write_text(CONFIG.format(socket=SOCKET), encoding="utf-8")
        # Killed with us, also when we are killed: nothing is left behind, and a crash of ours is a crash of Redis.
        command = [shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", "redis-server", config.name]
        self._process = subprocess.Popen(  # noqa: S603 - ours
            command, cwd=directory, stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._wait()

    def client(self) -> Any:
        """Return a client with a pool of connections, one for each thread at work."""
        return redis.Redis(unix_socket_path=self.socket)

    def stop(self) -> None:
        """End the server as an operator would: it has everything on disk already."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
        os.close(self._place)

    def _wait(self) -> None:
        deadline = monotonic() + START_S
        with redis.Redis(unix_socket_path=self.socket, retry=Retry(NoBackoff(), 0)) as client:
            while self._process.poll() is None and monotonic() < deadline:
                with suppress(NotConnected, BusyLoadingError):
                    client.ping()
                    return
                sleep(0.001)
        self.stop()
        raise OSError(f"redis-server did not serve within {START_S:g} s, or ended by itself; run it with {CONFIG!r}")


class Acknowledged:
    """An award of a pipeline whose answers are all there."""

    def get(self) -> None: ...


ACKNOWLEDGED = Acknowledged()


class RedisAlways:
    """A hash for each score, as its documentation models objects; HINCRBY adds in the server."""

    NAME: ClassVar[str] = "redis"
    TITLE: ClassVar[str] = "Redis always"
    SETUP: ClassVar[str] = ""
    LACKS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, directory: Path) -> None:
        self._server = Server(directory)
        self._client = self._server.client()
        self._complete = self._client.register_script(COMPLETE)

    def create(self, posts: Sequence[str]) -> None:
        with self._client.pipeline() as pipe:
            for post in posts:
                pipe.hset(f"match:{post}", "status", "active")
            pipe.execute()

    def load(self, post: str, scores: Mapping[str, int]) -> None:
        rest = iter(scores.items())
        while step := dict(islice(rest, STEP)):
            with self._client.pipeline(transaction=False) as pipe:
                pipe.zadd(f"players:{post}", dict.fromkeys(step, 0))
                for user, points in step.items():
                    pipe.hset(f"score:{post}:{user}", mapping={"points": points, "wins": 0})
                pipe.execute()

    def award(self, post: str, user: str) -> None:
        if self._client.hincrby(f"score:{post}:{user}", "points", 1) == 1:
            self._client.zadd(f"players:{post}", {user: 0})

    def submit(self, awards: Sequence[Draw]) -> Sequence[Waitable]:
        self._pipelined(awards, transaction=False)
        return [ACKNOWLEDGED] * len(awards)

    def batch(self, awards: Sequence[Draw]) -> None:
        self._pipelined(awards, transaction=True)

    @staticmethod
    @asynccontextmanager
    async def tasks(directory: Path, posts: Sequence[str], load: Mapping[str, int]) -> AsyncIterator[AwardTask]:
        subject = RedisAlways(directory)
        try:
            subject.create(posts)
            for post in posts:
                subject.load(post, load)
            pool = redis.asyncio.BlockingConnectionPool.from_url(
                f"unix://{subject._server.socket}",
                max_connections=CONNECTIONS,
                timeout=START_S,
            )
            async with redis.asyncio.Redis(connection_pool=pool) as client:

                async def award(post: str, user: str) -> object:
                    return await client.hincrby(f"score:{post}:{user}", "points", 1)

                yield award
            await pool.aclose()
        finally:
            subject.close()

    def score(self, post: str, user: str) -> object:
        return self._client.hgetall(f"score:{post}:{user}")

    def put(self, post: str, user: str) -> None:
        if self._client.hset(f"score:{post}:{user}", mapping={"points": 1, "wins": 0}):
            self._client.zadd(f"players:{post}", {user: 0})

    def scan(self, post: str, user: str, limit: int) -> int:
        users = self._client.zrangebylex(f"players:{post}", f"[{user}", "+", 0, limit)
        with self._client.pipeline(transaction=False) as pipe:
            for found in users:
                pipe.hgetall(f"score:{post}:{found.decode()}")
            return len(pipe.execute())

    @staticmethod
    def board(directory: Path) -> Board:
        return RedisBoard(directory)

    def complete(self, post: str) -> None:
        self._complete(args=[post])

    def close(self) -> None:
        self._client.close()
        self._server.stop()

    @staticmethod
    def stored(directory: Path) -> Stored:
        return _counted(directory, "score:*")

    @staticmethod
    def lifetimes(directory: Path) -> Stored:
        return _counted(directory, "lifetime:*")

    def _pipelined(self, awards: Sequence[Draw], *, transaction: bool) -> None:
        with self._client.pipeline(transaction=transaction) as pipe:
            for post, user in awards:
                pipe.hincrby(f"score:{post}:{user}", "points", 1)
            answers = pipe.execute()
        for (post, user), points in zip(awards, answers, strict=True):
            if points == 1:
                self._client.zadd(f"players:{post}", {user: 0})


class RedisBoard:
    """A sorted set, the structure that Redis recommends for leaderboards."""

    KEY: ClassVar[str] = "board"

    def __init__(self, directory: Path) -> None:
        self._server = Server(directory)
        self._client = self._server.client()

    def fill(self, scores: Mapping[str, int]) -> None:
        rest = iter(scores.items())
        while step := dict(islice(rest, STEP)):
            self._client.zadd(self.KEY, step)

    def add(self, users: Sequence[str]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for user in users:
                pipe.zincrby(self.KEY, 1, user)
            pipe.execute()

    def top(self) -> list[Line]:
        return self._lines(0, 9)

    def rank(self, user: str) -> int:
        return 1 + int(self._client.zrevrank(self.KEY, user))

    def around(self, user: str) -> list[Line]:
        at = self._client.zrevrank(self.KEY, user)
        return self._lines(max(0, at - 2), at + 2)

    def close(self) -> None:
        self._client.close()
        self._server.stop()

    def _lines(self, first: int, last: int) -> list[Line]:
        found = self._client.zrevrange(self.KEY, first, last, withscores=True)
        return [(user.decode(), int(points)) for user, points in found]


def missing() -> str | None:
    """Name the programs that are not on this machine, or None."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found: install the distribution's package" if absent else None


def _counted(directory: Path, pattern: str) -> Stored:
    server = Server(directory)
    client = server.client()
    try:
        keys = list(client.scan_iter(pattern, count=STEP))
        points = 0
        for first in range(0, len(keys), STEP):
            with client.pipeline(transaction=False) as pipe:
                for key in keys[first : first + STEP]:
                    pipe.hget(key, "points")
                points += sum(map(int, pipe.execute()))
    finally:
        client.close()
        server.stop()
    return Stored(len(keys), points)
