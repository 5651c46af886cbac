"""Every command that looks, and the few that act, on a store that another process has open."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from games import begin
from ran import Run
from waiting import until

from pictact_actors import AwardPoints, Store, StoreConfig, StoreLocked

ASKED = [
    ("get", "match:t3_done"),
    ("get", "score:t3_open:ann"),
    ("get", "match:nowhere"),
    ("get", "colour:red"),
    ("leaderboard", "t3_open"),
    ("leaderboard", "t3_open", "--limit", "1", "--offset", "1"),
    ("leaderboard", "nowhere"),
    ("leaderboard",),
    ("leaderboard", "--by", "total_points"),
    ("player", "ann"),
    ("player", "nobody"),
    ("log",),
    ("log", "--from", "1"),
    ("log", "--from", "100000"),
    ("log", "--key", "match:t3_done"),
    ("log", "--user", "ann"),
    ("log", "--user", "a:b"),
    ("check",),
    ("audit",),
    ("audit", "--since", "2024-05-01", "--limit", "3"),
]
HOST = """
import sys
from pictact_actors import Store, StoreConfig
with Store.open(sys.argv[1], config=StoreConfig(cleanup_interval_s=1e9)):
    print("open", flush=True)
    sys.stdin.read()
"""
SMALL = StoreConfig(journal_segment_bytes=4_096, journal_bytes_max=8_192)


class Elsewhere:
    """A process that has a store open."""

    def __init__(self, data: Path) -> None:
        pipe = subprocess.PIPE
        self._child = subprocess.Popen([sys.executable, "-c", HOST, str(data)], stdin=pipe, stdout=pipe, text=True)
        assert self._child.stdout is not None
        assert self._child.stdout.readline() == "open\n"

    def close(self) -> None:
        self._child.communicate(timeout=60)
        assert self._child.returncode == 0

    def kill(self) -> None:
        self._child.kill()
        self._child.communicate()


@pytest.fixture
def elsewhere(data: Path) -> Iterator[Elsewhere]:
    """A store with a journal, a base and an audit, open in another process."""
    with Store.open(data, config=replace(SMALL, match_expiry_s=0.001)) as store:
        begin(store, "t3_old")
        store.award_points("t3_old", "cat", 1)
        store.complete_match("t3_old")
        until(lambda: list(store.audit()))
    with Store.open(data, config=SMALL) as store:
        for post_id in ("t3_done", "t3_open"):
            begin(store, post_id)
            store.award_points(post_id, "ann", 2.5, request_id=f"{post_id}-ann")

        def play_on() -> bool:
            for reply in store.submit([AwardPoints("t3_open", "bob", 1)] * 100):
                reply.get()
            return store.statistics().base_seq > 100

        until(play_on)
        store.complete_match("t3_done", trophies={"ann": ["best"]})
    elsewhere = Elsewhere(data)
    yield elsewhere
    elsewhere.kill()


def test_every_command_answers_as_it_does_when_the_store_is_closed(elsewhere: Elsewhere, run: Run, data: Path) -> None:
    with pytest.raises(StoreLocked):
        Store.open(data)
    asked = [(*args, *how) for args in ASKED for how in ((), ("--json",))]
    live = [run(*args) for args in asked]
    elsewhere.close()
    directly = [run(*args) for args in asked]
    assert dict(zip(asked, live, strict=True)) == dict(zip(asked, directly, strict=True))
    assert {ran.code for ran in live} == {0, 1, 2}
    (completed,) = run("log", "--key", "match:t3_done", "--json").json_lines
    assert completed["old"]["match:t3_done"]["status"] == "active"
    assert run("audit", "--json").json["postId"] == "t3_old"


def test_stats_of_a_live_store_have_the_same_figures(elsewhere: Elsewhere, run: Run) -> None:
    live = run("stats", "--json").json
    elsewhere.close()
    directly = run("stats", "--json").json
    assert live.keys() == directly.keys()
    assert live["seq"] == directly["seq"]


def test_a_live_store_is_backed_up_and_cleaned_up(
    elsewhere: Elsewhere, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    taken = run("backup", "copies", "--json")
    assert taken.code == 0
    assert Path(taken.json["path"]).parent == tmp_path / "copies"
    assert "0 bad" in run("backup", "copies", "--verify").out
    assert run("cleanup", "--json").json["records"] == 0
    assert "nothing is due" in run("cleanup").out
    assert "commit" in run("backup").out
    elsewhere.close()
    assert run("backup", "copies", "--json").json["digest"] == taken.json["digest"]


@pytest.mark.parametrize("args", [("export",), ("replay", "-"), ("play", "--seconds", "0"), ("import", "-")])
def test_what_needs_the_directory_for_itself_says_who_has_it(run: Run, played: Path, args: tuple[str]) -> None:
    with Store.open(played):
        ran = run(*args, stdin="")
    assert ran.code == 1
    assert "open already, held by process" in ran.complaint


def test_a_store_without_a_console_is_locked(run: Run, played: Path) -> None:
    with Store.open(played, config=StoreConfig(console=False)):
        ran = run("check")
    assert ran.code == 1
    assert "open already" in ran.complaint
