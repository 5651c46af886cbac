"""`pictact top`: what it shows of a running store, and what it says when there is none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ran import Run, Start
from waiting import until

from pictact_actors import Store, StoreConfig
from pictact_actors.cli.picture import COMMANDS_MAX, SHARDS_MAX, Look, duration, headline, milliseconds, picture, size
from pictact_actors.console.counter import StoreDesk

SHORT_S = "0.1"


def figures_of(store: Store) -> dict[str, Any]:
    return dict(StoreDesk(store, iter).stats())


def shown(look: Look) -> dict[str, list[list[str]]]:
    return {part.title: [list(map(str, row)) for row in part.rows] for part in picture(look)}


@pytest.fixture
def look(data: Path) -> Look:
    """Two looks at a store, ten awards apart."""
    with Store.open(data) as store:
        store.create_match("t3_a", subreddit="pics", rounds_total=1, theme="sunsets", created_by="mod")
        before = figures_of(store)
        for _ in range(10):
            store.award_points("t3_a", "ann", 1)
        now = figures_of(store)
    return Look({**before, "uptimeS": 10.0}, {**now, "uptimeS": 12.0})


def test_rates_are_what_was_done_between_two_looks(look: Look) -> None:
    assert look.seconds == 2
    assert look.per_second()["writes"] == 5
    assert look.per_second()["commits"] == 5
    assert look.rates_of("commands")["award_points"] == 5


def test_rates_of_a_store_that_was_opened_in_between_count_from_there(look: Look) -> None:
    anew = Look(look.before, {**look.now, "uptimeS": 1.0})
    assert anew.seconds == 1
    assert anew.per_second()["commits"] == 11


def test_the_picture_has_everything(look: Look) -> None:
    parts = shown(look)
    assert [row[0] for row in parts[""]] == [
        *("a second", "p50 / p99", "in flight", "memory", "disk", "cleanup", "backup"),
    ]
    assert [row[0] for row in parts["shards"]] == ["0", "1", "2", "3"]
    assert next(row[:2] for row in parts["commands and queries"]) == ["award_points", "5"]
    assert "who waits for whom" not in parts
    assert "commit 11" in headline("game-data", look)


def test_trouble_is_named(look: Look) -> None:
    shard = {**look.now["shards"][0], "restarts": 2, "quarantined": 1}
    now = {**look.now, "failure": "the disk is gone", "storageFull": "no room", "alarms": 3, "scrubProblems": 1}
    said = [row[1] for row in shown(Look(look.before, {**now, "shards": [shard]}))[""] if row[0] == "TROUBLE"]
    assert [
        word for word in ("gone", "no room", "restarted", "quarantine", "scrub", "alarms") if word in str(said)
    ] == [
        *("gone", "no room", "restarted", "quarantine", "scrub", "alarms"),
    ]


def test_of_many_shards_and_commands_the_busiest_are_shown(look: Look) -> None:
    shards = [{**look.now["shards"][0], "index": number, "queueAgeS": number / 10} for number in range(64)]
    commands = [{**look.now["commands"][0], "name": f"command{number}"} for number in range(20)]
    parts = shown(Look(look.before, {**look.now, "shards": shards, "commands": commands, "queries": []}))
    assert [row[0] for row in parts["shards"]] == [*map(str, range(64 - SHARDS_MAX, 64)), f"+{64 - SHARDS_MAX}"]
    assert parts["commands and queries"][-1][0] == f"+{20 - COMMANDS_MAX}"


def test_who_waits_is_shown_with_whom_they_wait_for(data: Path) -> None:
    held, done = threading.Event(), threading.Event()
    with Store.open(data) as store:
        store.add_trophy("ann", "gold")

        def hold() -> None:
            with store.transaction() as tx:
                tx.add_trophy("ann", "silver")
                held.set()
                done.wait(2)

        def want() -> None:
            with store.transaction() as tx:
                tx.add_trophy("ann", "bronze")

        threads = [threading.Thread(target=hold), threading.Thread(target=want)]
        threads[0].start()
        assert held.wait(10)
        threads[1].start()
        until(lambda: figures_of(store)["blocked"])
        figures = figures_of(store)
        done.set()
        for thread in threads:
            thread.join(10)
    ((waiter, _, wants, behind),) = shown(Look(figures, {**figures, "uptimeS": 99.0}))["who waits for whom"]
    assert "ann" in wants
    assert "transaction" in waiter
    assert "transaction" in behind


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "-"), (0, "0.0 ms"), (0.0001, "0.10 ms"), (0.05, "50.0 ms"), (2.5, "2.5 s")]
)
def test_a_short_time_is_said_briefly(seconds: float | None, said: str) -> None:
    assert milliseconds(seconds) == said


def test_long_times_and_sizes_are_said_briefly() -> None:
    assert [duration(s) for s in (5, 65, 3_700, 90_000)] == ["5 s", "1 min 05 s", "1 h 01 min", "1 d 01 h"]
    assert [size(b) for b in (5, 2_048, 3 * 2**20, 5 * 2**40)] == ["5 B", "2.0 KiB", "3.0 MiB", "5.0 TiB"]


# -- the command


def test_one_picture_and_the_end(run: Run, played: Path) -> None:
    with Store.open(played):
        for_people = run("top", "--once", "--interval", SHORT_S)
        for_programs = run("top", "--once", "--interval", SHORT_S, "--json")
    assert (for_people.code, for_people.err) == (0, "")
    assert all(word in for_people.out for word in ("pictact top", "a second", "shards", "disk", "backup"))
    assert not [line for line in for_people.out.splitlines() if line != line.rstrip()]
    assert for_programs.json["stats"]["seq"] == 10
    assert for_programs.json["perSecond"].keys() == {"writes", "commits", "syncs", "reads"}


def test_a_store_that_nobody_has_open_is_exit_1(run: Run, played: Path) -> None:
    ran = run("top", "--once")
    assert (ran.code, ran.out) == (1, "")
    assert "nobody who has" in ran.complaint
    with Store.open(played, config=StoreConfig(console=False)):
        assert run("top").code == 1


def test_what_is_no_directory_is_bad_use(run: Run) -> None:
    ran = run("top", "--once")
    assert (ran.code, ran.out) == (2, "")
    assert "not a store" in ran.complaint


def test_a_store_that_comes_back_is_shown_again(start: Start, played: Path) -> None:
    with Store.open(played):
        child = start("top", "--interval", SHORT_S, "--json")
        assert child.stdout is not None
        assert child.stderr is not None
        assert json.loads(child.stdout.readline())["stats"]["commits"] == 0
    assert "closed or gone; waiting" in child.stderr.readline()
    with Store.open(played) as store:
        store.add_trophy("ann", "gold")
        until(lambda: json.loads(child.stdout.readline())["stats"]["seq"] == 11)  # type: ignore[union-attr]
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        assert (child.returncode, err) == (130, "")
        assert "Traceback" not in out


def test_a_store_that_stays_away_is_exit_1(run: Run, played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(played)
    looks: list[Look] = []

    def draw(_self: object, look: Look) -> None:
        looks.append(look)
        store.close()

    module = sys.modules["pictact_actors.cli.top"]  # the package has the command under that name
    monkeypatch.setattr(module, "GONE_S", 0.2)
    monkeypatch.setattr(module._Lines, "show", draw)  # type: ignore[attr-defined]
    ran = run("top", "--interval", SHORT_S)
    assert ran.code == 1
    assert len(looks) == 1
    assert "closed or gone; waiting" in ran.err
    assert "nobody who has" in ran.err.splitlines()[-1]


def test_a_process_that_hangs_is_said_to_hang(start: Start, run: Run, played: Path, monkeypatch: Any) -> None:
    child = start("replay", "-", "--json", stdin=subprocess.PIPE)
    until((played / "console.sock").exists)
    until(lambda: run("stats").code == 0)
    child.send_signal(signal.SIGSTOP)
    try:
        monkeypatch.setattr("pictact_actors.console.remote.RemoteDesk.__init__.__defaults__", (0.2,))
        ran = run("stats")
        assert ran.code == 1
        assert "see whether it hangs" in ran.complaint
    finally:
        child.send_signal(signal.SIGCONT)
    child.communicate(timeout=60)
