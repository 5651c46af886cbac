"""A restored store makes sense: what nobody can have written is refused, what somebody wrote comes back and is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from commits import Put
from games import POST, begin, play

from pictact_actors import BackupInvalid, Lifetime, Score, Store, StoreConfig
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.testing import ManualClock

CONFIG = StoreConfig(journal_segment_bytes=16384, state_buffer_bytes=64 * 1024, state_cache_bytes=64 * 1024)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "game-data", config=CONFIG) as store:
        begin(store)
        play(store, {"ann": 1, "bob": 2})
        store.complete_match(POST, trophies={"bob": ["cup"]})
    return tmp_path / "game-data"


def write(path: Path, **changes: bytes) -> None:
    """Commit something behind the back of the rules."""
    engine = EmbeddedEngine.open(path, CONFIG, ManualClock(1_700_000_000.0))
    engine.commit([Put(changes)], 1_700_000_000.0, 1_700_000_000.0)
    engine.publish()
    engine.close()


def test_what_makes_sense_is_restored_without_a_word(path: Path, tmp_path: Path) -> None:
    assert Store.restore(path, tmp_path / "restored").problems == ()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"top:wins:0:nobody": b""}, "no record leads to it"),
        ({"lifetime:cat": b"garbage"}, "lifetime:cat"),
    ],
    ids=["index", "garbage"],
)
def test_what_nobody_can_have_written_is_refused(
    path: Path, tmp_path: Path, changes: dict[str, bytes], found: str
) -> None:
    write(path, **changes)
    with pytest.raises(BackupInvalid, match=found):
        Store.restore(path, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_what_somebody_wrote_is_restored_and_told(path: Path, tmp_path: Path) -> None:
    """A store takes it from `put_many`, so a backup of it must not be worthless."""
    with Store.open(path, config=CONFIG) as store:
        store.put_many({"lifetime:cat": Lifetime("cat", total_wins=5), "score:t3_gone:ann": Score("t3_gone", "ann", 1)})
        problems = store.check()
    report = Store.restore(path, tmp_path / "restored")
    assert list(report.problems) == problems != []
    assert [problem["kind"] for problem in report.to_dict()["problems"]] == ["relationship", "sum"]  # type: ignore[index]
