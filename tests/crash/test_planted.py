"""Faults planted in our own code: each is caught, by a check that passes without it."""

from __future__ import annotations

from pathlib import Path

import probes
import pytest
from plants import ACTORS, GAME, WAY_TO_THE_DISK, Plant
from probes import Probe

from pictact_actors import StoreError

PLANTS: dict[str, Plant] = {**WAY_TO_THE_DISK, **ACTORS, **GAME}
CAUGHT_BY: dict[str, Probe] = {
    "a sync is left out": probes.nothing_is_seen_or_answered_before_its_sync,
    "a sync is not waited for": probes.nothing_is_seen_or_answered_before_its_sync,
    "a failed sync is taken for done": probes.a_failed_sync_is_told,
    "callers are answered before the sync": probes.nothing_is_seen_or_answered_before_its_sync,
    "cache and boards show what is not durable": probes.nothing_is_seen_or_answered_before_its_sync,
    "the state shows what is not durable": probes.nothing_is_seen_or_answered_before_its_sync,
    "applied_seq is ahead of the data": probes.what_is_acknowledged_is_there_after_a_crash,
    "replay stops one early": probes.what_is_acknowledged_is_there_after_a_crash,
    "a write that failed is not erased": probes.a_write_without_room_leaves_nothing_behind,
    "a torn tail is not cut": probes.a_torn_tail_goes,
    "checksums are not looked at": probes.a_frame_is_read_only_if_it_is_whole_and_follows,
    "the chain is not looked at": probes.a_frame_is_read_only_if_it_is_whole_and_follows,
    "the directory is not locked": probes.a_directory_has_one_store,
    "a commit is published, then synced": probes.nothing_is_seen_or_answered_before_its_sync,
    "a segment goes before its layer is there": probes.a_segment_goes_only_when_its_layer_is_durable,
    "a layer is not synced": probes.a_segment_goes_only_when_its_layer_is_durable,
    "an archive file is not synced": probes.no_detail_goes_before_its_file_is_durable,
    "a pending archive file is forgotten": probes.every_detail_is_archived_once,
    "a shard forgets what it has decided": probes.every_command_builds_on_the_one_before,
    "a deadline is not looked at": probes.what_nobody_waits_for_is_not_done,
    "a fence is not looked at": probes.what_a_replaced_actor_decided_is_refused,
    "a lease is not looked at": probes.a_transaction_that_lost_its_locks_commits_nothing,
    "a lock holds nobody up": probes.others_wait_for_a_locked_group,
    "a lock is released before the commit": probes.others_wait_for_a_locked_group,
    "a scan locks nothing": probes.nothing_comes_into_what_was_scanned,
    "a deadlock has no victim": probes.a_deadlock_has_a_victim,
    "a request id is not kept": probes.a_repeated_request_is_done_once,
    "a request id fits every command": probes.a_request_id_is_for_one_command,
    "an index is not written": probes.a_match_ends_for_everybody_with_its_indexes,
    "a match ends without one of its players": probes.a_match_ends_for_everybody_with_its_indexes,
    "a match expires a second early": probes.a_match_is_there_until_it_expires_and_players_for_ever,
    "a cleanup takes a player along": probes.a_match_is_there_until_it_expires_and_players_for_ever,
    "a tie goes to who came last": probes.who_was_first_stands_first,
}
"""What catches each fault."""
PROBES = sorted(set(CAUGHT_BY.values()), key=lambda probe: probe.__name__)


def test_every_planted_fault_has_something_that_catches_it() -> None:
    assert CAUGHT_BY.keys() == PLANTS.keys()
    assert len(PLANTS) >= 20


@pytest.mark.parametrize("probe", PROBES, ids=[probe.__name__ for probe in PROBES])
def test_what_catches_faults_finds_none_where_there_is_none(probe: Probe, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        probe(tmp_path / "game-data", patch)


@pytest.mark.parametrize("fault", PLANTS)
def test_a_planted_fault_is_caught(fault: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as planted, pytest.MonkeyPatch.context() as patch:
        PLANTS[fault](planted)
        with pytest.raises((AssertionError, StoreError, pytest.fail.Exception)):
            CAUGHT_BY[fault](tmp_path / "game-data", patch)
