"""`python -m bench load` as its user sees it."""

from __future__ import annotations

import io
import json
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from loads import FOUND, StoreInMemory, made_up
from rich.console import Console

from bench.load import command, console, page, running, soak
from bench.load.comparing import changes
from bench.load.mix import Operation, Query
from bench.load.ramp import Limits, Step
from bench.load.result import Result, load
from bench.load.session import Session
from bench.load.target import EmbeddedStore

SHORT = ["--players", "20", "--matches", "2", "--round-calls", "24", "--rate", "300", "--threads", "4", "--tasks", "0"]
DELAY_S = 0.1


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without a disk, and nothing is drawn."""
    monkeypatch.setattr(running, "EmbeddedStore", StoreInMemory)
    monkeypatch.setattr(page, "save", lambda _session, _directory: None)


def measured(out: Path, *arguments: str) -> int:
    options = ["--seconds", "0.3", "--dir", str(out.parent), "--out", str(out), *arguments]
    return command.main(options)


def test_a_result_is_written_as_data_and_as_a_page_and_nothing_else_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(tmp_path / "out", *SHORT) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["events.jsonl", "report.html", "result.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written["runs"][0]["verified"]["acknowledged"] > 20
    assert load(tmp_path / "out").plan.rate == 300
    text = (tmp_path / "out" / "report.html").read_text()
    assert text.count("<svg") == 5
    assert "Verdict" not in text
    shown = capsys.readouterr().out
    assert "award_points" in shown
    assert "held against what is" in shown
    assert "report.html" in shown


@pytest.mark.usefixtures("in_memory")
def test_a_planted_regression_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    assert measured(before, *SHORT, "--runs", "5") == 0
    call = EmbeddedStore.call

    def slower(self: EmbeddedStore, operation: Operation) -> object:
        if not isinstance(operation, Query):
            threading.Event().wait(DELAY_S)
        return call(self, operation)

    monkeypatch.setattr(EmbeddedStore, "call", slower)
    assert measured(after, "--against", str(before)) == 1
    (told,) = (line for line in capsys.readouterr().out.splitlines() if "writes p50 ms" in line)
    assert told.split()[-1] == "worse"


def test_a_soak_without_a_rate_looks_for_the_highest_first_and_ends_in_a_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []

    def run(plan: object, _directory: Path, _tell: object) -> object:
        plans.append(plan)
        return made_up(p99_ms=0.9 if plan.rate <= 1_000 else 900.0, rate=plan.rate)

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(page, "save", lambda _session, _directory: None)
    assert command.main(["--soak", "--dir", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert plans[-1].rate == pytest.approx(500, rel=0.1)
    assert (plans[-1].seconds, plans[-1].backup_interval_s) == (soak.SECONDS, soak.BACKUP_INTERVAL_S)
    shown = capsys.readouterr().out
    assert "Highest rate" in shown
    assert "kept    p99.9 of writes" in shown


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", run)
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path / "out", *SHORT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--seconds", "0"], "must be between"),
        (["--rate", "nan"], "must be between"),
        (["--threads", "0", "--tasks", "0"], "somebody has to call"),
        (["--closed", "--ramp"], "no rate to raise"),
        (["--ramp", "--soak"], "not allowed with"),
        (["--against", "nowhere"], "there is no result in nowhere"),
        (["--dir", "nowhere"], "must be a directory"),
    ],
)
def test_nonsense_is_refused_with_what_to_do(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    assert refused.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("in_memory")
def test_an_earlier_result_is_repeated_as_it_was_and_has_enough_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(tmp_path / "one", *SHORT) == 0
    for arguments, told in ((["--rate", "7"], "rate would differ"), (["--threads", "4"], "1 run(s): at least 5")):
        with pytest.raises(SystemExit):
            command.main(["--against", str(tmp_path / "one"), *arguments])
        assert told in capsys.readouterr().err
    (tmp_path / "one" / "result.json").write_text("{}")
    with pytest.raises(SystemExit):
        command.main(["--against", str(tmp_path / "one")])
    assert "is no result of a load" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measured(tmp_path) == 2
    assert "name a new directory with --out" in capsys.readouterr().err


def everything() -> Session:
    """As wide and as bad as it gets."""
    wrong = replace(FOUND, differences=("t3_<b>: 1 points acknowledged, 0 stored",), uncertain=3)
    run = made_up(p99_ms=12_345.6, rate=123_456.0, left=9, verified=wrong, refused={"award_points: Overloaded": 12})
    before = [made_up(p99_ms=1.0 + number / 100).figures() for number in range(5)]
    slow = [{"sync_us": 200.0 + number} for number in range(5)]
    return Session(
        Result(
            "Load", run.plan, {"processors": 2, "system": "Linux", "sync_us": 180, "versions": {"Python": "3"}}, (run,)
        ),
        steps=[Step(500.0, 500.0, 1.0, 2.0, ""), Step(1_000_000.0, 123_456.0, 999.0, 2_000.0, "reads p99 12,346 ms")],
        claims=soak.claims(run),
        changes=changes(before, [run.figures()] * 5),
        machine_changes=changes(slow, [{"sync_us": 900.0}] * 5),
    )


def test_everything_fits_a_terminal_of_a_hundred_columns() -> None:
    session, paper = everything(), io.StringIO()
    terminal, run = Console(file=paper, width=100), session.result.typical()
    console.show_run(session.result, run, terminal)
    console.show_ramp(session.steps, Limits(), terminal)
    console.show_claims(session.claims, terminal)
    console.show_changes(session.changes, session.machine_changes, terminal)
    shown = paper.getvalue()
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown
    assert "The machine itself changed" in shown
    assert "Fell behind: 9 calls" in shown


def test_the_page_holds_everything_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = page.save(everything(), tmp_path).read_text()
    assert text.count("<svg") == 7
    assert not re.findall(r"""(?:src|href)=["'](?!#)|@import|<script""", text)
    assert "t3_&lt;b&gt;" in text
    assert all(part in text for part in ("Verdict", "The highest rate", "Against the earlier result", "MISSED".lower()))
