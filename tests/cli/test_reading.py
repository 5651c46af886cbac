"""`get`, `leaderboard`, `player`, `check`, `log` and `stats` on a store that was played on."""

from __future__ import annotations

from pathlib import Path

import pytest
from ran import Run

from pictact_actors import Store

READING = [
    ("get", "match:t3_done"),
    ("leaderboard",),
    ("leaderboard", "t3_done"),
    ("player", "ann"),
    ("check",),
    ("log",),
    ("stats",),
    ("export",),
]

pytestmark = pytest.mark.usefixtures("played")


@pytest.mark.parametrize("args", READING)
def test_every_reading_command_answers_people_and_programs(run: Run, args: tuple[str, ...]) -> None:
    for_people, for_programs = run(*args), run(*args, "--json")
    assert (for_people.code, for_people.err) == (0, "")
    assert (for_programs.code, for_programs.err) == (0, "")
    assert for_people.out
    assert all(isinstance(line, dict) for line in for_programs.json_lines)


def test_get_shows_the_record_with_the_names_of_the_contract(run: Run) -> None:
    record = run("get", "score:t3_done:ann", "--json").json
    assert record["postId"] == "t3_done"
    assert record["points"] == 2.5
    assert "createdAt" in record


def test_get_shows_a_value_on_one_line_whatever_is_in_it(run: Run, data: Path) -> None:
    with Store.open(data) as store:
        store.create_match("t3_evil", subreddit="a\nb", rounds_total=1, theme="\x1b[2J[red]", created_by="mod")
    shown = run("get", "match:t3_evil").out
    assert "a\\nb" in shown
    assert "\\x1b[2J[red]" in shown
    assert "\x1b" not in shown


def test_a_missing_record_is_exit_1_and_a_key_that_cannot_be_is_exit_2(run: Run) -> None:
    missing, wrong = run("get", "match:t3_none"), run("get", "colour:t3_none")
    assert (missing.code, wrong.code) == (1, 2)
    assert "not found" in missing.complaint
    assert "keys are match:{postId}" in wrong.complaint
    assert missing.out == wrong.out == ""


def test_a_match_board_has_ranks_points_and_wins(run: Run) -> None:
    assert run("leaderboard", "t3_open", "--json").json_lines == [
        {"rank": 1, "user": "bob", "points": 10, "wins": 1},
        {"rank": 2, "user": "ann", "points": 2.5, "wins": 0},
    ]
    assert [line.split() for line in run("leaderboard", "t3_open").out.splitlines()[2:]] == [
        ["1", "bob", "10", "1"],
        ["2", "ann", "2.5", "0"],
    ]


def test_a_board_is_read_page_by_page(run: Run) -> None:
    (line,) = run("leaderboard", "t3_open", "--limit", "1", "--offset", "1", "--json").json_lines
    assert line["user"] == "ann"


def test_without_a_post_the_board_is_that_of_all_players(run: Run) -> None:
    lines = run("leaderboard", "--by", "matches_played", "--json").json_lines
    assert [(line["user"], line["matchesPlayed"]) for line in lines] == [("ann", 1), ("bob", 1)]


def test_an_order_for_a_match_board_is_bad_use(run: Run) -> None:
    ran = run("leaderboard", "t3_open", "--by", "total_wins")
    assert ran.code == 2
    assert "--by is for the lifetime board" in ran.complaint


def test_a_player_has_a_lifetime_and_a_history(run: Run) -> None:
    player = run("player", "bob", "--json").json
    assert player["lifetime"]["trophies"] == ["best"]
    assert [played["postId"] for played in player["matches"]] == ["t3_done"]
    assert "best" in run("player", "bob").out
    assert run("player", "nobody").code == 1


def test_check_says_clean(run: Run) -> None:
    assert run("check", "--json").json == {"ok": True, "problems": []}
    assert "clean" in run("check").out


def test_check_of_a_broken_store_is_exit_1_and_names_the_key(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    run("import", "-", "--data", str(broken), stdin='{"key": "score:t3_lost:ann", "record": {"points": 1}}\n')
    for_people, for_programs = run("check", "--data", str(broken)), run("check", "--data", str(broken), "--json")
    assert (for_people.code, for_programs.code) == (1, 1)
    assert "score:t3_lost:ann" in for_people.out
    assert [problem["key"] for problem in for_programs.json["problems"]] == ["score:t3_lost:ann"]


def test_the_log_has_every_commit_in_order_with_cause_and_values(run: Run) -> None:
    commits = run("log", "--json").json_lines
    assert [commit["seq"] for commit in commits] == list(range(1, len(commits) + 1))
    award = next(commit for commit in commits if commit["requestId"] == "t3_done-ann")
    assert award["cause"] == "award_points"
    assert award["keys"] == ["score:t3_done:ann"]
    assert award["changes"]["score:t3_done:ann"]["points"] == 2.5
    assert award["ts"] > 0


def test_the_log_leaves_internal_records_out(run: Run) -> None:
    assert "request:" not in run("log").out
    assert "request:" not in run("log", "--json").out


def test_the_log_of_a_key_tells_its_life(run: Run) -> None:
    commits = run("log", "--key", "match:t3_done", "--json").json_lines
    assert [commit["cause"] for commit in commits] == ["create_match", "create_round", "complete_match"]


def test_the_log_of_a_player_has_scores_lifetime_and_history(run: Run) -> None:
    commits = run("log", "--user", "ann", "--json").json_lines
    assert [commit["cause"] for commit in commits] == ["award_points", "award_points", "complete_match"]
    shown = run("log", "--user", "ann").out
    assert "history:ann:t3_done" in shown
    assert "history:bob:t3_done" not in shown
    assert "more" in shown


def test_the_log_begins_where_it_is_told(run: Run) -> None:
    assert run("log", "--from", "3", "--json").json_lines[0]["seq"] == 3
    assert run("log", "--from", "100000").out == ""


def test_the_log_of_an_impossible_key_or_user_is_bad_use(run: Run) -> None:
    assert run("log", "--key", "colour:red").code == 2
    assert run("log", "--user", "a:b").code == 2


def test_stats_have_the_sequence_number_and_the_shards(run: Run) -> None:
    figures = run("stats", "--json").json
    assert figures["seq"] == 10
    assert len(figures["shards"]) == 4
    counted = {"restarts", "quarantined", "waits", "deadlocks", "aborts", "retries"}
    assert figures["shards"][0].keys() == {"index", "inFlight", "epoch", "queued", "queueAgeS", *counted}
    shown = run("stats").out
    assert all(name in shown for name in ("sizeBytes", "waiting", "queueAgeS", *counted))
