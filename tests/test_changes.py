"""The change feed: every commit in order, without gaps, for readers who follow at their own pace."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
from engines import PATIENCE_S, HeldEngine
from games import POST, begin, creation, play
from opening import MEMORY, Opener
from waiting import until

from pictact_actors import AwardPoints, Change, EntriesGone, InvalidValue, Store, StoreClosed
from pictact_actors.model import keys
from pictact_actors.testing import ManualClock

WRITERS = 8
GAMES = 12


class Reader(threading.Thread):
    """Follows a store in a thread of its own."""

    def __init__(self, changes: Iterator[Change]) -> None:
        super().__init__(daemon=True)
        self._changes = changes
        self.seen: list[Change] = []
        self.start()

    def run(self) -> None:
        for change in self._changes:
            self.seen.append(change)

    def to_the_end(self) -> list[Change]:
        """Return what it has seen when it was told that nothing comes any more."""
        self.join(PATIENCE_S)
        assert not self.is_alive()
        return self.seen


def committed(store: Store, from_seq: int = 1) -> list[Change]:
    """What the journal says."""
    return [
        Change(entry.seq, entry.ts, entry.cause, tuple(filter(keys.is_public, entry.changes)))
        for entry in store.entries(from_seq)
    ]


def now(store: Store, from_seq: int = 1) -> list[Change]:
    """What there is so far."""
    return list(store.changes(from_seq, timeout=0))


def seqs(changes: list[Change]) -> list[int]:
    return [change.seq for change in changes]


def play_an_evening(store: Store) -> None:
    """Many hosts at once; matches are completed over many groups, and everything is repeated now and then."""

    def host(number: int) -> None:
        for game in range(GAMES):
            post_id = f"t3_{number}_{game}"
            store.ask(creation(post_id)).get()
            awards = [AwardPoints(post_id, f"user{(number + n) % 10}", n, request_id=f"r{n}") for n in range(10)]
            for reply in store.submit(awards + awards[:3]):
                reply.get()
            store.complete_match(post_id, trophies={f"user{number}": ["best"]})

    with ThreadPoolExecutor(WRITERS) as hosts:
        list(hosts.map(host, range(WRITERS)))


def test_a_change_says_what_was_committed(store: Store) -> None:
    begin(store)
    (change,) = now(store)
    assert (change.seq, change.cause, change.keys) == (1, "create_match", ("match:t3_a",))
    assert change.to_dict() == {"seq": 1, "ts": change.ts, "cause": "create_match", "keys": ["match:t3_a"]}


def test_without_a_number_it_begins_behind_the_call(store: Store) -> None:
    begin(store)
    changes = store.changes()
    store.award_points(POST, "ann", 1)
    store.award_points(POST, "bob", 1)
    assert seqs(list(islice(changes, 2))) == [2, 3]


def test_from_the_first_on_it_is_the_whole_journal(store: Store) -> None:
    play_an_evening(store)
    assert now(store) == now(store, 0) == committed(store)
    assert seqs(now(store)) == list(range(1, store.statistics().seq + 1))
    assert now(store, 100) == committed(store, 100)


def test_commits_without_a_key_for_users_leave_no_gap(open_store: Opener) -> None:
    clock = ManualClock(1_000.0)
    store = open_store(MEMORY, clock=clock, request_expiry_s=60.0)
    store.add_trophy("ann", "gold", request_id="r1")
    clock.advance(2 * 86_400)
    store.cleanup()
    store.add_trophy("ann", "silver")
    changes = now(store)
    assert () in [change.keys for change in changes]
    assert seqs(changes) == list(range(1, len(changes) + 1))
    assert all(keys.is_public(key) for change in changes for key in change.keys)


def test_a_live_reader_sees_each_commit_of_many_writers_once_and_in_order(store: Store) -> None:
    reader = Reader(store.changes(1))
    play_an_evening(store)
    expected = committed(store)
    store.close()
    assert reader.to_the_end() == expected


def test_many_readers_all_see_the_same(store: Store) -> None:
    readers = [Reader(store.changes(1)) for _ in range(6)]
    play_an_evening(store)
    late = Reader(store.changes(50))
    expected = committed(store)
    store.close()
    assert [reader.to_the_end() == expected for reader in readers] == [True] * 6
    assert late.to_the_end() == expected[49:]


def test_who_has_seen_a_change_reads_at_least_that(store: Store) -> None:
    begin(store)
    stale: list[object] = []

    def follow() -> None:
        points = 0
        for change in changes:
            points += "score:t3_a:ann" in change.keys
            if points > store.score(POST, "ann").points:
                stale.append((change, points))
            if points == 400:
                return

    changes = store.changes()
    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    with ThreadPoolExecutor(WRITERS) as hosts:
        list(hosts.map(lambda _: store.award_points(POST, "ann", 1), range(400)))
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    assert stale == []


def test_nothing_is_shown_before_it_is_durable(open_store: Opener, held: HeldEngine) -> None:
    store: Store = open_store(engine=held)
    begin(store)
    held.hold()
    reply = store.ask(AwardPoints(POST, "ann", 1))
    held.wait_for_commit()
    assert now(store, 2) == []
    held.let_go()
    reply.get()
    assert seqs(now(store, 2)) == [2]


def test_a_slow_reader_slows_nobody_and_misses_nothing(store: Store) -> None:
    begin(store)
    slow = [store.changes(1) for _ in range(4)]
    assert [next(reader).seq for reader in slow] == [1] * 4
    for start in range(0, 6_000, 1_000):
        play(store, {f"user{start + number}": 1 for number in range(1_000)})
    assert not store.runtime.feed.waiting
    assert [seqs(list(islice(reader, 6_000))) for reader in slow] == [list(range(2, 6_002))] * 4


def test_a_feed_that_was_read_up_to_its_end_goes_on_after_a_restart(open_store: Opener) -> None:
    store = open_store()
    play_an_evening(store)
    seen = list(islice(store.changes(1), 100))
    store.close()
    store = open_store()
    seen += now(store, seen[-1].seq + 1)
    store.add_trophy("ann", "gold")
    seen += now(store, seen[-1].seq + 1)
    assert seen == committed(store)


KILLED = """
import os, sys, threading
from pictact_actors import Store, StoreConfig
store = Store.open(sys.argv[1], config=StoreConfig(journal_segment_bytes=65_536))
def write(number):
    store.create_match(f"t3_{number}", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
    while True:
        store.award_points(f"t3_{number}", "ann", 1)
for number in range(4):
    threading.Thread(target=write, args=(number,), daemon=True).start()
for change in store.changes(1):
    print(change.seq, flush=True)
    if change.seq == 1_000:
        os.kill(os.getpid(), 9)
"""


def test_a_feed_goes_on_after_a_kill(tmp_path: Path, open_store: Opener) -> None:
    path = tmp_path / "game-data"
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (-9, "")
    dealt_with = [int(line) for line in ran.stdout.splitlines()]
    store = open_store(path)
    after = now(store, dealt_with[-1] + 1)
    assert dealt_with + seqs(after) == list(range(1, store.statistics().seq + 1))


# -- what is not kept


@pytest.fixture
def short(open_store: Opener, request: pytest.FixtureRequest) -> Store:
    """A store that keeps only the latest commits one by one."""
    place = MEMORY if request.param == "memory" else None
    return open_store(place, journal_segment_bytes=4_096, journal_bytes_max=16_384)


each_short = pytest.mark.parametrize("short", ["memory", "directory"], indirect=True)


def write_until_gone(store: Store, seq: int) -> None:
    """Write until a commit is not kept any more."""

    def gone() -> bool:
        play(store, {f"user{number}": 1 for number in range(50)})
        store.runtime.space.give_back()
        return store.statistics().base_seq >= seq

    until(gone)


@each_short
def test_a_reader_that_falls_behind_what_is_kept_learns_where_to_begin(short: Store) -> None:
    begin(short)
    changes = short.changes(1)
    next(changes)
    write_until_gone(short, 300)
    short.runtime.space.stop()  # no more is given up now
    with pytest.raises(EntriesGone) as gone:
        list(islice(changes, 300))
    first_seq = gone.value.first_seq
    assert first_seq > gone.value.from_seq
    with pytest.raises(EntriesGone):
        short.changes(1)
    assert seqs(now(short, first_seq)) == list(range(first_seq, short.statistics().seq + 1))


@each_short
def test_a_reader_that_keeps_up_misses_nothing_that_goes_behind_it(short: Store) -> None:
    begin(short)
    changes = short.changes(1, timeout=0)
    seen = [change.seq for change in changes]

    def write() -> bool:
        play(short, {f"user{number}": 1 for number in range(50)})
        short.runtime.space.give_back()
        seen.extend(change.seq for change in short.changes(seen[-1] + 1, timeout=0))
        return short.statistics().base_seq > 500

    until(write)
    assert seen == list(range(1, seen[-1] + 1))


def test_one_reader_goes_on_while_the_journal_is_folded_behind_it(open_store: Opener) -> None:
    store = open_store(journal_segment_bytes=4_096, journal_bytes_max=16_384)
    reader = Reader(store.changes())
    begin(store)
    write_until_gone(store, 500)
    last = store.statistics().seq
    store.close()
    seen = seqs(reader.to_the_end())
    assert seen == list(range(1, last + 1))


# -- the end


def test_it_ends_when_nothing_has_happened_for_so_long(store: Store) -> None:
    begin(store)
    assert seqs(list(store.changes(1, timeout=0.01))) == [1]
    assert list(store.changes(timeout=0)) == []
    assert not store.runtime.feed.waiting


def test_closing_ends_a_reader_that_waits(store: Store) -> None:
    reader = Reader(store.changes(1))
    begin(store)
    until(lambda: store.runtime.feed.waiting)
    store.close()
    assert seqs(reader.to_the_end()) == [1]


def test_what_was_acknowledged_before_the_close_is_still_seen(store: Store) -> None:
    changes = store.changes(1)
    begin(store)
    play(store, {f"user{number}": 1 for number in range(1_000)})
    store.close()
    assert seqs(list(changes)) == list(range(1, 1_002))


def test_a_reader_of_a_closed_store_whose_files_are_gone_just_ends(open_store: Opener, tmp_path: Path) -> None:
    store = open_store()
    begin(store)
    play(store, {f"user{number}": 1 for number in range(1_000)})
    changes = store.changes(1)
    next(changes)
    store.close()
    open_store.path.rename(tmp_path / "moved")
    assert len(list(changes)) < 1_001


def test_a_closed_store_shows_no_changes(store: Store) -> None:
    store.close()
    with pytest.raises(StoreClosed):
        store.changes()


@pytest.mark.parametrize("from_seq", [-1, 3, 1.0, True, "1"])
def test_a_beginning_that_cannot_be_is_refused(store: Store, from_seq: object) -> None:
    begin(store)
    with pytest.raises(InvalidValue):
        store.changes(from_seq)  # type: ignore[arg-type]


def test_a_timeout_that_cannot_be_waited_is_refused(store: Store) -> None:
    with pytest.raises(InvalidValue):
        store.changes(timeout=-1)


def test_a_reader_that_has_left_is_not_woken(store: Store) -> None:
    begin(store)
    for _ in range(100):
        list(store.changes(timeout=0))
    assert not store.runtime.feed.waiting
    store.award_points(POST, "ann", 1)


def test_an_actor_is_not_made_to_wait_for_itself(store: Store) -> None:
    changes = store.changes(1)

    def wait(record: object) -> object:
        next(changes)
        return record

    with pytest.raises(InvalidValue):
        store.update("lifetime:ann", wait)  # type: ignore[arg-type]
