"""`backup` and `restore`: as an operator uses them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ran import Run

from pictact_actors import Store

pytestmark = pytest.mark.usefixtures("played")


def harm(path: Path) -> None:
    """Flip a bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_backup_says_what_is_in_it_and_where_it_is(run: Run, data: Path) -> None:
    ran = run("backup")
    assert (ran.code, ran.err) == (0, "")
    first, path = ran.out.splitlines()
    assert first.startswith("backup: ")
    assert "records as of commit 10 (" in first
    assert Path(path).parent == data / "backups"
    assert run("backup", "--json").json["path"] == path


def test_a_backup_goes_where_it_is_told_to(run: Run, tmp_path: Path) -> None:
    assert Path(run("backup", str(tmp_path / "disk"), "--json").json["path"]).parent == tmp_path / "disk"


def test_verify_finds_the_backup_that_is_bad_and_changes_nothing(run: Run, data: Path) -> None:
    run("backup")
    with Store.open(data) as store:
        store.add_trophy("ann", "gold")
    path = Path(run("backup", "--json").json["path"])
    assert run("backup", "--verify").code == 0
    harm(path)
    before = {file: file.read_bytes() for file in (data / "backups").rglob("*") if file.is_file()}
    for_people, for_programs = run("backup", "--verify"), run("backup", "--verify", "--json")
    assert (for_people.code, for_programs.code) == (1, 1)
    assert "1 good, 1 bad" in for_people.out
    assert "BAD" in for_people.out
    assert [line["ok"] for line in for_programs.json_lines] == [True, False]
    assert {file: file.read_bytes() for file in (data / "backups").rglob("*") if file.is_file()} == before


def test_verify_where_there_is_nothing_says_so(run: Run) -> None:
    ran = run("backup", "--verify")
    assert ran.code == 1
    assert "there is no backup in it" in ran.complaint


def test_a_backup_is_restored_under_another_name(run: Run, data: Path, tmp_path: Path) -> None:
    seq = run("backup", "--json").json["seq"]
    ran = run("restore", str(data / "backups"), str(tmp_path / "restored"))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0].startswith("restore: ")
    assert ran.out.splitlines()[1] == str(tmp_path / "restored")
    again = run("restore", str(data / "backups"), "--data", str(tmp_path / "again"), "--json").json
    assert (again["seq"], again["path"]) == (seq, str(tmp_path / "again"))
    shown = [
        run("player", "bob", "--data", str(path)).out for path in (data, tmp_path / "restored", tmp_path / "again")
    ]
    assert len(set(shown)) == 1


def test_a_moment_is_restored(run: Run, data: Path, tmp_path: Path) -> None:
    entries = run("log", "--json").json_lines
    by_seq = run("restore", str(data), str(tmp_path / "seq"), "--to-seq", "3", "--json").json
    by_time = run("restore", str(data), str(tmp_path / "time"), "--to-time", repr(entries[2]["ts"]), "--json").json
    assert by_seq["seq"] == 3
    assert by_seq["ts"] == by_time["ts"] == entries[2]["ts"]
    assert run("leaderboard", "t3_done", "--data", str(tmp_path / "seq"), "--json").json_lines[0]["user"] == "ann"


def test_a_store_whose_state_is_lost_is_restored_from_its_own_directory(run: Run, data: Path, tmp_path: Path) -> None:
    before = run("export").out
    shutil.rmtree(data / "state")
    assert run("restore", str(data), str(tmp_path / "restored")).code == 0
    assert run("export", "--data", str(tmp_path / "restored")).out == before
    shutil.rmtree(data)


def test_what_exists_is_not_overwritten(run: Run, data: Path) -> None:
    run("backup")
    ran = run("restore", str(data / "backups"), str(data))
    assert ran.code == 2
    assert "nothing is overwritten" in ran.complaint


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("--to-seq", "1", "--to-time", "1"), "not both"),
        (("--to-seq", "many"), "is not a valid integer"),
        (("--to-seq", "-1"), "x>=0"),
    ],
)
def test_a_moment_that_is_none_is_bad_use(run: Run, data: Path, args: tuple[str, ...], complaint: str) -> None:
    ran = run("restore", str(data), "elsewhere", *args)
    assert ran.code == 2
    assert complaint in ran.complaint


def test_a_moment_that_is_not_there_is_a_problem(run: Run, data: Path, tmp_path: Path) -> None:
    ran = run("restore", str(data), str(tmp_path / "restored"), "--to-seq", "1000")
    assert ran.code == 1
    assert "leads to commit 10 and no further" in ran.complaint
