from __future__ import annotations

from pathlib import Path

from ran import Run

from pictact_actors import Store

SHORT = ("play", "--seconds", "0.3", "--hosts", "3", "--matches", "4", "--players", "50")


def test_an_evening_ends_with_completed_matches_and_a_clean_check(run: Run, data: Path) -> None:
    ran = run(*SHORT, "--json")
    evening = ran.json
    assert ran.code == 0
    assert (evening["checked"], evening["problems"], evening["missed"]) == (True, [], [])
    assert evening["completed"] >= 1
    assert evening["reads"] > 10 * evening["writes"] / 2
    with Store.open(data) as store:
        assert {match.status for _, match in store.scan("match:")} <= {"completed", "cancelled"}


def test_every_operation_has_percentiles_and_its_limit(run: Run) -> None:
    latencies = {latency["operation"]: latency for latency in run(*SHORT, "--json").json["latencies"]}
    assert latencies["score"]["limitMs"] == latencies["leaderboard"]["limitMs"] == 100
    assert latencies["complete_match"]["limitMs"] == 200
    for latency in latencies.values():
        assert 0 < latency["p50Ms"] <= latency["p95Ms"] <= latency["p99Ms"] <= latency["maxMs"]


def test_people_get_latencies_a_board_and_the_check(run: Run) -> None:
    ran = run(*SHORT, "--seed", "7")
    assert "Evening 7" in ran.out
    assert "p95" in ran.out
    assert "Leaderboard of t3_7-0_" in ran.out
    assert "check: clean" in ran.out
    assert "evening 7 begins" in ran.err


def test_a_second_evening_with_the_same_seed_has_matches_of_its_own(run: Run, data: Path) -> None:
    for _ in range(2):
        assert run(*SHORT, "--seed", "7").code == 0
    with Store.open(data) as store:
        assert store.match("t3_7-0_0_0").status in ("completed", "cancelled")
        assert store.match("t3_7-1_0_0").status in ("completed", "cancelled")


def test_the_reported_board_is_that_of_the_store(run: Run, data: Path) -> None:
    evening = run(*SHORT, "--json").json
    with Store.open(data) as store:
        board = store.leaderboard(evening["postId"])
    assert [standing.to_dict() for standing in board] == evening["leaderboard"]


def test_an_evening_without_time_plays_nothing(run: Run) -> None:
    evening = run("play", "--seconds", "0", "--json").json
    assert (evening["completed"], evening["problems"]) == (0, [])


def test_an_evening_needs_no_disk(run: Run) -> None:
    assert run(*SHORT, "--data", ":memory:", "--json").json["problems"] == []
