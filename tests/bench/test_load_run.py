"""A run: every kind of host, stalls that show, and writes that are held against what is stored."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from loads import measured_on, short

from bench.load.ledger import Ledger, compare
from bench.load.mix import Operation, Query
from bench.load.recorder import READS, WRITES, Done, Recorder
from bench.load.target import EmbeddedStore
from pictact_actors import AwardPoints, CloseRound, CompleteMatch, MatchClosed, RequestTimeout, Store

STALL_S = 0.3
STALLED_CALL = 100
"""Soon after the load has begun."""


class Stalling(EmbeddedStore):
    """One call in the middle holds all others up."""

    calls = 0
    door = threading.Lock()

    def call(self, operation: Operation) -> object:
        with self.door:
            self.calls += 1
            if self.calls == STALLED_CALL:
                threading.Event().wait(STALL_S)
        return super().call(operation)


@pytest.mark.parametrize("hosts", [{"threads": 4, "tasks": 0}, {"threads": 0, "tasks": 4}, {"threads": 2, "tasks": 2}])
@pytest.mark.parametrize("rate", [600.0, None], ids=["open", "closed"])
def test_every_kind_of_host_carries_the_load_and_nothing_is_lost(
    tmp_path: Path, hosts: dict[str, int], rate: float | None
) -> None:
    run = measured_on(tmp_path / "store", short(rate=rate, **hosts))
    assert run.verified.is_good, run.verified
    assert run.verified.acknowledged > 20
    assert run.verified.completed
    reads, writes = run.row(READS).response, run.row(WRITES).response
    assert reads.count + writes.count == round(run.rate * run.seconds)
    assert 0 < writes.p50_ms <= writes.p99_ms <= writes.p999_ms <= writes.max_ms
    assert run.left == 0
    assert sum(moment.memory_mb > 10 for moment in run.moments) == len(run.moments) > 0


def test_time_ends_with_the_last_call_not_with_whoever_watches() -> None:
    recorder = Recorder(Ledger())
    recorder.begin(1_000_000_000)
    calls = [Done(Query("match", ("t3_a",)), due, due, due + 1_000, False, None) for due in (0, 1_000_000_000)]
    recorder.add([*calls, calls[1]._replace(ended=3_000_000_000)])
    assert recorder.seconds == 2.0
    assert recorder.response(["match"]).get_total_count() == 2, "what was due before is not timed"


def test_a_stall_shows_in_the_latency_of_all_calls_that_were_due_in_it(tmp_path: Path) -> None:
    plan = short(tasks=0, players=2)
    opened = measured_on(tmp_path / "open", plan, Stalling).row(READS)
    closed = measured_on(tmp_path / "closed", replace(plan, rate=None), Stalling).row(READS)
    stalled_ms = STALL_S * 1e3
    assert opened.response.max_ms > stalled_ms * 0.9
    assert opened.response.p50_ms > stalled_ms * 0.1, "most calls were due in it, or waited behind it"
    assert opened.service.p50_ms < stalled_ms * 0.05, "only those that had begun when it came felt it"
    assert closed.response.p50_ms < stalled_ms * 0.05, "a closed loop hides it: nobody else called meanwhile"


def test_cleanup_and_backups_run_beside_the_load(tmp_path: Path) -> None:
    plan = short(seconds=1.5, expiry_s=0.05, backup_interval_s=0.2)
    run = measured_on(tmp_path / "store", plan)
    assert run.verified.is_good, run.verified
    assert run.verified.removed
    assert run.backups


def test_what_a_host_fails_with_ends_the_load(tmp_path: Path) -> None:
    class Broken(EmbeddedStore):
        def call(self, operation: Operation) -> object:
            if isinstance(operation, Query):
                raise ZeroDivisionError
            return super().call(operation)

    with pytest.raises(ZeroDivisionError):
        measured_on(tmp_path / "store", short(seconds=60.0), Broken)


def begun(store: Store, ledger: Ledger) -> None:
    store.create_match("t3_a", subreddit="pics", rounds_total=1, theme="x", created_by="m")
    store.create_round("t3_a", 0, prompt_text="x", start_ts=0, end_ts=1)
    for command in (AwardPoints("t3_a", "ann", 3), CloseRound("t3_a", 0, winner_user="bob", points=2)):
        store.ask(command).get()
        ledger.enter(command, None)


@pytest.mark.parametrize("completed", [False, True])
def test_a_lost_write_is_found_before_and_after_its_match_is_completed(memory: Store, completed: bool) -> None:  # noqa: FBT001 - both
    ledger = Ledger()
    begun(memory, ledger)
    if completed:
        memory.complete_match("t3_a")
        ledger.enter(CompleteMatch("t3_a"), None)
    assert compare(ledger, memory, []).is_good
    ledger.enter(AwardPoints("t3_a", "ann", 0.5), None)
    assert compare(ledger, memory, []).differences == ("t3_a: 5.5 points acknowledged, 5 stored",)


def test_an_unknown_outcome_is_told_and_its_match_not_compared(memory: Store) -> None:
    ledger = Ledger()
    begun(memory, ledger)
    ledger.enter(AwardPoints("t3_a", "ann", 1), RequestTimeout(5.0))
    found = compare(ledger, memory, [])
    assert (found.is_good, found.uncertain) == (True, 1)


def test_a_refused_write_is_no_promise(memory: Store) -> None:
    ledger = Ledger()
    begun(memory, ledger)
    ledger.enter(AwardPoints("t3_a", "ann", 1), MatchClosed("t3_a", "completed"))
    assert compare(ledger, memory, ["what check says"]).problems == ("what check says",)
    assert ledger.refused == {"award_points: MatchClosed": 1}
    assert compare(ledger, memory, []).is_good
