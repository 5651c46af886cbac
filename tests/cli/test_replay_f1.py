"""A real log end to end: 22 seasons of Formula One, 9,950 messages, against the official results."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pictact_actors import NotFound, PlayedMatch, Store
from pictact_actors.cli import program
from pictact_actors.testing import ManualClock

DATA = Path(__file__).parents[3] / "shared" / "data"
LOG, EXPECTED = DATA / "f1-1991-2012.jsonl", DATA / "f1-1991-2012.expected.json"

pytestmark = pytest.mark.skipif(not LOG.exists(), reason=f"the game log is not here: {LOG}")


LAST = "f1_2012"


def run(*args: str) -> Any:
    return json.loads(output(*args))


def output(*args: str) -> str:
    result = CliRunner().invoke(program, [*args, "--json"], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads(EXPECTED.read_text())


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("f1") / "game-data"
    figures = run("replay", str(LOG), "--data", str(data), "--hosts", "8")
    assert (figures["applied"], figures["rejected"], figures["skipped"]) == (9_950, 0, 0)
    return data


def at_its_end(data: Path) -> Store:
    """Open the store at the last moment of the log."""
    return Store.open(data, clock=ManualClock(0.0))


def everything(data: Path) -> dict[str, Any]:
    with at_its_end(data) as store:
        return {**dict(store.scan("")), **{entry.key: entry for entry in store.audit()}}


def in_order(official: list[tuple[str, float]]) -> list[float]:
    """Return the official points from the top. (A driver who was excluded comes last, whatever points he has.)"""
    return sorted((points for _, points in official), reverse=True)


def histories(data: Path) -> dict[str, dict[str, PlayedMatch]]:
    """Return what the drivers' histories say of each season."""
    found: dict[str, dict[str, PlayedMatch]] = defaultdict(dict)
    with Store.open(data) as store:
        for _, played in store.scan("history:"):
            assert isinstance(played, PlayedMatch)
            found[played.post_id][played.user] = played
    return found


def test_the_last_board_is_the_official_standings(replayed: Path, expected: dict[str, Any]) -> None:
    official = expected["standings"][LAST]
    with at_its_end(replayed) as store:
        board = {at.user: at for at in store.leaderboard(LAST, limit=1_000)}
        rounds = store.rounds(LAST)
    assert {driver: board[driver].points for driver, _ in official} == dict(official)
    assert [at.points for at in board.values()][: len(official)] == in_order(official)
    wins = [(board[driver].points, board[driver].wins) for driver, _ in official]
    assert [(at.points, at.wins) for at in board.values()][: len(official)] == sorted(wins, reverse=True)
    assert all(at.closed for at in rounds)


def test_the_histories_are_the_official_standings_of_all_seasons(replayed: Path, expected: dict[str, Any]) -> None:
    played = histories(replayed)
    assert played.keys() == expected["standings"].keys()
    for post_id, official in expected["standings"].items():
        by_rank = sorted(played[post_id].values(), key=lambda entry: entry.rank)
        assert {driver: played[post_id][driver].points for driver, _ in official} == dict(official)
        assert [entry.points for entry in by_rank][: len(official)] == in_order(official)
        wins = [(entry.points, entry.wins) for entry in by_rank]
        assert wins == sorted(wins, reverse=True)


def test_the_seasons_before_the_last_one_are_gone(replayed: Path, expected: dict[str, Any]) -> None:
    with at_its_end(replayed) as store:
        assert [key for key, _ in store.scan("match:")] == [f"match:{LAST}"]
        left = {key.split(":")[1] for prefix in ("round:", "score:") for key, _ in store.scan(prefix)}
        assert left == {LAST}
        for post_id in expected["standings"].keys() - {LAST}:
            with pytest.raises(NotFound):
                store.leaderboard(post_id)


def test_the_audit_names_every_season_that_was_removed(replayed: Path, expected: dict[str, Any]) -> None:
    played = histories(replayed)
    entries = [json.loads(line) for line in output("audit", "--data", str(replayed)).splitlines()]
    seasons = {entry["postId"]: entry for entry in entries if entry["postId"] is not None}
    assert seasons.keys() == expected["standings"].keys() - {LAST}
    for post_id, entry in seasons.items():
        completed_at = {at.completed_at for at in played[post_id].values()}
        assert {entry["dueAt"] - 7 * 86_400} == completed_at
        assert (entry["reason"], entry["done"], entry["theme"][:11]) == ("completed", True, "Formula One")
        assert entry["removed"]["match"] == 1
        assert entry["removed"]["score"] == len(played[post_id])


def test_years_later_the_last_season_is_gone_as_well_and_the_audit_is_still_there(
    replayed: Path, tmp_path: Path
) -> None:
    later = shutil.copytree(replayed, tmp_path / "later")
    before = len(output("audit", "--data", str(later)).splitlines())
    assert CliRunner().invoke(program, ["leaderboard", LAST, "--data", str(later)]).exit_code == 1
    assert run("check", "--data", str(later))["ok"]
    assert len(output("audit", "--data", str(later)).splitlines()) == before


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


def test_a_replay_years_later_changes_nothing_that_lasts(replayed: Path, tmp_path: Path) -> None:
    later = shutil.copytree(replayed, tmp_path / "later")
    with Store.open(later) as store:
        assert store.cleanup().matches == 1
        before = {**dict(store.scan("lifetime:")), **dict(store.scan("history:"))}
    run("replay", str(LOG), "--data", str(later))
    with Store.open(later) as store:
        assert dict(store.scan("")) == before
