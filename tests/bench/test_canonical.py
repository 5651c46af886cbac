"""The canonical workload: every subject does it, nobody cheats, and the figures are sane."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench import __main__ as command
from bench import machine, report, workload
from bench.series import Cheated, Plan, Series, run_series
from bench.subjects import SUBJECTS, Subject
from bench.subjects.bare import BareParts
from bench.subjects.sqlite import Connections, OneConnection
from bench.workload import LONE, Sample

SECONDS = 0.05
CASES = {case.name: case for case in workload.CASES}


@pytest.fixture(autouse=True)
def few_players(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "POSTS", workload.POSTS[:4])
    monkeypatch.setattr(workload, "USERS", workload.USERS[:8])


def run(directory: Path, subject: type[Subject]) -> Series:
    plan = Plan(subjects=[subject], rounds=1, seconds=SECONDS)
    return run_series(plan, directory, progress=lambda _doing: None)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.NAME)
def test_a_subject_stores_what_it_acknowledges_at_a_believable_rate(subject: type[Subject], tmp_path: Path) -> None:
    series = run(tmp_path, subject)
    samples = [sample for found in series.samples.values() for sample in found]
    assert series.verified > sum(load.writes for _, load in series.samples)
    assert all(0 < sample.p50 <= sample.p95 <= sample.p99 for sample in samples)
    assert all(sample.calls > 0 and 1 < sample.rate < 1e8 for sample in samples)


def test_every_case_has_a_figure_for_the_store() -> None:
    assert all(case.loads(report.STORE) for case in workload.CASES)


def test_a_subject_that_loses_an_award_is_found_out(tmp_path: Path) -> None:
    class Forgetful(BareParts):
        def award(self, post: str, user: str) -> None:
            if user != workload.USERS[0]:
                super().award(post, user)

    with pytest.raises(Cheated, match="bare parts acknowledged"):
        run(tmp_path, Forgetful)


def test_senders_draw_the_same_players_in_every_run_and_different_ones_from_each_other() -> None:
    first, again, other = (workload.draws(1, 0), workload.draws(1, 0), workload.draws(1, 1))
    drawn = [[next(source) for _ in range(32)] for source in (first, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_each_round_begins_with_another_subject() -> None:
    plan = Plan(subjects=SUBJECTS, rounds=len(SUBJECTS))
    turns = list(plan.turns())
    assert {subject for _, subject in turns[:: len(SUBJECTS)]} == set(SUBJECTS)
    assert len(turns) == len(SUBJECTS) ** 2


def test_the_better_of_two_ways_is_reported_once() -> None:
    plan = Plan(subjects=(OneConnection, Connections))
    samples = {(OneConnection, LONE): [Sample(1, 10.0, 1, 1, 1)], (Connections, LONE): [Sample(1, 20.0, 1, 1, 1)]}
    (row,) = report.rows(Series(plan, samples), CASES["lone"])
    assert (row.title, row.way, row.rate) == ("SQLite FULL", "pooled", 20.0)


def test_the_tables_fit_a_terminal_of_a_hundred_columns(tmp_path: Path) -> None:
    series = Series(Plan(subjects=SUBJECTS), verified=12_345_678)
    slowest = Sample(calls=1, rate=12_345_678.9, p50=9_990_000, p95=99_900_000, p99=999_900_000)
    for subject in SUBJECTS:
        series.samples.update({(subject, load): [slowest] for load in series.plan.loads(subject)})
    paper = io.StringIO()
    report.show(series, machine.describe(tmp_path), Console(file=paper, width=100))
    lines = paper.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert not any("…" in line for line in lines)
    assert all(any(case.title in line for line in lines) for case in workload.CASES)


def test_the_command_writes_its_figures_as_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures.json"
    arguments = [
        "--only",
        "bare",
        "--case",
        "lone",
        "--seconds",
        "0.05",
        "--dir",
        str(tmp_path),
        "--json",
        str(figures),
    ]
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    assert command.main() == 0
    found = json.loads(figures.read_text())
    assert found["cases"][0]["rows"][0]["subject"] == "bare"
    assert "lone caller" in capsys.readouterr().out
    assert not list(tmp_path.glob(".bench-*"))
