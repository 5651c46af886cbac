"""`cleanup` and `audit`: what goes, and what went."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from ran import Run

from pictact_actors import Store, StoreConfig
from pictact_actors.testing import ManualClock

DAY_S = 86_400.0
NOW = 1_700_000_000.0


@pytest.fixture
def due(data: Path) -> Path:
    """A directory in which, by the clock of today, everything has been due for long."""
    with Store.open(data, clock=ManualClock(NOW), config=StoreConfig(cleanup_interval_s=DAY_S)) as store:
        store.create_match("t3_a", subreddit="pics", rounds_total=1, theme="sunsets", created_by="mod")
        store.award_points("t3_a", "ann", 5)
        store.record_analytics("t3_a", invalid_rate=0.5)
        store.add_trophy("ann", "gold", request_id="r1")
        store.complete_match("t3_a")
    return data


@pytest.mark.usefixtures("due")
def test_cleanup_says_what_it_removed(run: Run) -> None:
    ran = run("cleanup")
    assert (ran.code, ran.err) == (0, "")
    assert "1 matches, 1 details of analytics, 1 answered requests of users removed, 5 records" in ran.out
    assert run("cleanup").out == "cleanup: nothing is due\n"
    assert "ann" in run("player", "ann").out


@pytest.mark.usefixtures("due")
def test_cleanup_and_audit_answer_programs(run: Run) -> None:
    report = run("cleanup", "--json").json
    assert {name: report[name] for name in ("matches", "records", "details", "requests", "audits")} == {
        "matches": 1,
        "records": 5,
        "details": 1,
        "requests": 1,
        "audits": 0,
    }
    entries = run("audit", "--json").json_lines
    of_match = next(entry for entry in entries if entry["postId"] == "t3_a")
    assert of_match["removed"] == {"score": 1, "analytics": 1, "match": 1}
    assert (of_match["reason"], of_match["theme"], of_match["dueAt"]) == ("completed", "sunsets", NOW + 7 * DAY_S)
    assert sorted(entry["reason"] for entry in entries) == ["archived", "completed", "forgotten"]


def test_the_archive_that_the_audit_names_is_there(run: Run, due: Path) -> None:
    run("cleanup")
    (archived,) = [entry for entry in run("audit", "--json").json_lines if entry["archive"]]
    with gzip.open(due / "archive" / archived["archive"], "rt", encoding="utf-8") as lines:
        assert [json.loads(line)["postId"] for line in lines] == ["t3_a"]
    assert run("stats", "--json").json["archiveBytes"] > 0


@pytest.mark.usefixtures("due")
def test_the_audit_is_a_table_for_people(run: Run) -> None:
    run("cleanup")
    shown = run("audit").out
    assert "t3_a" in shown
    assert "2023-11-21 22:13:20Z" in shown
    assert "1 score, 1 analytics, 1 match" in shown
    assert "details-20231114T221320Z-000001.jsonl.gz" in shown
    assert "answered requests" in shown


@pytest.mark.usefixtures("due")
def test_the_audit_begins_at_a_date_or_a_second(run: Run) -> None:
    run("cleanup")
    everything = run("audit", "--json").out
    assert everything
    assert run("audit", "--json", "--since", "2023-11-20").out == everything
    assert run("audit", "--json", "--since", "1700000000").out == everything
    assert run("audit", "--json", "--since", "9999-12-31T00:00+01:00").out == ""
    assert len(run("audit", "--json", "--limit", "1").json_lines) == 1
    assert run("audit", "--since", "9999-12-31").out == "audit: nothing was removed\n"


@pytest.mark.usefixtures("due")
@pytest.mark.parametrize("time", ["yesterday", "2023-13-01", "nan", "inf"])
def test_a_time_that_is_none_is_bad_use(run: Run, time: str) -> None:
    ran = run("audit", "--since", time)
    assert (ran.code, ran.out) == (2, "")
    assert ran.complaint


@pytest.mark.parametrize("command", ["cleanup", "audit"])
def test_where_there_is_no_store_none_is_made(run: Run, data: Path, command: str) -> None:
    assert run(command).code == 2
    assert not data.exists()
