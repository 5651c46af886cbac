"""`export` and `import`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from games import begin, play
from ran import Run

from pictact_actors import Store
from pictact_actors.testing import ManualClock

SCORE = {"key": "score:t3_abc:ann", "record": {"points": 1, "wins": 0}}
MATCH = {"key": "match:t3_abc", "record": {"subreddit": "pics", "theme": "sunsets"}}


def lines(*objects: object) -> str:
    return "".join(f"{json.dumps(item)}\n" for item in objects)


def test_what_is_exported_is_imported_as_it_was(run: Run, played: Path, tmp_path: Path) -> None:
    first, second, copy = tmp_path / "first.jsonl", tmp_path / "second.jsonl", str(tmp_path / "copy")
    assert run("export", str(first), "--data", str(played)).code == 0
    assert run("import", str(first), "--data", copy, "--json").json == {"imported": 14, "skipped": 0}
    assert run("export", str(second), "--data", copy).code == 0
    assert first.read_bytes() == second.read_bytes()
    assert run("check", "--data", copy).code == 0


def test_importing_twice_changes_nothing_but_the_times(run: Run, played: Path, tmp_path: Path) -> None:
    exported = run("export", "--data", str(played)).out
    for _ in range(2):
        assert run("import", "-", "--data", str(tmp_path / "copy"), stdin=exported).code == 0
    again = run("export", "--data", str(tmp_path / "copy")).json_lines
    expected = [json.loads(line) for line in exported.splitlines()]
    for item in [*again, *expected]:
        del item["record"]["updatedAt"]
    assert again == expected


@pytest.mark.usefixtures("played")
def test_an_export_has_one_record_a_line_in_the_order_of_keys(run: Run) -> None:
    items = run("export").json_lines
    assert [item["key"] for item in items] == sorted(item["key"] for item in items)
    assert next(item["record"]["trophies"] for item in items if item["key"] == "lifetime:bob") == ["best"]
    assert not any(item["key"].startswith("request:") for item in items)


@pytest.mark.usefixtures("played")
def test_an_export_to_a_file_says_how_many(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "records.jsonl"
    assert "14 records" in run("export", str(target)).out
    assert run("export", str(target), "--json").json == {"exported": 14, "file": str(target)}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["records.jsonl"]


def test_an_export_that_fails_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "records.jsonl"
    target.write_text("old\n")
    assert run("export", str(target), "--data", str(tmp_path / "nowhere")).code == 2
    assert target.read_text() == "old\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hello", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"key": "match:t3_x"}', "must be"),
        ('{"key": "match:t3_x", "record": {}, "more": 1}', "must be"),
        ('{"key": 7, "record": {}}', "must be"),
        ('{"key": "colour:t3_x", "record": {}}', "invalid key"),
        ('{"key": "match:a\\u0000b", "record": {}}', "control characters"),
        ('{"key": "match:t3_x", "record": {"postId": "t3_y"}}', "contradicts the key"),
        ('{"key": "match:t3_x", "record": {"status": "asleep"}}', "status"),
        ('{"key": "match:t3_x", "record": {"roundsTotal": 1.5}}', "roundsTotal"),
        ('{"key": "match:t3_x", "record": {"theme": "\\ud800"}}', "lone surrogates"),
        ('{"key": "request:match:t3_x:r1", "record": {}}', "internal"),
    ],
)
def test_a_bad_line_is_reported_with_its_number_and_the_rest_imported(run: Run, line: str, words: str) -> None:
    ran = run("import", "-", "--json", stdin=lines(MATCH) + line + "\n" + lines(SCORE))
    assert ran.code == 1
    assert ran.json == {"imported": 2, "skipped": 1}
    assert "line 2 skipped" in ran.complaint
    assert words in ran.complaint
    assert run("get", "score:t3_abc:ann", "--json").json["points"] == 1


def test_fields_of_a_newer_version_come_back(run: Run) -> None:
    newer = {"key": "match:t3_abc", "record": {"theme": "sunsets", "mood": ["calm", {"level": 3}]}}
    assert run("import", "-", stdin=lines(newer)).code == 0
    assert run("get", "match:t3_abc", "--json").json["mood"] == ["calm", {"level": 3}]


def test_more_records_than_fit_in_a_batch_arrive(run: Run, data: Path) -> None:
    scores = [{"key": f"score:t3_abc:user{n}", "record": {"points": n}} for n in range(1_234)]
    assert run("import", "-", "--json", stdin=lines(MATCH, *scores)).json == {"imported": 1_235, "skipped": 0}
    with Store.open(data) as store:
        assert store.leaderboard("t3_abc", limit=1)[0].user == "user1233"


def test_importing_a_file_that_is_not_there_creates_no_store(run: Run, data: Path, tmp_path: Path) -> None:
    assert run("import", str(tmp_path / "none.jsonl")).code == 2
    assert not data.exists()


def test_an_import_of_what_has_expired_since_leaves_nothing_half_there(run: Run, data: Path, tmp_path: Path) -> None:
    clock = ManualClock(1_000.0)
    with Store.open(tmp_path / "old", clock=clock) as store:
        begin(store)
        store.record_analytics("t3_a", invalid_rate=0.5)
        play(store, {f"u{number}": number for number in range(700)})
        store.complete_match("t3_a")
        exported = lines(*({"key": key, "record": record.to_dict()} for key, record in store.scan("")))
    assert run("import", "-", "--json", stdin=exported).json["skipped"] == 0
    assert run("get", "match:t3_a").code == 1
    with Store.open(data) as store:
        store.cleanup()
        assert {key.split(":")[0] for key, _ in store.scan("")} == {"lifetime", "history"}
        assert store.check() == []
