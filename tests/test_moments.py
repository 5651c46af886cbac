"""One call shows one moment: all of a commit or none of it, while writers run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from engines import PATIENCE_S
from games import begin, play, points_of
from opening import Opener

from pictact_actors import NotFound, Score, Store

SUM = 1_000
PAIRS = {"t3_a": "ann", "t3_b": "bob"}
READS = 150


@contextmanager
def meanwhile(*work: Callable[[int], object]) -> Iterator[None]:
    """Let each function run again and again in a thread of its own; its mistakes are ours."""
    over, begun = threading.Event(), threading.Semaphore(0)

    def repeat(act: Callable[[int], object]) -> None:
        turn = 0
        while not over.is_set():
            act(turn)
            turn += 1
            begun.release()

    with ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(repeat, act) for act in work]
        try:
            for _ in work:
                assert begun.acquire(timeout=PATIENCE_S)
            yield
        finally:
            over.set()
        for future in running:
            future.result(PATIENCE_S)


@pytest.fixture
def pair(store: Store) -> Store:
    """Two matches in different shards, with one score each; together they always have a thousand points."""
    begin(store, *PAIRS)
    move(store, 0)
    return store


def move(store: Store, turn: int) -> None:
    """Move points from one score to the other, in one step."""
    points = turn % SUM
    scores = [Score("t3_a", "ann", points), Score("t3_b", "bob", SUM - points)]
    store.put_many({score.key: score for score in scores})


def by_get_many(store: Store) -> list[float]:
    return [record.points for record in store.get_many(["score:t3_a:ann", "score:t3_b:bob"]).values()]  # type: ignore[attr-defined]  # scores


def by_scan(store: Store) -> list[float]:
    return [record.points for _, record in store.scan("score:")]  # type: ignore[attr-defined]  # the same


@pytest.mark.parametrize("read", [by_get_many, by_scan])
@pytest.mark.parametrize("cache_bytes_max", [64 * 1024 * 1024, 2_048])
def test_points_that_move_between_scores_are_never_lost_from_sight(
    open_store: Opener,
    read: Callable[[Store], list[float]],
    cache_bytes_max: int,
) -> None:
    store = open_store(cache_bytes_max=cache_bytes_max)
    begin(store, *PAIRS)
    move(store, 0)
    with meanwhile(lambda turn: move(store, turn), lambda turn: move(store, turn * 7)):
        seen = [read(store) for _ in range(READS)]
    assert [sum(points) for points in seen] == [SUM] * READS
    assert all(len(points) == 2 for points in seen)


def test_a_page_of_a_board_is_of_one_moment(store: Store) -> None:
    begin(store)

    def swap(turn: int) -> None:
        points = turn % SUM
        scores = [Score("t3_a", "ann", points), Score("t3_a", "bob", SUM - points)]
        store.put_many({score.key: score for score in scores})

    swap(0)
    with meanwhile(swap, lambda turn: store.award_points("t3_a", "cat", -1 if turn % 2 else 1)):
        for _ in range(READS * 3):
            page = {line.user: line.points for line in store.leaderboard("t3_a")}
            assert page["ann"] + page["bob"] == SUM
            nearby = {line.user: line.points for line in store.around("t3_a", "ann", span=5)}
            assert nearby["ann"] + nearby["bob"] == SUM


def test_rounds_are_of_one_moment(store: Store) -> None:
    begin(store)
    for index in (1, 2):
        store.create_round("t3_a", index, prompt_text="0", start_ts=0, end_ts=1)
    both = {f"round:t3_a:{index}": store.round("t3_a", index) for index in (1, 2)}

    def rename(turn: int) -> None:
        store.put_many({key: replace(record, prompt_text=str(turn)) for key, record in both.items()})

    with meanwhile(rename):
        for _ in range(READS):
            first, second = store.rounds("t3_a")
            assert first.prompt_text == second.prompt_text


def test_a_player_is_of_one_moment_while_matches_complete(store: Store) -> None:
    posts = [f"p{n:03}" for n in range(60)]
    begin(store, *posts)
    for post_id in posts:
        play(store, {"ann": 3, "bob": 1}, post_id)
    left = iter(posts)
    lifetimes = []

    def complete(_turn: int) -> None:
        post_id = next(left, None)
        if post_id is not None:
            store.complete_match(post_id)

    with meanwhile(complete):
        while len(lifetimes) < READS:
            try:
                player = store.player("ann")
            except NotFound:
                continue
            total = sum(played.points for played in player.matches)
            assert (player.lifetime.matches_played, player.lifetime.total_points) == (len(player.matches), total)
            lifetimes.append(player.lifetime.matches_played)
    assert lifetimes == sorted(lifetimes)


def test_a_completed_match_is_seen_with_everything_that_belongs_to_it(store: Store) -> None:
    posts = [f"p{n:03}" for n in range(15)]
    begin(store, *posts)
    for post_id in posts:
        play(store, {"ann": 3, "bob": 1}, post_id)
    left = iter(posts)

    def complete(_turn: int) -> None:
        post_id = next(left, None)
        if post_id is not None:
            store.complete_match(post_id)

    with meanwhile(complete):
        for post_id in posts:
            keys = [f"match:{post_id}", f"history:ann:{post_id}", f"history:bob:{post_id}"]
            found: dict[str, object] = {}
            while len(found) != 3:
                found = dict(store.get_many(keys))
                statuses = [getattr(record, "status", None) for record in found.values()]
                assert len(found) == (3 if "completed" in statuses else 1)
            assert store.player("bob").matches


def test_a_reader_sees_every_write_acknowledged_before_it(store: Store) -> None:
    begin(store)
    acknowledged = [0]

    def award(_turn: int) -> None:
        acknowledged[0] = store.award_points("t3_a", "ann", 1).points  # type: ignore[assignment]  # whole points

    award(0)
    with meanwhile(award):
        for _ in range(READS):
            at_least = acknowledged[0]
            assert store.score("t3_a", "ann").points >= at_least
            at_least = acknowledged[0]
            assert store.leaderboard("t3_a")[0].points >= at_least
            at_least = acknowledged[0]
            assert points_of(store)["ann"] >= at_least


def test_nobody_sees_time_run_backwards(open_store: Opener) -> None:
    store: Store = open_store(cache_bytes_max=2_048)
    users = [f"u{n}" for n in range(8)]
    begin(store)
    play(store, dict.fromkeys(users, 0))

    def watch(user: str) -> Callable[[int], None]:
        last = [0.0]

        def look(_turn: int) -> None:
            points = store.score("t3_a", user).points
            assert points >= last[0]
            last[0] = points

        return look

    with meanwhile(watch("u0"), watch("u5")):
        for _ in range(READS // 10):
            play(store, dict.fromkeys(users, 1))


def test_boards_that_push_each_other_out_are_right_while_they_are_loaded(open_store: Opener) -> None:
    store: Store = open_store(board_players_max=40)
    posts = ["p1", "p2", "p3"]
    begin(store, *posts)
    for post_id in posts:
        play(store, {f"u{n:02}": n for n in range(30)}, post_id)

    def award(turn: int) -> None:
        store.award_points(posts[turn % 3], f"u{turn % 30:02}", 1)

    with meanwhile(award, award):
        for turn in range(READS // 2):
            page = store.leaderboard(posts[turn % 3], limit=100)
            assert len(page) == 30
            assert [line.points for line in page] == sorted((line.points for line in page), reverse=True)
    assert store.statistics().boards == 1
    for post_id in posts:
        assert {line.user: line.points for line in store.leaderboard(post_id, 100)} == points_of(store, post_id)


def test_checking_while_writers_run_finds_nothing(store: Store) -> None:
    begin(store, *PAIRS)
    with meanwhile(lambda turn: move(store, turn), lambda _: store.award_points("t3_a", "cat", 1)):
        for _ in range(20):
            assert store.check() == []


def test_a_scan_shows_the_moment_it_began_however_long_it_takes(pair: Store) -> None:
    pairs = pair.scan("score:")
    first = next(pairs)
    for turn in range(50):
        move(pair, turn)
    pair.award_points("t3_b", "zoe", 5)
    rest = list(pairs)
    assert [first[1].points + record.points for _, record in rest] == [SUM]  # type: ignore[attr-defined]  # scores
