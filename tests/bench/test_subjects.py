"""Every subject does right what it claims: the same small contract for the store, its parts and all peers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.subjects import _PLACES, MISSING, SUBJECTS, Subject
from bench.subjects.protocol import Batching, Completing, Pipelining, Ranking, Uncached

POST = "t3_contract"
SCORES = {f"player{n:02d}": n % 7 + 1 for n in range(20)}
POINTS = sum(SCORES.values())
TITLES = [title for _, title, _ in _PLACES]
each_subject = pytest.mark.parametrize("kind", SUBJECTS, ids=lambda kind: kind.NAME)


@pytest.fixture
def subject(kind: type[Subject], tmp_path: Path) -> Iterator[Subject]:
    one = kind(tmp_path)
    one.create([POST])
    one.load(POST, SCORES)
    yield one
    one.close()


@pytest.mark.parametrize("title", TITLES)
def test_no_peer_is_missing_here(title: str) -> None:
    if title in MISSING:
        pytest.skip(f"NOT CHECKED: {title}: {MISSING[title]}")
    assert title in {kind.TITLE for kind in SUBJECTS} or title == "bare parts"


@each_subject
def test_an_award_adds_one_point_and_lasts(kind: type[Subject], tmp_path: Path) -> None:
    one = kind(tmp_path)
    one.create([POST])
    one.load(POST, SCORES)
    one.award(POST, "player03")
    one.award(POST, "newcomer")
    one.close()
    assert kind.stored(tmp_path) == (len(SCORES) + 1, POINTS + 2)


@each_subject
def test_what_is_handed_over_together_counts_each(kind: type[Subject], tmp_path: Path) -> None:
    awards = [(POST, "player03"), (POST, "player04"), (POST, "player03")]
    one = kind(tmp_path)
    one.create([POST])
    one.load(POST, SCORES)
    ways = 0
    if isinstance(one, Pipelining):
        for reply in one.submit(awards):
            reply.get()
        ways += 1
    if isinstance(one, Batching):
        one.batch(awards)
        ways += 1
    one.close()
    assert kind.stored(tmp_path).points == POINTS + 3 * ways


@each_subject
def test_a_score_is_read_also_without_a_cache(kind: type[Subject], subject: Subject, tmp_path: Path) -> None:
    assert str(SCORES["player05"]) in str(subject.score(POST, "player05"))
    if issubclass(kind, Uncached):
        subject.close()
        again = kind.without_cache(tmp_path)
        assert str(SCORES["player05"]) in str(again.score(POST, "player05"))
        again.close()


@each_subject
def test_a_completed_match_is_in_every_lifetime_once(kind: type[Subject], tmp_path: Path) -> None:
    one = kind(tmp_path)
    if not isinstance(one, Completing):
        assert "completing" in kind.LACKS
        one.close()
        return
    one.create([POST])
    one.load(POST, SCORES)
    one.complete(POST)
    one.close()
    assert kind.lifetimes(tmp_path) == (len(SCORES), POINTS)


@each_subject
def test_records_are_put_blindly_and_scanned_in_order(kind: type[Subject], tmp_path: Path) -> None:
    if "ycsb-a" in kind.LACKS:
        return
    one = kind(tmp_path)
    one.create([POST])
    one.load(POST, SCORES)
    one.put(POST, "player06")
    one.put(POST, "player99")
    if "ycsb-e" not in kind.LACKS:
        assert one.scan(POST, "player05", 10) == 10
        assert one.scan(POST, "player18", 10) == 3
    one.close()
    assert kind.stored(tmp_path) == (len(SCORES) + 1, POINTS - SCORES["player06"] + 2)


@each_subject
def test_a_board_shows_leaders_ranks_and_neighbours(kind: type[Subject], tmp_path: Path) -> None:
    if not issubclass(kind, Ranking):
        assert "boards" in kind.LACKS
        return
    board = kind.board(tmp_path)
    board.fill({f"player{n:02d}": n * 10 for n in range(30)})
    board.add(["player11", "player11", "player12"])
    assert board.top() == [(f"player{n:02d}", n * 10) for n in range(29, 19, -1)]
    assert [board.rank(user) for user in ("player29", "player28", "player12", "player00")] == [1, 2, 18, 30]
    assert board.around("player11") == [
        ("player13", 130),
        ("player12", 121),
        ("player11", 112),
        ("player10", 100),
        ("player09", 90),
    ]
    assert board.around("player29")[0] == ("player29", 290)
    board.close()


def test_redis_syncs_before_it_answers_and_ends_with_its_subject(tmp_path: Path) -> None:
    if "Redis always" in MISSING:
        pytest.skip(f"NOT CHECKED: {MISSING['Redis always']}")
    from bench.subjects.redis_server import Server  # noqa: PLC0415 - only where there is one

    server = Server(tmp_path)
    with server.client() as client:
        settings = client.config_get("append*")
        process = client.info("server")["process_id"]
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "always")
    server.stop()
    assert not Path(f"/proc/{process}").exists()


def test_sqlite_and_diskcache_sync_in_full(tmp_path: Path) -> None:
    if "diskcache FULL" in MISSING:
        pytest.skip(f"NOT CHECKED: {MISSING['diskcache FULL']}")
    from bench.subjects.disk_cache import DiskCache  # noqa: PLC0415 - only where it is installed
    from bench.subjects.sqlite import OneConnection  # noqa: PLC0415 - beside it

    cache, one = DiskCache(tmp_path), OneConnection(tmp_path)
    assert cache._cache._sql("PRAGMA synchronous").fetchone() == (2,)
    assert one._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert one._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    cache.close()
    one.close()
