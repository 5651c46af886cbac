"""`pictact log`: what happened to each record, from what to what, and whether the chain is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ran import Run
from waiting import until

from pictact_actors import Store, StoreConfig

SMALL = StoreConfig(journal_segment_bytes=4_096, journal_bytes_max=8_192)
Flawed = Callable[[bytearray], bytes]


def commits_of(run: Run, key: str) -> list[dict[str, object]]:
    """Old and new of one key, commit by commit."""
    return [
        {"old": commit["old"].get(key, "unknown"), "new": commit["changes"][key]}
        for commit in run("log", "--key", key, "--json").json_lines
    ]


@pytest.fixture
def folded(data: Path) -> Path:
    """A directory whose oldest commits are in the base only."""
    with Store.open(data, config=SMALL) as store:
        store.add_trophy("ann", "gold")
        store.create_match("t3_a", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")

        def play_on() -> bool:
            for _ in range(50):
                store.award_points("t3_a", "bob", 1)
            return store.statistics().base_seq > 100

        until(play_on)
        store.add_trophy("ann", "silver")
    return data


@pytest.mark.usefixtures("played")
def test_every_commit_has_the_old_and_the_new_values(run: Run) -> None:
    commits = commits_of(run, "match:t3_done")
    assert [commit["old"] for commit in commits] == [None, *(commit["new"] for commit in commits[:-1])]
    assert [commit["new"]["status"] for commit in commits] == ["active", "active", "completed"]  # type: ignore[index]


@pytest.mark.usefixtures("played")
def test_people_see_what_changed(run: Run) -> None:
    shown = run("log", "--key", "score:t3_done:bob").out + run("log", "--key", "match:t3_done").out
    assert "status active -> completed" in shown
    assert "currentRound" in shown
    assert "subreddit pics ->" not in shown
    assert "score:t3_done:bob  points 10, wins 1" in shown


def test_a_deleted_record_is_told_as_it_was(run: Run, data: Path) -> None:
    with Store.open(data) as store:
        store.add_trophy("ann", "gold")
        store.transact(lambda tx: tx.delete("lifetime:ann"))
    assert "deleted; it was totalWins 0" in run("log", "--key", "lifetime:ann").out
    (_, deletion) = commits_of(run, "lifetime:ann")
    assert deletion["new"] is None
    assert deletion["old"]["trophies"] == ["gold"]  # type: ignore[index]


@pytest.mark.usefixtures("folded")
def test_old_values_come_from_the_base_where_the_commit_is_not_kept(run: Run) -> None:
    (change,) = commits_of(run, "lifetime:ann")
    assert change["old"]["trophies"] == ["gold"]  # type: ignore[index]
    assert change["new"]["trophies"] == ["gold", "silver"]  # type: ignore[index]
    assert "trophies gold -> gold, silver" in run("log", "--user", "ann").out


@pytest.mark.usefixtures("folded")
def test_the_log_begins_with_the_oldest_commit_that_is_kept(run: Run) -> None:
    commits = run("log", "--json").json_lines
    first_seq = commits[0]["seq"]
    assert [commit["seq"] for commit in commits] == list(range(first_seq, commits[-1]["seq"] + 1))
    refused = run("log", "--from", "1")
    assert (refused.code, refused.out) == (1, "")
    assert f"begin at {first_seq}" in refused.complaint
    later = run("log", "--from", str(first_seq + 5), "--json").json_lines
    assert later == commits[5:]


# -- the chain


@pytest.mark.usefixtures("folded")
def test_verify_shows_every_file_and_that_the_chain_is_whole(run: Run, folded: Path) -> None:
    ran = run("log", "--verify")
    assert (ran.code, ran.err) == (0, "")
    files = {
        str(path.relative_to(folded)) for path in (*folded.glob("journal/*.journal"), *folded.glob("base/*.layer"))
    }
    assert files <= {line.split()[0] for line in ran.out.splitlines()}
    with Store.open(folded) as store:
        assert f"whole up to commit {store.statistics().seq}" in ran.out
    assert run("log", "--verify", "--json").json["ok"]


def cut_short(content: bytearray) -> bytes:
    return bytes(content[: len(content) // 3])


def zeroed(content: bytearray) -> bytes:
    return bytes(len(content))


def flipped(content: bytearray) -> bytes:
    content[len(content) // 3] ^= 4
    return bytes(content)


@pytest.mark.parametrize("harm", [cut_short, zeroed, flipped])
@pytest.mark.parametrize("pattern", ["journal/*.journal", "base/*.layer", "STORE"])
def test_verify_names_the_place_and_changes_nothing(run: Run, folded: Path, pattern: str, harm: Flawed) -> None:
    path = min(folded.glob(pattern))
    whole = path.read_bytes()
    path.write_bytes(harm(bytearray(whole)))
    found = {file: file.read_bytes() for file in folded.rglob("*") if file.is_file()}
    ran = run("log", "--verify")
    assert ran.code == 1
    assert f"{path.relative_to(folded)}  BROKEN: " in ran.out
    broken = [file for file in run("log", "--verify", "--json").json["files"] if file["flaw"]]
    assert [str(path.relative_to(folded))] == [file["file"] for file in broken][:1]
    assert {file: file.read_bytes() for file in folded.rglob("*") if file.is_file()} == found
    path.write_bytes(whole)


@pytest.mark.parametrize("place", [-3, -2, -1])
def test_verify_misses_a_file_that_is_gone(run: Run, folded: Path, tmp_path: Path, place: int) -> None:
    path = sorted(folded.glob("journal/*.journal"))[place]
    path.rename(tmp_path / path.name)
    ran = run("log", "--verify")
    (tmp_path / path.name).rename(path)
    if place == -1:  # nothing in the journal says that there was another; the state, or a backup, does
        assert ran.code == 0
        return
    assert ran.code == 1
    assert path.name in ran.out


def test_verify_calls_a_torn_tail_no_damage(run: Run, played: Path) -> None:
    path = max(played.glob("journal/*.journal"))
    content = bytearray(path.read_bytes())
    end = len(bytes(content).rstrip(b"\0"))
    content[end + 8 : end + 28] = b"a frame that was torn"[:20]
    path.write_bytes(content)
    ran = run("log", "--verify")
    assert ran.code == 0
    assert "torn last frame" in ran.out


def test_verify_reads_no_store_that_somebody_has_open(run: Run, played: Path) -> None:
    with Store.open(played):
        ran = run("log", "--verify")
    assert (ran.code, ran.out) == (1, "")
    assert "open already" in ran.complaint


def test_verify_of_what_is_no_store_is_bad_use(run: Run, tmp_path: Path) -> None:
    assert run("log", "--verify", "--data", str(tmp_path)).code == 2
    assert run("log", "--verify", "--user", "ann").code == 2
