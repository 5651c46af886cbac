"""What every reader sees: the committed records, one moment at a time.

The committer publishes a commit group as a whole. While it does, `_publishing` is set: a reader that meets it waits
for the end of the moment, because what it just read may be newer than what somebody else is still shown. A reader that
does not meet it has read before or after the group, and needs no lock: a look-up in a dict and a look at the flag.
Readers of several records take the lock of the moment, or pin it in the engine and go on at leisure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

from pictact_actors.clock import monotonic
from pictact_actors.errors import NotFound, StoreClosed, StoreDamaged
from pictact_actors.model import codec, keys
from pictact_actors.model.integrity import Indexes
from pictact_actors.model.records import Record, Score
from pictact_actors.model.summary import MatchMeans
from pictact_actors.runtime.cache import SMALL_BYTES, Cache
from pictact_actors.runtime.expiry import Expiry, nothing
from pictact_actors.runtime.leaderboard import Board, Boards, WouldWait
from pictact_actors.runtime.lifetimes import LifetimeBoard
from pictact_actors.runtime.meter import ReadMeter
from pictact_actors.runtime.observed import KINDS as OBSERVED
from pictact_actors.runtime.observed import Observed
from pictact_actors.runtime.staging import Staged
from pictact_actors.runtime.statistics import Held
from pictact_actors.storage.backup.snapshot import Snapshot
from pictact_actors.storage.engine import Engine, Problem

T = TypeVar("T")
_LOADS = 16
"""Boards that can be loaded at the same time, at the most."""
_GLANCES = 3
"""Attempts to read several things without holding writers up; then they wait, for less than a millisecond."""


class Committed:
    """Committed records, leaderboards, and the moment they belong to."""

    def __init__(
        self, engine: Engine, cache_bytes_max: int, board_players_max: int, expiry: Expiry, reads: ReadMeter
    ) -> None:
        self.expiry = expiry
        self.meter = reads
        self._engine = engine
        self._cache = Cache(cache_bytes_max)
        self._boards = Boards(board_players_max)
        self._totals_version = 0
        self._moment = threading.RLock()  # a host's signal handler may close the store in the middle of a read
        self._observed = Observed(engine, self._moment, self._locked_get)
        self._loads = [threading.Lock() for _ in range(_LOADS)]
        self._publishing = False
        self._version = 0
        self._closed: StoreClosed | None = None
        self._wall_time = expiry.wall_time
        self._reads = 0
        """Look-ups of one record. Added up without a lock: the interpreter lock makes that exact."""

    # -- one record

    def get(self, key: str) -> Record | None:
        """Return the record under a key, unless its post is due. Raises `InvalidKey` if there can be none."""
        expiry = self.expiry  # first: a post that was due may be made anew after this, but what is read then is new
        if (expiry.gone or self._wall_time() >= expiry.next_due) and self.hides(key):
            return None
        self._reads += 1
        record = self._cache.hot.get(key)
        if record is None or self._publishing:
            record = self._get_slowly(key)
        return record

    def get_due(self, key: str) -> Record | None:
        """Return the record under a key, also one whose post is due."""
        self._reads += 1
        record = self._cache.hot.get(key)  # what is found was checked
        if record is None or self._publishing:
            return self._get_slowly(key)
        return record

    def cached(self, key: str) -> Record | None:
        """Return the record under a key if that needs no wait and no disk."""
        if self.hides(key):
            return None
        record = self._cache.hot.get(key)
        if record is None or self._publishing:
            return None
        self._reads += 1
        return record

    def hides(self, key: str) -> bool:
        """Whether a record is gone although it is there: its post is due."""
        expiry = self.expiry
        if self._wall_time() >= expiry.next_due:
            expiry.look()
        return bool(expiry.gone) and expiry.hides(key)

    def _get_slowly(self, key: str) -> Record | None:
        if self._publishing:
            with self._moment:
                record = self._cache.hot.get(key)
            if record is not None:
                return record
        version = self._version  # before both look-ups: what is published after it is newer than what they find
        record = self._cache.hot.get(key) or self._cache.cold.get(key)
        if record is None:
            self.require_open()
            self._cache.misses += 1
            began = monotonic()
            record, value_bytes = self._read(key)
            self.meter.add("get", began)
            if record is not None:
                self._keep(key, record, value_bytes, version)
        else:
            self._keep(key, record, self._cache.cold_bytes(key), version)
        if self._publishing or self._version != version:
            with self._moment:
                return self._locked_get(key)
        return record

    def _keep(self, key: str, record: Record, value_bytes: int, version: int) -> None:
        """Take a record that was read into the cache, unless anything was published since."""
        if self._publishing or self._version != version:
            return
        with self._moment:  # not `acquire`: who is interrupted behind that (Ctrl-C) would never release it
            if self._version == version:
                self._cache.put(key, record, value_bytes)

    def _locked_get(self, key: str) -> Record | None:
        """Return the record under a key while the moment is held."""
        return self._cache.hot.get(key) or self._cache.cold.get(key) or self._read(key)[0]

    def _read(self, key: str) -> tuple[Record | None, int]:
        """Return the record that the engine has under a key, and its encoded size. Raises `InvalidKey`.

        Keys were checked when they were written. So one is looked at only if it leads nowhere.
        """
        try:
            value = self._engine.get(key)
            if value:
                return codec.decode(key, value), len(value)
        except (AttributeError, UnicodeEncodeError, StoreDamaged):
            keys.parse(key)
            raise
        keys.parse(key)
        return None, 0

    # -- several records of one moment

    def get_many(self, wanted: Iterable[str]) -> dict[str, Record]:
        """Return the records that exist among the wanted ones, all of one moment."""
        listed = list(wanted)
        for _ in range(3):
            version = self._version
            found = {key: self.get(key) for key in listed}
            if self._version == version and not self._publishing:
                break
        else:
            with self._moment:
                found = {key: None if self.hides(key) else self._locked_get(key) for key in listed}
        return {key: record for key, record in found.items() if record is not None and not self.hides(key)}

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, Record]]:
        """Iterate the records under a prefix, as they are now, in key order, but those whose post is due."""
        self.require_open()
        with self._moment:
            pairs = self._engine.scan(prefix, after)
            if self._wall_time() >= self.expiry.next_due:
                self.expiry.look()
            hides = self.expiry.at_this_moment()
        shown = pairs if hides is nothing else (pair for pair in pairs if not hides(pair[0]))
        return self._decode_all(shown, prefix)

    def scan_due(self, prefix: str) -> Iterator[tuple[str, Record]]:
        """Iterate the records under a prefix, also those whose post is due."""
        return self._decode_all(self.stored(prefix), prefix)

    def stored(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Iterate the same as they are stored, behind `after`."""
        self.require_open()
        with self._moment:
            return self._engine.scan(prefix, after)

    def index(self, prefix: str, after: str | None = None) -> Iterator[str]:
        """Iterate the keys of an index under a prefix, as they are now, in order."""
        self.require_open()
        with self._moment:
            pairs = self._engine.scan(prefix, after)
        return (key for key, _ in pairs)

    def one_and_scan(self, key: str, prefix: str) -> tuple[Record | None, list[Record]]:
        """Return the record under a key and all those under a prefix, as they are at one moment."""
        self.require_open()
        with self._moment:
            if self.hides(key):
                return None, []
            record = self._locked_get(key)
            pairs = self._engine.scan(prefix)
        return record, [record for _, record in self._decode_all(pairs, prefix)]

    def pinned(self) -> tuple[Iterator[tuple[str, Record]], Indexes, Iterator[Problem]]:
        """Return all records of the present moment, its indexes for two looks, and the engine's own check of it."""
        self.require_open()
        with self._moment:
            records = [self._decode_all(self._engine.scan("")) for _ in range(2)]
            scans = [chain.from_iterable([self._engine.scan(prefix) for prefix in keys.INDEXES]) for _ in range(2)]
            index_keys = iter([(key for key, _ in scan) for scan in scans])
            return records[0], Indexes(lambda: next(index_keys), lambda: records[1]), self._engine.check()

    def capture(self) -> Snapshot:
        """Pin the present moment for a backup. Raises `InvalidValue` if the store has no files."""
        self.require_open()
        with self._moment:
            return self._engine.capture()

    # -- leaderboards

    def on_board(self, post_id: str, read: Callable[[Board], T]) -> T:
        """Read a post's leaderboard, loading it if need be. Raises `NotFound` if there is no such match."""
        while True:
            if self.hides(keys.match_key(post_id)):
                self._boards.drop(post_id)
                raise NotFound(keys.match_key(post_id))
            with self._moment:
                self.require_open()
                board = self._boards.get(post_id)
                if board is not None:
                    return read(board)
            if self.get(keys.match_key(post_id)) is None:
                raise NotFound(keys.match_key(post_id))
            with self._one_load(post_id):
                self._load_board(post_id)

    def on_board_at_once(self, post_id: str, read: Callable[[Board], T]) -> T:
        """Read a post's leaderboard if that needs no wait and no disk. Raises `WouldWait` otherwise."""
        if self._closed is None and not self.hides(keys.match_key(post_id)) and self._moment.acquire(blocking=False):
            try:
                board = self._boards.get(post_id)
                if board is not None:
                    return read(board)
            finally:
                self._moment.release()
        raise WouldWait

    def drop_idle_boards(self, idle_s: float) -> None:
        """Forget post boards that nobody has read for `idle_s`; they are loaded anew when they are asked for."""
        with self._moment:
            self._boards.drop_idle(monotonic() - idle_s)

    def on_lifetime_board(self, by: str, read: Callable[[LifetimeBoard], T]) -> T:
        """Read the leaderboard of all players by a lifetime total."""
        self.require_open()
        board = LifetimeBoard(by, self._engine, self.get_due)
        for _ in range(_GLANCES):
            version = self._totals_version
            found = read(board)
            with self._moment:
                if self._totals_version == version:
                    return found
        with self._moment:
            self.require_open()
            return read(LifetimeBoard(by, self._engine, self._locked_get))

    def observed(self) -> list[MatchMeans]:
        """Return the means of all matches with analytics, of one moment, but those of posts that are due."""
        self.require_open()
        if self._wall_time() >= self.expiry.next_due:
            self.expiry.look()
        means, hides = self._observed.all(self.expiry.at_this_moment)
        return [match for match in means if not hides(keys.analytics_key(match.post_id))]

    def _one_load(self, board: str) -> threading.Lock:
        """Return the lock that lets one reader load a board while others who ask for it wait for that."""
        return self._loads[hash(board) % len(self._loads)]

    def _load_board(self, post_id: str) -> None:
        """Load a board from one moment, without holding writers up; what is published meanwhile follows in the end."""
        loaded: Board | None = None
        with self._moment:
            boards = self._boards
            if boards.get(post_id) is not None:
                return
            pairs = self._engine.scan(keys.score_key(post_id, ""))
            loading = boards.begin(post_id)
        try:
            board = Board()
            for _, record in self._decode_all(pairs):
                if isinstance(record, Score):
                    board.put(record)
            loaded = board
        finally:
            with self._moment:
                boards.end(post_id, loading, loaded)

    # -- publishing (the committer's)

    def publish(self, staged: Sequence[Staged]) -> None:
        """Show a commit group that is durable: all of it at one moment."""
        with self._moment:
            self._publishing = True
            try:
                self._engine.publish()
                followed = bool(self._boards)
                for item in staged:
                    self._show(item, followed)
            finally:
                self._version += 1
                self._publishing = False

    def _show(self, item: Staged, followed: bool) -> None:  # noqa: FBT001 - whether any board is loaded
        records = item.records
        cache = self._cache
        for key, value in item.changes.items():
            if not value and key.startswith("top:"):  # most keys of a large commit, and nothing else to do
                self._totals_version += 1
                continue
            record = None if records is None else records.get(key)
            if record is None or value is None:
                cache.forget(key)
            elif len(value) <= SMALL_BYTES and key in cache.hot:
                cache.hot[key] = record  # the usual case, spelled out: a third of the time
            else:
                cache.put(key, record, len(value))
            if not value and key.startswith(_TELLING):
                self._show_end(key, value)
            if followed and key.startswith("score:"):
                _, post_id, user = key.split(":")
                self._boards.publish(post_id, user, _score(record or _decoded(key, value)))
            if self._observed.followed and key.startswith(OBSERVED):
                self._observed.publish(key, record or _decoded(key, value))

    def _show_end(self, key: str, value: bytes | None) -> None:
        """Follow the index of what is due; a board goes with its match."""
        if key.startswith("due:"):
            self.expiry.published(key, value)
        else:
            self._boards.drop(key.removeprefix("match:"))

    def forget(self, groups: frozenset[str]) -> None:
        """Read the records of some groups anew: another host has written them."""
        with self._moment:
            self._cache.clear()
            self.expiry.forget()
            self._version += 1
            for group in groups:
                self._boards.drop(group.removeprefix("match:"))
            self._totals_version += 1
            self._observed.drop()

    # -- the end

    def require_open(self) -> None:
        """Raise `StoreClosed` if reads are refused."""
        if self._closed is not None:
            raise self._closed.with_traceback(None)  # each time anew, or it would grow with every call

    def close(self, reason: StoreClosed) -> None:
        """Refuse reads from now on."""
        self._closed = reason
        with self._moment:
            self._version += 1  # what a reader has on its way into the cache comes too late
            self._cache.clear()
            self._boards = Boards(1)
            self._observed.drop()

    def abandon(self, reason: StoreClosed) -> None:
        """Refuse reads in a forked child, where locks may be held by threads that are not there."""
        self._closed = reason
        self._publishing = False
        self._moment = threading.RLock()
        self._cache.clear()

    def statistics(self) -> Held:
        """Return what is held in memory, and how often that was enough."""
        cache, reads = self._cache, self._reads
        hit_rate = max(0.0, 1.0 - cache.misses / reads) if reads else None
        return Held(len(cache), cache.size_bytes, reads, cache.misses, hit_rate, len(self._boards))

    def _decode_all(self, pairs: Iterator[tuple[str, bytes]], prefix: str = "") -> Iterator[tuple[str, Record]]:
        if keys.is_uniform(prefix) and not keys.is_index(prefix):
            return ((key, codec.decode(key, value)) for key, value in pairs)
        return ((key, codec.decode(key, value)) for key, value in pairs if not keys.is_index(key))


_TELLING = ("due:", "match:")
"""What says something about a post when it appears without a value, or goes."""


def _decoded(key: str, value: bytes | None) -> Record | None:
    return None if value is None else codec.decode(key, value)


def _score(record: Record | None) -> Score | None:
    return record if isinstance(record, Score) else None
