"""A real log end to end: 22 seasons of Formula One, 9,950 messages, against the official results."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pictact_actors import PlayedMatch, Store
from pictact_actors.cli import program

DATA = Path(__file__).parents[3] / "shared" / "data"
LOG, EXPECTED = DATA / "f1-1991-2012.jsonl", DATA / "f1-1991-2012.expected.json"

pytestmark = pytest.mark.skipif(not LOG.exists(), reason=f"the game log is not here: {LOG}")


def run(*args: str) -> Any:
    result = CliRunner().invoke(program, [*args, "--json"], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads(EXPECTED.read_text())


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("f1") / "game-data"
    figures = run("replay", str(LOG), "--data", str(data), "--hosts", "8")
    assert (figures["applied"], figures["rejected"], figures["skipped"]) == (9_950, 0, 0)
    return data


def everything(data: Path) -> dict[str, Any]:
    with Store.open(data) as store:
        return dict(store.scan(""))


def in_order(official: list[tuple[str, float]]) -> list[float]:
    """Return the official points from the top. (A driver who was excluded comes last, whatever points he has.)"""
    return sorted((points for _, points in official), reverse=True)


def test_the_boards_are_the_official_standings(replayed: Path, expected: dict[str, Any]) -> None:
    with Store.open(replayed) as store:
        for post_id, official in expected["standings"].items():
            board = {at.user: at for at in store.leaderboard(post_id, limit=1_000)}
            assert {driver: board[driver].points for driver, _ in official} == dict(official)
            assert [at.points for at in board.values()][: len(official)] == in_order(official)
            wins = [(board[driver].points, board[driver].wins) for driver, _ in official]
            assert [(at.points, at.wins) for at in board.values()][: len(official)] == sorted(wins, reverse=True)


def test_the_histories_are_the_official_standings(replayed: Path, expected: dict[str, Any]) -> None:
    histories: dict[str, dict[str, PlayedMatch]] = defaultdict(dict)
    with Store.open(replayed) as store:
        for _, played in store.scan("history:"):
            assert isinstance(played, PlayedMatch)
            histories[played.post_id][played.user] = played
    for post_id, official in expected["standings"].items():
        by_rank = sorted(histories[post_id].values(), key=lambda played: played.rank)
        assert {driver: histories[post_id][driver].points for driver, _ in official} == dict(official)
        assert [played.points for played in by_rank][: len(official)] == in_order(official)


def test_wins_seasons_and_trophies_are_the_official_ones(replayed: Path, expected: dict[str, Any]) -> None:
    with Store.open(replayed) as store:
        lifetimes = [record for _, record in store.scan("lifetime:")]
    assert {life.user: life.total_wins for life in lifetimes if life.total_wins} == expected["wins"]
    assert {life.user: life.matches_played for life in lifetimes} == expected["matchesPlayed"]
    assert {life.user: list(life.trophies) for life in lifetimes if life.trophies} == expected["trophies"]


def test_nothing_is_wrong_with_the_store(replayed: Path) -> None:
    assert run("check", "--data", str(replayed)) == {"ok": True, "problems": []}


def test_a_second_replay_changes_nothing(replayed: Path) -> None:
    before = everything(replayed)
    figures = run("replay", str(LOG), "--data", str(replayed), "--hosts", "3")
    assert (figures["applied"], figures["rejected"]) == (9_950, 0)
    assert everything(replayed) == before
