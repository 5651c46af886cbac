"""The program as a whole: bad use, exit codes, pipes, signals."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ran import Ran, Run, Start

from pictact_actors import Store
from pictact_actors.cli import program

COMMANDS = [
    *("play", "replay", "leaderboard", "player", "get", "log", "check"),
    *("audit", "cleanup", "backup", "restore", "stats", "top", "export", "import"),
]


def finished(child: subprocess.Popen[str]) -> Ran:
    out, err = child.communicate(timeout=60)
    return Ran(child.returncode, out, err)


def until(fact: Callable[[], bool]) -> None:
    """Wait until the child has come that far."""
    while not fact():
        pass


def test_the_commands_are_those_of_the_contract() -> None:
    assert list(program.commands) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(run: Run, name: str) -> None:
    ran = run(name, "--help")
    assert ran.code == 0
    assert "Examples:" in ran.out
    assert "--data DIR" in ran.out
    assert "--json" in ran.out


def test_without_arguments_it_shows_its_help_and_that_is_bad_use(run: Run) -> None:
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert all(name in ran.err for name in COMMANDS)


def test_it_knows_its_version(run: Run) -> None:
    assert run("--version").out.startswith("pictact ")


@pytest.mark.parametrize(
    "args",
    [
        ("--colour",),
        ("paint",),
        ("get",),
        ("get", "match:a", "match:b"),
        ("get", "match:a", "--colour"),
        ("leaderboard", "--limit", "-1"),
        ("leaderboard", "--limit", "many"),
        ("leaderboard", "--by", "colour"),
        ("play", "--hosts", "0"),
        ("play", "--seconds", "-1"),
        ("play", "--data", ""),
        ("log", "--from", "0"),
        ("replay", "/nowhere/log.jsonl"),
    ],
)
def test_bad_use_is_exit_2_and_one_line_that_says_where_to_look(run: Run, args: tuple[str, ...]) -> None:
    ran = run(*args)
    assert (ran.code, ran.out) == (2, "")
    assert "--help" in ran.complaint


@pytest.mark.parametrize("name", ["leaderboard", "check", "log", "stats", "export"])
def test_a_reading_command_creates_nothing(run: Run, data: Path, name: str) -> None:
    ran = run(name)
    assert (ran.code, ran.out) == (2, "")
    assert "not a store" in ran.complaint
    assert not data.exists()


@pytest.mark.parametrize("name", ["check", "play"])
def test_something_else_is_not_a_store(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("")
    for other in ("file", "other"):
        ran = run(name, "--data", str(tmp_path / other))
        assert ran.code == 2
        assert "not a store" in ran.complaint
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]


def test_a_store_that_is_open_elsewhere_is_exit_1(run: Run, played: Path) -> None:
    with Store.open(played):
        ran = run("export")
    assert ran.code == 1
    assert "open already" in ran.complaint


def test_every_command_runs_as_a_module(start: Start, played: Path) -> None:
    assert played.exists()
    ran = finished(start("check"))
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("args", [("log",), ("export",), ("leaderboard", "--json")])
def test_a_reader_that_has_enough_is_no_error(start: Start, args: tuple[str, ...]) -> None:
    child = start(*args)
    assert child.stdout is not None
    child.stdout.close()
    child.stdout = None
    assert finished(child) == Ran(141, "", "") or child.returncode == 141


@pytest.mark.usefixtures("played")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("args", [("log",), ("export",), ("stats",)])
def test_output_that_cannot_be_written_is_one_line_and_exit_1(start: Start, args: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = finished(start(*args, stdout=full))
    assert ran.code == 1
    assert "No space left on device" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_an_evening_cleanly(start: Start, data: Path, number: signal.Signals, code: int) -> None:
    child = start("play", "--seconds", "600")
    assert child.stderr is not None
    assert "begins" in child.stderr.readline()
    child.send_signal(number)
    ran = finished(child)
    assert (ran.code, ran.err) == (code, "")
    assert "p95" in ran.out
    with Store.open(data) as store:
        assert store.check() == []


def test_a_signal_stops_a_replay_that_waits_for_its_log(start: Start, data: Path) -> None:
    child = start("replay", "-", "--json", stdin=subprocess.PIPE)
    until((data / "STORE").exists)
    child.send_signal(signal.SIGINT)
    ran = finished(child)
    assert (ran.code, ran.err) == (130, "")
    Store.open(data).close()


def test_a_signal_stops_a_replay_in_real_time(start: Start, tmp_path: Path, data: Path) -> None:
    create = (
        '{"type": "create_match", "postId": "t3_a", "subreddit": "p", "roundsTotal": 1, "theme": "x", "createdBy": "m"'
    )
    (tmp_path / "log.jsonl").write_text(f'{create}, "ts": 1}}\n{create}, "ts": 9999}}\nhello\n')
    child = start("replay", str(tmp_path / "log.jsonl"), "--speed", "real", "--json")
    until(lambda: any((data / "journal").glob("*")) if data.exists() else False)
    child.send_signal(signal.SIGTERM)
    assert finished(child).code == 143


def test_two_signals_do_not_wait(start: Start) -> None:
    child = start("play", "--seconds", "600")
    assert child.stderr is not None
    child.stderr.readline()
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGINT)
    assert finished(child).code == 130
