"""System calls that fail: a clear error, reads go on, nothing acknowledged is lost and nothing is half there."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disks import KIB, awards, opened
from faulty import BROKEN, FULL, FaultyOs, faulty_os
from games import POST, begin, begin_round, play, points_of

from pictact_actors import (
    AwardPoints,
    CommitFailed,
    NotFound,
    Overloaded,
    RequestTimeout,
    StorageFull,
    Store,
    StoreFailed,
)
from pictact_actors.storage.truth import segment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "game-data"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A store with a match, checked at the end."""
    with opened(path) as store:
        begin(store)
        yield store
        assert store.check() == []
    with opened(path) as store:
        assert store.check() == []


@pytest.fixture
def disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> FaultyOs:  # noqa: ARG001 - opened before it can fail
    return faulty_os(monkeypatch, segment)


@pytest.mark.parametrize("written", [0, 1, 100])
def test_a_write_without_room_is_refused_and_erased_and_the_next_one_works(
    store: Store, disk: FaultyOs, written: int
) -> None:
    disk.fail("pwrite", FULL, written=written)
    with pytest.raises(StorageFull, match="nothing was applied"):
        store.award_points(POST, "ann", 5)
    assert store.award_points(POST, "ann", 1).points == 1


def test_a_refused_write_takes_back_what_was_decided_on_it(store: Store, disk: FaultyOs) -> None:
    """What was decided while the refused group was on its way is decided again, on what is really there."""
    disk.fail("pwrite", FULL, times=2)
    replies = store.submit([AwardPoints(POST, f"user{number % 7}", 1) for number in range(500)])
    answers = [_answer(reply) for reply in replies]
    acknowledged = [answer for answer in answers if not isinstance(answer, Exception)]
    assert {type(answer) for answer in answers if isinstance(answer, Exception)} <= {StorageFull}
    assert sum(points_of(store).values()) == len(acknowledged)


def _answer(reply: Any) -> Any:
    try:
        return reply.get()
    except StorageFull as error:
        return error


def test_a_round_is_closed_with_its_point_or_not_at_all(store: Store, disk: FaultyOs) -> None:
    begin_round(store)
    disk.fail("pwrite", FULL, written=50)
    with pytest.raises(StorageFull):
        store.close_round(POST, 1, winner_user="ann", points=3)
    assert not store.round(POST, 1).closed
    with pytest.raises(NotFound):
        store.score(POST, "ann")
    assert store.close_round(POST, 1, winner_user="ann", points=3).closed
    assert store.score(POST, "ann").points == 3


def test_a_match_without_room_is_completed_with_everybody_or_nobody(store: Store, disk: FaultyOs) -> None:
    play(store, {f"user{number}": number for number in range(30)})
    disk.fail("pwrite", FULL, written=1_000)
    with pytest.raises(StorageFull):
        store.complete_match(POST)
    assert (store.match(POST).status, list(store.scan("history:"))) == ("active", [])
    assert len(store.complete_match(POST)) == len(list(store.scan("history:"))) == 30


@pytest.mark.parametrize("call", ["open", "posix_fallocate", "pwrite", "fsync"])
def test_a_journal_that_cannot_grow_refuses_until_it_can(store: Store, disk: FaultyOs, call: str) -> None:
    theme = "x" * 20 * KIB
    store.update_match(POST, theme=theme)
    disk.fail(call, FULL, times=3)
    for _ in range(3):
        with pytest.raises(StorageFull):
            store.update_match(POST, theme=theme[::-1])
    assert store.match(POST).theme == theme
    assert store.update_match(POST, theme=theme + "y").theme == theme + "y"


def test_a_failed_sync_is_unknown_then_refused_with_its_cause_and_reads_go_on(path: Path) -> None:
    with opened(path) as store, pytest.MonkeyPatch.context() as patch:
        begin(store)
        play(store, {"ann": 1})
        disk = faulty_os(patch, segment)
        disk.fail("fdatasync", BROKEN)
        with pytest.raises(CommitFailed, match="Input/output error"):
            store.award_points(POST, "ann", 1, request_id="unknown")
        for _ in range(2):
            with pytest.raises(StoreFailed, match="Input/output error"):
                store.award_points(POST, "bob", 1)
        assert (store.score(POST, "ann").points, points_of(store)) == (1, {"ann": 1})
        assert store.leaderboard(POST)[0].points == 1
        assert store.check() == []
    with opened(path) as store:
        assert store.check() == []
        assert points_of(store) in ({"ann": 1}, {"ann": 2})
        assert store.award_points(POST, "ann", 1, request_id="unknown").points == 2  # once, whatever became of it


@pytest.mark.parametrize(("call", "code"), [("pwrite", BROKEN), ("posix_fallocate", BROKEN), ("fsync", BROKEN)])
def test_a_broken_disk_ends_the_store_until_it_is_opened_again(path: Path, call: str, code: int) -> None:
    theme = "x" * 20 * KIB
    with opened(path) as store, pytest.MonkeyPatch.context() as patch:
        begin(store)
        store.update_match(POST, theme=theme)
        faulty_os(patch, segment).fail(call, code)
        with pytest.raises(CommitFailed):
            store.update_match(POST, theme=theme[::-1] + "y")
        with pytest.raises(StoreFailed):
            store.update_match(POST, theme="z")
        assert store.match(POST).theme == theme
    with opened(path) as store:
        assert store.check() == []
        assert store.match(POST).theme in (theme, theme[::-1] + "y")
        assert store.update_match(POST, theme="z").theme == "z"


def test_a_rename_that_fails_ends_the_store_until_it_is_opened_again(path: Path) -> None:
    theme = "x" * 20 * KIB
    with opened(path) as store, pytest.MonkeyPatch.context() as patch:
        begin(store)
        store.update_match(POST, theme=theme)

        def rename(*_: object) -> None:
            raise OSError(BROKEN, "Input/output error")

        patch.setattr(Path, "rename", rename)
        with pytest.raises(CommitFailed, match="no new journal segment"):
            store.update_match(POST, theme="y" + theme)
    with opened(path) as store:
        assert store.check() == []
        assert store.match(POST).theme == theme


def test_faults_at_random_calls_leave_exactly_what_was_acknowledged(path: Path) -> None:
    """A model of one number a player: acknowledged counts, refused does not, unknown is settled by asking again."""
    seed = random.getrandbits(32)
    logging.getLogger(__name__).warning("seed %d", seed)
    rng = random.Random(seed)
    expected: Counter[str] = Counter()
    unknown: list[AwardPoints] = []
    with opened(path) as store:
        begin(store)
    for _ in range(12):
        with opened(path) as store, pytest.MonkeyPatch.context() as patch:
            for command in unknown:
                expected[command.user] += 1
                assert store.ask(command).get().points == expected[command.user]
            unknown = []
            disk = faulty_os(patch, segment)
            for _ in range(20):
                call, code = rng.choice(
                    [("pwrite", FULL), ("pwrite", FULL), ("posix_fallocate", FULL), ("fdatasync", BROKEN)]
                )
                disk.fail(call, code, passing=rng.randrange(20), written=rng.randrange(60) if call == "pwrite" else 0)
                unknown += _award(store, rng, expected)
        with opened(path) as store:
            assert store.check() == []
            surplus = awards(store) - expected
            assert expected <= awards(store)
            assert surplus <= Counter(command.user for command in unknown)


def _award(store: Store, rng: random.Random, expected: Counter[str]) -> list[AwardPoints]:
    """Award points, a few at a time; count what is acknowledged and return what is unknown."""
    commands = [
        AwardPoints(POST, f"user{rng.randrange(5)}", 1, request_id=f"{rng.getrandbits(64)}")
        for _ in range(rng.randint(1, 10))
    ]
    unknown = []
    for command, reply in zip(commands, store.submit(commands), strict=True):
        try:
            reply.get()
        except (StorageFull, StoreFailed, Overloaded):
            continue
        except (CommitFailed, RequestTimeout):
            unknown.append(command)
        else:
            expected[command.user] += 1
    return unknown
