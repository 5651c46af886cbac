"""The bare parts: actors, one committer, one journal, and nothing else.

The hops are those of the store (sender, shard actor, committer, one sync for a whole group, reply), and so is what
goes to disk: a key and a record for each award. There are no rules, no checks, no request ids, no cache and no LevelDB.
`BareParts` sends each award as a message of its own, as pykka does, and is the yardstick of our targets. `BulkParts`
hands over a list a shard, as `Store.submit` does: the most that this structure can do.

    frame = length(4) crc32c(4) CBOR [ [ key, record ], … ]        in preallocated segments; zeros follow the last
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from time import time
from typing import Any, ClassVar
from zlib import crc32

import cbor2
import google_crc32c
import pykka

from bench.subjects.protocol import Draw

SHARDS = 4
SEGMENT_BYTES = 64 * 1024 * 1024
_HEAD = struct.Struct("<II")


class Reply:
    """One lock, held until the award is on disk."""

    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = Lock()
        self.lock.acquire()

    def get(self) -> None:
        self.lock.acquire()


Staged = tuple[str, bytes, Reply]
STOP: Staged = ("", b"", Reply())


class Journal:
    """Preallocated segments, one `fdatasync` per frame."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number = 0
        self._roll()

    def append(self, body: bytes) -> None:
        frame = _HEAD.pack(len(body), google_crc32c.value(body)) + body
        if self._end + len(frame) > SEGMENT_BYTES:
            self.close()
            self._roll()
        os.pwrite(self._file, frame, self._end)
        os.fdatasync(self._file)
        self._end += len(frame)

    def _roll(self) -> None:
        self._number += 1
        self._file = os.open(self._directory / f"{self._number:06d}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.posix_fallocate(self._file, 0, SEGMENT_BYTES)
        os.fsync(self._file)
        self._end = 0

    def close(self) -> None:
        os.close(self._file)


class Committer(Thread):
    """Takes what is queued, makes it durable with one sync, then answers. `STOP` ends it."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(name="bare-committer", daemon=True)
        self.inbox: SimpleQueue[Staged] = SimpleQueue()
        self._journal = journal

    def run(self) -> None:
        inbox, append = self.inbox, self._journal.append
        while (first := inbox.get()) is not STOP:
            group = [first]
            group += [inbox.get() for _ in range(inbox.qsize())]
            append(cbor2.dumps([(key, record) for key, record, _ in group]))
            for _, _, reply in group:
                reply.lock.release()


class Shard(pykka.ThreadingActor):
    """Owns the points of its matches."""

    use_daemon_thread = True

    def __init__(self, points: dict[str, int], commit: SimpleQueue[Staged]) -> None:
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
            stage((key, cbor2.dumps(record), reply))


class BareParts:
    """The hops of the store without the store."""

    NAME: ClassVar[str] = "bare"
    TITLE: ClassVar[str] = "bare parts"
    SETUP: ClassVar[str] = ""

    def __init__(self, directory: Path) -> None:
        self._journal = Journal(directory)
        self._committer = Committer(self._journal)
        self._committer.start()
        self._points: dict[str, int] = {}
        self._shards = [Shard.start(self._points, self._committer.inbox) for _ in range(SHARDS)]
        self._shard_of: dict[str, pykka.ActorRef[Shard]] = {}

    def create(self, posts: Sequence[str]) -> None:
        self._shard_of = {post: self._shards[crc32(post.encode()) % SHARDS] for post in posts}

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
    def stored_points(directory: Path) -> int:
        points: dict[str, int] = {}
        for segment in sorted(directory.iterdir()):
            for body in _bodies(segment.read_bytes()):
                points.update((key, cbor2.loads(record)["points"]) for key, record in cbor2.loads(body))
        return sum(points.values())


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


def _bodies(segment: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEAD.size <= len(segment):
        length, crc = _HEAD.unpack_from(segment, at)
        body = segment[at + _HEAD.size : at + _HEAD.size + length]
        if not length or google_crc32c.value(body) != crc:
            return
        yield body
        at += _HEAD.size + length
