"""Short checks of one promise each, for faults planted in our own code: each must fail on its faults, and only then."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cleaning
import pytest
from copying import copy_of
from engines import HeldShard
from faulty import BROKEN, FULL, faulty_os
from games import POST, begin, begin_round, creation, play, points_of
from images import CONFIG
from test_cleaning import verify as verify_archive
from waiting import until

from pictact_actors import (
    AwardPoints,
    CommitFailed,
    ConflictAborted,
    DeadlockAborted,
    InvalidValue,
    NotFound,
    RequestTimeout,
    Score,
    StorageFull,
    Store,
    StoreConfig,
    StoreLocked,
)
from pictact_actors.clock import monotonic
from pictact_actors.model.codec import encode
from pictact_actors.runtime.messages import Reset
from pictact_actors.runtime.reply import Call
from pictact_actors.runtime.staging import Batch, Staged
from pictact_actors.storage import archive
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.state import state
from pictact_actors.storage.truth import layer, segment
from pictact_actors.storage.truth.segment import SegmentFile
from pictact_actors.testing import ManualClock

Probe = Callable[[Path, pytest.MonkeyPatch], None]
NOW = 1_700_000_000.0
MEMORY = ":memory:"
SHORT_S = 0.05
QUICK = replace(CONFIG, lease_s=0.2, shards=1)


def opened(path: Path | str, config: StoreConfig = CONFIG, now: float = NOW) -> Store:
    return Store.open(path, config=config, clock=ManualClock(now))


@contextmanager
def playing(path: Path | str, config: StoreConfig = CONFIG) -> Iterator[Store]:
    """A store with a match, and points for a player."""
    with opened(path, config) as store:
        begin(store)
        play(store, {"ann": 1})
        yield store


def crash(path: Path) -> Path:
    """The directory as a crash would leave it now."""
    return copy_of(path, path.with_name("crashed"))


def is_taken_up(path: Path, points: dict[str, int]) -> None:
    """A directory opens, is whole, and has these points."""
    with opened(path) as store:
        assert points_of(store) == points
        assert store.check() == []


# -- the way to the disk


class Gate:
    """The `os` module with a sync that waits to be let through."""

    def __init__(self) -> None:
        self.entered, self.may_pass = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fdatasync(self, fd: int) -> None:
        self.entered.set()
        assert self.may_pass.wait(20)
        os.fdatasync(fd)


def nothing_is_seen_or_answered_before_its_sync(path: Path, patch: pytest.MonkeyPatch) -> None:
    with playing(path) as store:
        gate = Gate()
        patch.setattr(segment, "os", gate)
        try:
            reply = store.submit([AwardPoints(POST, "ann", 1)])[0]
            until(lambda: gate.entered.is_set() or reply.done())
            assert gate.entered.is_set()
            threading.Event().wait(SHORT_S)  # what is early comes now
            assert not reply.done()
            assert store.score(POST, "ann").points == 1
            assert store.leaderboard(POST)[0].points == 1
            assert points_of(store) == {"ann": 1}
        finally:
            gate.may_pass.set()
        assert reply.get().points == 2


def a_failed_sync_is_told(path: Path, patch: pytest.MonkeyPatch) -> None:
    with playing(path) as store:
        faulty_os(patch, segment).fail("fdatasync", BROKEN)
        with pytest.raises(CommitFailed):
            store.award_points(POST, "ann", 1)


def a_write_without_room_leaves_nothing_behind(path: Path, patch: pytest.MonkeyPatch) -> None:
    with playing(path) as store:
        faulty_os(patch, segment).fail("pwrite", FULL, written=100)
        with pytest.raises(StorageFull):
            store.award_points(POST, "ann", 1)
        assert not _behind_the_end(path)


def _behind_the_end(path: Path) -> bytes:
    """What stands behind the last whole frame of a journal."""
    file = SegmentFile(max((path / "journal").glob("*.journal")))
    try:
        tail, _ = file.tail(file.header().chain)
        return file.path.read_bytes()[tail.end :].rstrip(b"\0")
    finally:
        file.close()


def a_torn_tail_goes(path: Path, patch: pytest.MonkeyPatch) -> None:
    del patch
    with playing(path):
        left = crash(path)
    file = max((left / "journal").glob("*.journal"))
    data = file.read_bytes()
    end = len(data.rstrip(b"\0"))
    file.write_bytes(data[:end] + b"torn" + data[end + 4 :])
    with opened(left):
        assert not _behind_the_end(left)


def a_frame_is_read_only_if_it_is_whole_and_follows(path: Path, patch: pytest.MonkeyPatch) -> None:
    del patch
    path.mkdir()
    store_id = bytes(range(16))
    first = segment.pack_frame(b"first", store_id)
    second = segment.pack_frame(b"second", segment.chain_of(first))
    third = segment.pack_frame(b"third", segment.chain_of(second))
    flipped = bytes([*second[:-1], second[-1] ^ 1])
    header = segment.Header(segment.FORMAT_VERSION, store_id, 1, 1, 0.0, 0.0, store_id)
    for frames, whole in (((first, second), 2), ((first, third), 1), ((first, flipped), 1)):
        file = path / segment.segment_name(1)
        file.write_bytes(segment.pack_header(header) + b"".join(frames) + bytes(100))
        read = SegmentFile(file)
        assert len(list(read.frames(store_id))) == whole
        read.close()


def what_is_acknowledged_is_there_after_a_crash(path: Path, patch: pytest.MonkeyPatch) -> None:
    """Whatever of it LevelDB has."""
    patch.setattr(state, "_GATHER_S", 0.01)
    with playing(path) as store:
        engine = store.runtime.engine
        assert isinstance(engine, EmbeddedEngine)
        for turn in range(2, 5):
            play(store, {"ann": 1, f"user{turn}": turn})
            until(lambda: not engine._state.pending())
            play(store, {"late": 1})
            expected = points_of(store)
            is_taken_up(crash(path), expected)
            shutil.rmtree(path.with_name("crashed"))


def a_directory_has_one_store(path: Path, patch: pytest.MonkeyPatch) -> None:
    del patch
    with playing(path), pytest.raises(StoreLocked):
        opened(path)


# -- folding and the archive


def a_segment_goes_only_when_its_layer_is_durable(path: Path, patch: pytest.MonkeyPatch) -> None:
    with playing(path) as store:
        store.update_match(POST, theme="x" * 20_000)
    engine = EmbeddedEngine.open(path, CONFIG, ManualClock(NOW))
    with closing(engine):
        before = engine._journal.numbers()
        faulty_os(patch, layer).fail("fsync", BROKEN, times=100)
        engine.roll()
        with pytest.raises(OSError, match="Input/output error"):
            list(engine.reclaim(urgent=True))
        assert engine._journal.numbers()[: len(before)] == before


def no_detail_goes_before_its_file_is_durable(path: Path, patch: pytest.MonkeyPatch) -> None:
    details = cleaning.prepare(path)
    with cleaning.opened(path) as store:
        disk = faulty_os(patch, archive)
        disk.fail("fsync", FULL, times=100)
        with pytest.raises(StorageFull):
            store.cleanup()
        assert cleaning.live(store) == details


def every_detail_is_archived_once(path: Path, patch: pytest.MonkeyPatch) -> None:
    details = cleaning.prepare(path)
    written = archive.Archive.write
    with cleaning.opened(path) as store:

        def cut_short(self: archive.Archive, first_s: float, lines: Any) -> str:
            written(self, first_s, lines)
            raise StorageFull("the process ends here")

        patch.setattr(archive.Archive, "write", cut_short)
        with pytest.raises(StorageFull):
            store.cleanup()
        patch.setattr(archive.Archive, "write", written)
        left = crash(path)
    verify_archive(left, details)


# -- once, in order, and only while somebody waits


def a_repeated_request_is_done_once(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY) as store:
        for _ in range(2):
            assert store.award_points(POST, "bob", 2, request_id="once").points == 2
        assert store.score(POST, "bob").points == 2


def a_request_id_is_for_one_command(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY) as store:
        store.award_points(POST, "bob", 2, request_id="once")
        with pytest.raises(InvalidValue, match="different command"):
            store.award_points(POST, "bob", 3, request_id="once")


def what_nobody_waits_for_is_not_done(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY, QUICK) as store:
        with HeldShard(store.runtime.links[0]):
            late = store.submit([AwardPoints(POST, "ann", 10)], timeout=SHORT_S)[0]
            with pytest.raises(RequestTimeout):
                late.get(timeout=SHORT_S)
        assert store.award_points(POST, "ann", 1).points == 2


def what_a_replaced_actor_decided_is_refused(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY, QUICK) as store:
        link, command = store.runtime.links[0], AwardPoints(POST, "eve", 100)
        link.epoch += 1
        changes = {f"score:{POST}:eve": encode(Score(POST, "eve", points=100))}
        late = Staged(Call(command, 1.0, monotonic() + 1.0), command.NAME, None, changes, None, None, None)
        link.gate.enter(1, monotonic() + 1.0)
        store.runtime.committer.put(Batch(link, link.epoch - 1, 1_000, [late], 100, 0.0))
        link.tell(Reset(link.epoch))
        play(store, {"ann": 1})
        assert points_of(store) == {"ann": 2}


def every_command_builds_on_the_one_before(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY, QUICK) as store:
        with HeldShard(store.runtime.links[0]):
            replies = store.submit([AwardPoints(POST, "ann", 1) for _ in range(20)])
        assert [reply.get().points for reply in replies] == list(range(2, 22))


# -- transactions


def others_wait_for_a_locked_group(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY) as store:
        with store.transaction() as tx:
            points = tx.get(f"score:{POST}:ann").points
            other = store.submit([AwardPoints(POST, "ann", 10)])[0]
            tx.put(f"score:{POST}:ann", replace(tx.get(f"score:{POST}:ann"), points=points + 1))
        other.get()
        assert store.score(POST, "ann").points == 12


def nothing_comes_into_what_was_scanned(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY) as store:
        with store.transaction() as tx:
            assert len(list(tx.scan(f"score:{POST}:"))) == 1
            other = store.submit([AwardPoints(POST, "bob", 10)])[0]
            threading.Event().wait(SHORT_S)
            assert not other.done()
        other.get()


def a_deadlock_has_a_victim(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY, QUICK) as store:
        begin(store, "t3_b")
        met = threading.Barrier(2)
        ends: list[object] = []

        def cross(posts: tuple[str, str]) -> None:
            try:
                with store.transaction() as tx:
                    tx.award_points(posts[0], "ann", 1)
                    met.wait(20)
                    tx.award_points(posts[1], "ann", 1)
                ends.append("committed")
            except (DeadlockAborted, ConflictAborted) as error:
                ends.append(type(error))

        threads = [threading.Thread(target=cross, args=(posts,)) for posts in ((POST, "t3_b"), ("t3_b", POST))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert set(ends) == {"committed", DeadlockAborted}


def a_transaction_that_lost_its_locks_commits_nothing(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY, QUICK) as store:
        with pytest.raises(ConflictAborted):
            _write_too_late(store)
        assert store.score(POST, "ann").points == 2


def _write_too_late(store: Store) -> None:
    with store.transaction() as tx:
        score = tx.get(f"score:{POST}:ann")
        tx.put(f"score:{POST}:ann", replace(score, points=100))
        store.award_points(POST, "ann", 1)  # waits until the lease is over


# -- the game


def a_match_ends_for_everybody_with_its_indexes(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with playing(MEMORY) as store:
        begin_round(store)
        play(store, {"bob": 2, "cat": 3})
        assert len(store.complete_match(POST, trophies={"cat": ["cup"]})) == 3
        assert all(store.player(user).matches for user in ("ann", "bob", "cat"))
        assert store.check() == []


def a_match_is_there_until_it_expires_and_players_for_ever(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    clock = ManualClock(NOW)
    with Store.open(MEMORY, config=CONFIG, clock=clock) as store:
        begin(store)
        play(store, {"ann": 1})
        store.complete_match(POST)
        lasting = [*store.scan("lifetime:"), *store.scan("history:")]
        clock.advance(CONFIG.match_expiry_s - 0.5)
        store.cleanup()
        assert store.match(POST).status == "completed"
        clock.advance(1)
        store.cleanup()
        with pytest.raises(NotFound):
            store.match(POST)
        assert [*store.scan("lifetime:"), *store.scan("history:")] == lasting


def who_was_first_stands_first(path: Path, patch: pytest.MonkeyPatch) -> None:
    del path, patch
    with Store.open(MEMORY) as store:
        store.ask(creation()).get()
        for user in ("cat", "ann", "bob"):
            store.award_points(POST, user, 5)
        assert [(at.user, at.rank) for at in store.leaderboard(POST)] == [("cat", 1), ("ann", 1), ("bob", 1)]
