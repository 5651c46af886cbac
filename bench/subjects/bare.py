"""The bare parts: pykka's actors, one committer and the store's own journal, and nothing else.

The hops are those of the store (sender, shard actor, committer, one sync for a whole group, reply), and so is what
goes to disk: a frame of commits, each with a key and a record. There are no rules, no checks, no cache, no LevelDB.
`BareParts` sends each award as a message of its own, as pykka does, and is the yardstick of our targets. `BulkParts`
hands over a list a shard, as `Store.submit` does: the most that this structure can do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from time import time
from typing import Any, ClassVar, NamedTuple
from zlib import crc32

import cbor2
import pykka

from bench.subjects.protocol import Draw, Stored
from pictact_actors.storage.truth.journal import Journal

SHARDS = 4
SEGMENT_BYTES = 16 * 1024 * 1024
STORE_ID = bytes(16)


class Reply:
    """One lock, held until the award is on disk."""

    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = Lock()
        self.lock.acquire()

    def get(self) -> None:
        self.lock.acquire()


class Award(NamedTuple):
    """One commit as the journal takes it, and who waits for it."""

    cause: str
    request_id: str | None
    changes: dict[str, bytes | None]
    reply: Reply


STOP = Award("", None, {}, Reply())


class Committer(Thread):
    """Takes what is queued, makes it durable with one sync, then answers. `STOP` ends it."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(name="bare-committer", daemon=True)
        self.inbox: SimpleQueue[Award] = SimpleQueue()
        self._journal = journal

    def run(self) -> None:
        inbox, append = self.inbox, self._journal.append
        while (first := inbox.get()) is not STOP:
            group = [first]
            group += [inbox.get() for _ in range(inbox.qsize())]
            now = time()
            append(group, now, now)
            for award in group:
                award.reply.lock.release()


class Shard(pykka.ThreadingActor):
    """Owns the points of its matches."""

    use_daemon_thread = True

    def __init__(self, points: dict[str, int], commit: SimpleQueue[Award]) -> None:
        super().__init__()
        self._points = points
        self._stage = commit.put

    @staticmethod
    def _create_actor_inbox() -> Any:
        return SimpleQueue()

    def on_receive(self, message: list[tuple[str, Reply]]) -> None:
        points, stage, now = self._points, self._stage, time()
        for key, reply in message:
            points[key] = new = points.get(key, 0) + 1
            record = {"points": new, "wins": 0, "reachedAt": now, "createdAt": now, "updatedAt": now, "v": 1}
            stage(Award("award_points", None, {key: cbor2.dumps(record)}, reply))


class BareParts:
    """The hops of the store without the store."""

    NAME: ClassVar[str] = "bare"
    TITLE: ClassVar[str] = "bare parts"
    SETUP: ClassVar[str] = ""
    LACKS: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("asyncio", "uncached", "boards", "completing", *(f"ycsb-{mix}" for mix in "abcdef"), "opening"),
        "the bare parts only add points to what is in memory",
    )

    def __init__(self, directory: Path) -> None:
        Journal.create(directory, STORE_ID, SEGMENT_BYTES)
        self._journal = Journal.open(directory, STORE_ID, SEGMENT_BYTES)
        self._committer = Committer(self._journal)
        self._committer.start()
        self._points: dict[str, int] = {}
        self._shards = [Shard.start(self._points, self._committer.inbox) for _ in range(SHARDS)]
        self._shard_of: dict[str, pykka.ActorRef[Shard]] = {}

    def create(self, posts: Sequence[str]) -> None:
        self._shard_of = {post: self._shards[crc32(post.encode()) % SHARDS] for post in posts}

    def load(self, post: str, scores: Mapping[str, int]) -> None:
        self._points |= {f"{post}:{user}": points - 1 for user, points in scores.items()}
        for reply in self.submit([(post, user) for user in scores]):
            reply.get()

    def award(self, post: str, user: str) -> None:
        reply = Reply()
        self._shard_of[post].tell([(f"{post}:{user}", reply)])
        reply.get()

    def submit(self, awards: Sequence[Draw]) -> Sequence[Reply]:
        """One message for each award."""
        replies: list[Reply] = []
        for post, user in awards:
            reply = Reply()
            replies.append(reply)
            self._shard_of[post].tell([(f"{post}:{user}", reply)])
        return replies

    def score(self, post: str, user: str) -> int:
        return self._points[f"{post}:{user}"]

    def close(self) -> None:
        for shard in self._shards:
            shard.stop()
        self._committer.inbox.put(STOP)
        self._committer.join()
        self._journal.close()

    @staticmethod
    def stored(directory: Path) -> Stored:
        with closing(Journal.open(directory, STORE_ID, SEGMENT_BYTES)) as journal:
            records = {key: record for entry in journal.entries() for key, record in entry.changes.items()}
        points = [cbor2.loads(record)["points"] for record in records.values() if record is not None]
        return Stored(len(points), sum(points))


class BulkParts(BareParts):
    """The same, with one message a shard for many awards."""

    NAME: ClassVar[str] = "bulk"
    TITLE: ClassVar[str] = "bare parts, in bulk"

    def submit(self, awards: Sequence[Draw]) -> Sequence[Reply]:
        replies: list[Reply] = []
        messages: dict[pykka.ActorRef[Shard], list[tuple[str, Reply]]] = {}
        for post, user in awards:
            reply = Reply()
            replies.append(reply)
            messages.setdefault(self._shard_of[post], []).append((f"{post}:{user}", reply))
        for shard, message in messages.items():
            shard.tell(message)
        return replies
