"""The comparisons: everybody gets the same work, nobody cheats, and what came out is told as it is."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from bench import machine, peers, report, targets
from bench.sample import Cheated, Sample
from bench.series import Plan, Series, run_series
from bench.subjects import STORE, SUBJECTS, Subject
from bench.subjects.bare import BareParts
from bench.subjects.sqlite import Connections, OneConnection
from bench.trials import trials
from bench.trials.awards import ALONE, PIPELINED, Awards, loads
from bench.trials.boards import Boards
from bench.trials.mixes import MIXES, steps
from bench.trials.trial import FULL, Effort, Trial
from bench.trials.ycsb import Ycsb

TINY = Effort(rounds=1, seconds=0.02, records=200, keys=160, boards=(50,), participants=(10,))
SLOWEST = Sample(1, 12_345_678.9, 9_990_000, 99_900_000, 999_900_000, 12_345.6)


def run(directory: Path, subjects: Sequence[type[Subject]], some: Sequence[Trial], effort: Effort = TINY) -> Series:
    return run_series(Plan(subjects=subjects, trials=some, effort=effort), directory, progress=lambda _doing: None)


def made_up(sample: Sample) -> Series:
    series = Series(Plan(subjects=SUBJECTS, trials=trials(FULL), effort=FULL), verified=12_345_678)
    for trial in series.plan.trials:
        for subject in series.plan.able(trial):
            series.samples.update({(subject, case.name, ""): [sample] for case in trial.cases})
    return series


@pytest.mark.parametrize("trial", trials(TINY), ids=lambda trial: trial.cases[0].name)
def test_the_store_and_a_peer_do_every_trial_and_hold_what_they_acknowledged(trial: Trial, tmp_path: Path) -> None:
    series = run(tmp_path, [STORE, OneConnection], [trial])
    assert series.verified > 0
    for case in trial.cases:
        found = report.rows(series, case)
        assert set(found) == {"pictact_actors", "SQLite FULL"}
        assert all(0 < row.p50_us <= row.p99_us and row.rate > 0 for row in found.values())
    assert not list(tmp_path.iterdir())


def test_a_subject_that_loses_an_award_is_found_out(tmp_path: Path) -> None:
    class Forgetful(BareParts):
        forgot = False

        def award(self, post: str, user: str) -> None:
            if self.forgot:
                super().award(post, user)
            self.forgot = True

    with pytest.raises(Cheated, match="bare parts acknowledged"):
        run(tmp_path, [Forgetful], [Awards()])


def test_a_subject_that_loses_an_update_is_found_out(tmp_path: Path) -> None:
    class Lazy(OneConnection):
        def put(self, post: str, user: str) -> None: ...

    with pytest.raises(Cheated, match="SQLite FULL, YCSB A"):
        run(tmp_path, [Lazy], [Ycsb(MIXES[0])])


def test_a_board_that_lies_is_found_out(tmp_path: Path) -> None:
    kind = type(STORE.board(tmp_path / "one"))  # type: ignore[attr-defined]

    class Flattering(OneConnection):
        @staticmethod
        def board(directory: Path) -> object:
            return type("Liar", (kind,), {"rank": lambda _self, _user: 0})(directory)

    with pytest.raises(Cheated, match="not the rank"):
        run(tmp_path, [Flattering], [Boards(50)])


def test_each_round_begins_with_another_subject() -> None:
    plan = Plan(subjects=SUBJECTS, trials=[Awards()], effort=Effort(rounds=len(SUBJECTS)))
    turns = list(plan.turns(plan.trials[0]))
    assert {subject for _, subject in turns[:: len(SUBJECTS)]} == set(SUBJECTS)
    assert len(turns) == len(SUBJECTS) ** 2


def test_who_does_not_pipeline_does_its_best_with_blocking_callers() -> None:
    assert [load.action for load in loads(PIPELINED, STORE)] == ["submit"]
    assert [load.threads for load in loads(PIPELINED, OneConnection)] == [8, 64]


def test_the_better_of_two_ways_is_reported_once() -> None:
    plan = Plan(subjects=(OneConnection, Connections), trials=[Awards()], effort=FULL)
    series = Series(plan)
    series.samples[OneConnection, ALONE.name, ""] = [Sample(1, 20.0, 2, 2, 2)]
    series.samples[Connections, ALONE.name, ""] = [Sample(1, 10.0, 1, 1, 1)]
    assert {title: row.way for title, row in report.rows(series, ALONE).items()} == {
        "SQLite FULL": "a connection per thread"
    }


@pytest.mark.parametrize("mix", MIXES, ids=lambda mix: mix.name)
def test_a_mix_has_its_shares_and_few_records_meet_most_of_it(mix: object) -> None:
    drawn = steps(mix, 1_000, 20_000, "1")  # type: ignore[arg-type]
    shares = Counter(step.operation for step in drawn)
    assert all(abs(shares[name] / 200 - share) < 2 for name, share in mix.operations.items())  # type: ignore[attr-defined]
    popular = Counter(step.number for step in drawn).most_common(10)
    assert 0.3 < sum(times for _, times in popular) / len(drawn) < 0.5
    assert (sorted(number for number, _ in popular) == list(range(10))) == mix.latest  # type: ignore[attr-defined]
    assert {step.length for step in drawn} == set(range(1, 101))


def test_the_table_fits_and_tells_every_case_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(report.MISSING, "Redis always", "redis-server not found")
    series, paper = made_up(SLOWEST), io.StringIO()
    report.show(series, machine.describe(tmp_path), Console(file=paper, width=report.WIDTH))
    shown = paper.getvalue()
    assert max(map(len, shown.splitlines())) <= report.WIDTH
    assert "…" not in shown
    assert all(case.title in shown for case in report.cases(series))
    assert "MISSING, not compared: Redis always: redis-server not found." in shown


def test_targets_are_reached_by_figures_and_missed_without_them() -> None:
    assert not any(target.reached for target in targets.targets(Series(Plan(subjects=[], trials=[], effort=FULL))))
    series = made_up(Sample(1, 1e6, 10_000, 10_000, 10_000, 10_000.0))
    series.samples[STORE, PIPELINED.name, ""] = [Sample(1, 4.9e6, 1, 1, 1)]
    told = {target.text: target.reached for target in targets.targets(series) if target.text.startswith("pipelined")}
    assert list(told.values())[:2] == [True, False]


def test_a_board_in_time_that_nobody_wrote_to_has_not_reached_its_target() -> None:
    series = made_up(Sample(1, 1e6, 10_000, 10_000, 10_000, 5_000.0))
    assert not any(one.reached for one in targets.targets(series) if one.text.endswith("within 50 µs"))


def test_the_command_writes_its_figures_and_its_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="NOT CHECKED: no matplotlib to draw with")
    figures, drawn = tmp_path / "figures.json", tmp_path / "peers.svg"
    arguments = ["--only", "store", "--only", "sqlite", "--case", "completing-10", "--quick", "--dir", str(tmp_path)]
    assert peers.main([*arguments, "--json", str(figures), "--picture", str(drawn)]) == 0
    found = json.loads(figures.read_text())
    assert [row["subject"] for row in found["cases"][0]["rows"]] == ["store", "sqlite"]
    assert drawn.read_text().startswith("<?xml")
    assert "a match of 10 completes" in capsys.readouterr().out
    assert not list(tmp_path.glob(".bench-*"))


@pytest.mark.parametrize(
    "arguments", [["--case", "nonsense"], ["--picture", "x.doc"], ["--rounds", "0"], ["--json", "/no/where/x"]]
)
def test_nonsense_is_refused_before_anything_runs(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        peers.main(arguments)
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err
