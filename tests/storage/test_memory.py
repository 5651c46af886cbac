"""The engine without a disk, and what it does on demand."""

from __future__ import annotations

from itertools import islice

import pytest
from commits import put

from pictact_actors import CommitFailed, EntriesGone
from pictact_actors.storage.engine import Conflict
from pictact_actors.storage.memory import MemoryEngine
from pictact_actors.storage.usage import Usage


def test_what_is_committed_is_shown_by_publishing_it() -> None:
    engine = MemoryEngine()
    engine.commit(put(a=b"1"), 5.0, 6.0)
    before = (engine.get("a"), list(engine.scan("")), engine.seq)
    engine.publish()
    assert before == (None, [], 0)
    assert (engine.get("a"), engine.seq, engine.ts, engine.mark) == (b"1", 1, 5.0, 6.0)


def test_a_scan_is_pinned_to_its_moment() -> None:
    engine = MemoryEngine()
    engine.commit(put(a=b"1", b=b"1"), 0.0, 0.0)
    engine.publish()
    pairs = engine.scan("")
    first = list(islice(pairs, 1))
    engine.commit(put(b=None, c=b"2"), 0.0, 0.0)
    engine.publish()
    assert [*first, *pairs] == [("a", b"1"), ("b", b"1")]


def test_a_failure_on_demand_fails_one_commit_and_writes_nothing() -> None:
    engine = MemoryEngine()
    engine.fail_next(CommitFailed("on demand"))
    with pytest.raises(CommitFailed, match="on demand"):
        engine.commit(put(a=b"1"), 0.0, 0.0)
    engine.commit(put(b=b"2"), 0.0, 0.0)
    engine.publish()
    assert (dict(engine.scan("")), engine.seq, list(engine.check())) == ({"b": b"2"}, 1, [])


def test_a_conflict_on_demand_names_its_groups() -> None:
    engine = MemoryEngine()
    engine.conflict_next("match:a", "lifetime:ann")
    with pytest.raises(Conflict) as conflict:
        engine.commit(put(a=b"1"), 0.0, 0.0)
    assert conflict.value.groups == {"match:a", "lifetime:ann"}


def test_its_size_is_that_of_its_records_and_of_the_commits_that_are_kept() -> None:
    engine = MemoryEngine()
    engine.commit(put(key=b"value", gone=b""), 0.0, 0.0)
    engine.commit(put(gone=None), 0.0, 0.0)
    engine.publish()
    records = len("key") + len(b"value")
    assert engine.usage() == Usage(journal_bytes=records + 2 * len("gone"), state_bytes=records)
    assert len(list(engine.reclaim(urgent=True))) == 2
    assert engine.usage() == Usage(state_bytes=records, base_seq=2)
    assert engine.size_bytes() == records
    assert list(engine.check()) == []


def test_it_keeps_the_latest_commits_up_to_a_limit() -> None:
    engine = MemoryEngine(journal_bytes_max=100)
    for number in range(100):
        engine.commit(put(key=b"%03d" % number), 0.0, 0.0)
        engine.publish()
        for _ in engine.reclaim(urgent=False):
            pass
    kept = [entry.seq for entry in engine.entries()]
    assert kept == list(range(kept[0], 101))
    assert 5 < len(kept) <= 100 // len("key000")
    with pytest.raises(EntriesGone, match="commit 1 any more") as gone:
        engine.entries(1)
    assert gone.value.first_seq == kept[0]
    assert list(engine.check()) == []


def test_what_is_wrong_in_it_is_found() -> None:
    engine = MemoryEngine()
    engine.commit(put(a=b"1"), 0.0, 0.0)
    engine.publish()
    engine._records["a"] = b"2"
    (problem,) = engine.check()
    assert (problem.kind, problem.key) == ("state", "a")
