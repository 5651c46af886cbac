"""`replay` on logs made by hand: what is skipped, what is rejected, and where a second replay ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ran import Ran, Run

from pictact_actors import NotFound, Store
from pictact_actors.cli.replaying import LogClock, Pace
from pictact_actors.testing import ManualClock

CREATE = {
    "type": "create_match",
    "ts": 100,
    "postId": "t3_a",
    "subreddit": "pics",
    "roundsTotal": 1,
    "theme": "x",
    "createdBy": "m",
}
AWARD = {"type": "award_points", "ts": 101, "postId": "t3_a", "user": "ann", "points": 5}
COMPLETE = {"type": "complete_match", "ts": 103, "postId": "t3_a"}
TROPHY = {"type": "add_trophy", "ts": 102, "user": "ann", "trophy": "early"}
ROUND = {"type": "create_round", "ts": 102, "postId": "t3_a", "index": 0, "promptText": "?", "startTs": 1, "endTs": 2}
CLOSE = {"type": "close_round", "ts": 102, "postId": "t3_a", "index": 0, "winnerUser": "ann", "points": 50}


def log(*lines: object) -> str:
    return "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)


@pytest.fixture
def replay(run: Run, tmp_path: Path) -> Run:
    def replay(*lines: object, options: tuple[str, ...] = ()) -> Ran:
        path = tmp_path / "log.jsonl"
        path.write_text(log(*lines))
        return run("replay", str(path), "--json", *options)

    return replay


def at_its_end(data: Path) -> Store:
    """Open the store at the last moment of its log."""
    return Store.open(data, create=False, clock=ManualClock(0.0))


def points(data: Path, post_id: str = "t3_a") -> dict[str, object]:
    with at_its_end(data) as store:
        try:
            return {at.user: at.points for at in store.leaderboard(post_id, limit=1_000)}
        except NotFound:
            return {}


def test_a_log_is_applied_at_its_own_time(replay: Run, data: Path) -> None:
    ran = replay(CREATE, AWARD, TROPHY, COMPLETE)
    assert (ran.code, ran.err) == (0, "")
    assert (ran.json["applied"], ran.json["rejected"], ran.json["skipped"]) == (4, 0, 0)
    with at_its_end(data) as store:
        assert store.match("t3_a").created_at == 100
        assert store.match("t3_a").completed_at == 103
        assert store.lifetime("ann").trophies == ["early"]


def test_a_log_from_a_pipe_is_applied(run: Run, data: Path) -> None:
    assert run("replay", "-", "--json", stdin=log(CREATE, AWARD)).json["applied"] == 2
    assert points(data) == {"ann": 5}


def test_lines_that_are_not_valid_are_reported_and_skipped(replay: Run, data: Path) -> None:
    ran = replay(
        CREATE, "hello", {**AWARD, "user": "a:b"}, {**AWARD, "colour": "red"}, {"type": "frob", "ts": 1}, AWARD
    )
    assert ran.code == 1
    assert (ran.json["applied"], ran.json["rejected"], ran.json["skipped"]) == (2, 0, 4)
    assert [line.split(":")[1] for line in ran.err.splitlines()] == [f" line {n} skipped" for n in (2, 3, 4, 5)]
    assert points(data) == {"ann": 5}


def test_messages_that_the_store_rejects_are_reported_and_change_nothing(replay: Run, data: Path) -> None:
    ran = replay(CREATE, AWARD, COMPLETE, {**AWARD, "ts": 104}, {**AWARD, "ts": 105, "postId": "t3_none"})
    assert ran.code == 0
    assert (ran.json["applied"], ran.json["rejected"], ran.json["skipped"]) == (3, 2, 0)
    assert sorted(line.split(" rejected: ")[0] for line in ran.err.splitlines()) == [
        "pictact: line 4",
        "pictact: line 5",
    ]
    assert points(data) == {"ann": 5}


def test_without_request_ids_a_second_replay_counts_nothing_twice(replay: Run, data: Path) -> None:
    for _ in range(3):
        assert replay(CREATE, AWARD, AWARD, AWARD).json["applied"] == 4
        assert points(data) == {"ann": 15}


def test_a_message_before_its_match_is_rejected_every_time(replay: Run, data: Path) -> None:
    for _ in range(3):
        ran = replay({**AWARD, "ts": 90}, {**COMPLETE, "ts": 91}, CREATE, AWARD)
        assert (ran.json["applied"], ran.json["rejected"]) == (2, 2)
        assert points(data) == {"ann": 5}


def test_a_message_before_its_round_is_rejected_every_time(replay: Run, data: Path) -> None:
    for _ in range(3):
        ran = replay(CREATE, CLOSE, ROUND)
        assert (ran.json["applied"], ran.json["rejected"]) == (2, 1)
        assert points(data) == {}


def test_a_log_goes_on_where_another_ended(replay: Run, data: Path) -> None:
    assert replay(CREATE, AWARD).json["applied"] == 2
    assert replay({**AWARD, "ts": 200}, {**AWARD, "ts": 90}).json["applied"] == 2
    assert points(data) == {"ann": 15}


def test_time_never_runs_backwards(replay: Run, data: Path) -> None:
    replay({**CREATE, "ts": 1_000}, {**AWARD, "ts": 10})
    with at_its_end(data) as store:
        assert store.score("t3_a", "ann").updated_at >= 1_000


@pytest.mark.parametrize("hosts", ["1", "3", "16"])
def test_any_number_of_hosts_ends_in_the_same_standings(replay: Run, data: Path, hosts: str) -> None:
    lines = [{**CREATE, "postId": f"t3_{match}"} for match in range(5)]
    for turn in range(200):
        award = {"postId": f"t3_{turn % 5}", "user": f"u{turn % 7}", "points": turn}
        lines += [{**AWARD, "ts": 101 + turn, **award}]
    lines += [{**COMPLETE, "ts": 400, "postId": f"t3_{match}"} for match in range(5)]
    lines += [{**TROPHY, "ts": 401, "trophy": f"t{n}"} for n in range(50)]
    assert replay(*lines, options=("--hosts", hosts)).json["rejected"] == 0
    with at_its_end(data) as store:
        assert store.lifetime("ann").trophies == [f"t{n}" for n in range(50)]
        assert sum(store.lifetime(f"u{n}").total_points for n in range(7)) == sum(range(200))


def test_a_replay_with_a_speed_takes_its_time(replay: Run) -> None:
    lines = [CREATE, {**AWARD, "ts": 100.2}]
    assert replay(*lines, options=("--speed", "real")).json["elapsedS"] >= 0.2
    assert replay(*lines, options=("--speed", "2x")).json["elapsedS"] >= 0.1


@pytest.mark.parametrize("speed", ["0x", "-1x", "fast", "nan", "inf", "x", ""])
def test_a_speed_that_is_none_is_bad_use(run: Run, tmp_path: Path, data: Path, speed: str) -> None:
    (tmp_path / "log.jsonl").write_text("")
    assert run("replay", str(tmp_path / "log.jsonl"), "--speed", speed).code == 2
    assert not data.exists()


def test_a_log_that_is_not_there_creates_no_store(run: Run, tmp_path: Path, data: Path) -> None:
    assert run("replay", str(tmp_path / "none.jsonl")).code == 2
    assert not data.exists()


def test_the_clock_of_a_log_goes_only_forward() -> None:
    clock = LogClock()
    for ts, now in ((5, 5), (3, 5), (8, 8)):
        clock.reach(ts)
        assert clock.now() == now


def test_the_fastest_pace_never_waits() -> None:
    pace = Pace(None)
    assert [pace.wait_s(ts) for ts in (0, 1e9)] == [0.0, 0.0]


def test_a_pace_counts_from_the_first_message() -> None:
    pace = Pace(10.0)
    assert pace.wait_s(1e9) == 0.0
    assert 9 < pace.wait_s(1e9 + 100) <= 10
    assert pace.wait_s(1e9 - 100) == 0.0


matches = st.sampled_from(["t3_a", "t3_b"])
players = st.sampled_from(["ann", "bob"])
lines_of_any_order = st.lists(
    st.one_of(
        matches.map(lambda post: {**CREATE, "postId": post}),
        st.builds(
            lambda post, user, n: {**AWARD, "postId": post, "user": user, "points": n},
            matches,
            players,
            st.integers(-3, 3),
        ),
        st.builds(lambda post, index: {**ROUND, "postId": post, "index": index}, matches, st.integers(0, 1)),
        st.builds(lambda post, index: {**CLOSE, "postId": post, "index": index}, matches, st.integers(0, 1)),
        matches.map(lambda post: {**COMPLETE, "postId": post}),
        matches.map(lambda post: {"type": "cancel_match", "postId": post}),
        players.map(lambda user: {**TROPHY, "user": user}),
    ),
    max_size=20,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines_of_any_order, st.lists(st.integers(0, 40), min_size=20, max_size=20), st.sampled_from([1, 86_400]))
def test_a_second_replay_of_any_log_changes_no_record(
    run: Run, tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, object]], times: list[int], unit: int
) -> None:
    where = tmp_path_factory.mktemp("replay")
    stamped = ({**line, "ts": ts * unit} for line, ts in zip(lines, times, strict=False))
    (where / "log.jsonl").write_text(log(*stamped))
    contents, counts = [], []
    for _ in range(2):
        counts.append(run("replay", str(where / "log.jsonl"), "--json", "--data", str(where / "data")).json)
        with at_its_end(where / "data") as store:
            contents.append({**dict(store.scan("")), **{entry.key: entry for entry in store.audit()}})
    assert contents[0] == contents[1]
    if unit == 1:  # what was rejected in a match that has expired since is passed over with it
        assert [count["applied"] for count in counts] == [counts[0]["applied"]] * 2


WEEK_S = 7 * 86_400
LATER = {"type": "add_trophy", "ts": COMPLETE["ts"] + WEEK_S, "user": "zoe", "trophy": "late"}


def test_matches_expire_as_the_time_of_the_log_goes_by(replay: Run, data: Path, run: Run) -> None:
    assert replay(CREATE, AWARD, COMPLETE, {**LATER, "ts": LATER["ts"] - 1}).json["applied"] == 4
    assert points(data) == {"ann": 5}
    assert replay(CREATE, AWARD, COMPLETE, LATER).json["applied"] == 4
    assert points(data) == {}
    (entry,) = run("audit", "--json").json_lines
    assert (entry["postId"], entry["reason"], entry["dueAt"]) == ("t3_a", "completed", LATER["ts"])
    with at_its_end(data) as store:
        assert store.player("ann").matches[0].completed_at == COMPLETE["ts"]


def test_a_match_that_was_played_and_is_gone_is_not_played_again(replay: Run, data: Path) -> None:
    lines = [CREATE, AWARD, COMPLETE, LATER]
    for _ in range(3):
        assert replay(*lines).json["applied"] == 4
        with at_its_end(data) as store:
            assert [at.completed_at for at in store.player("ann").matches] == [COMPLETE["ts"]]
            assert store.lifetime("ann").matches_played == 1


def test_a_post_that_is_played_again_later_is_played_again_in_the_replay(replay: Run, data: Path) -> None:
    again = [{**line, "ts": line["ts"] + 10 * 86_400} for line in (CREATE, AWARD, AWARD, COMPLETE)]
    lines = [CREATE, AWARD, COMPLETE, *again]
    for _ in range(3):
        assert replay(*lines).json["applied"] == 7
        assert points(data) == {"ann": 10}
        with at_its_end(data) as store:
            assert [at.points for at in store.player("ann").matches] == [10]


def test_a_match_that_nobody_ends_is_idle_at_the_same_moment_in_every_replay(replay: Run, data: Path) -> None:
    late = {**AWARD, "ts": CREATE["ts"] + 90 * 86_400 + 3_600}
    for hosts in ("1", "4"):
        assert replay(CREATE, AWARD, late, options=("--hosts", hosts)).json["skipped"] == 0
        assert points(data) == {}
    with at_its_end(data) as store:
        assert [(entry.reason, entry.done) for entry in store.audit()] == [("idle", True)]
