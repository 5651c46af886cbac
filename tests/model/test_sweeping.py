"""Removing details, answered requests and old audits: what goes, what stays, and what the audit says about it."""

from __future__ import annotations

from dataclasses import replace

from world import NOW, World

from pictact_actors.model import keys
from pictact_actors.model.auditing import told
from pictact_actors.model.chores import Discard, Forget, Strike, Sweep
from pictact_actors.model.commands import AddTrophy, CancelMatch, RecordAnalytics
from pictact_actors.model.indexes import due_key, index_keys, reindexed
from pictact_actors.model.records import ARCHIVED, DISCARDED, FORGOTTEN, NO_SAMPLES, Audit, Observation
from pictact_actors.model.removal import Removal

DAY_S = 86_400.0
FILE = "details-20240101T000000Z-000001.jsonl.gz"
SWEEP = Sweep(NOW, 2, ARCHIVED, FILE)


def observed(world: World, count: int, post_id: str = "t3_a") -> tuple[Observation, ...]:
    """Observe something `count` times; return the details."""
    if world.get(keys.match_key(post_id)) is None:
        world.create(post_id)
    for number in range(count):
        world.do(RecordAnalytics(post_id, invalid_rate=number))
    return tuple(found for found in world.scan(f"observation:{post_id}:") if isinstance(found, Observation))


def audits(world: World) -> list[Audit]:
    return [found for found in world.scan("audit:") if isinstance(found, Audit)]


def test_an_observation_says_its_subreddit_and_counts_on() -> None:
    details = observed(World(), 3)
    assert [(detail.seq, detail.subreddit, detail.created_at) for detail in details] == [
        (number, "pics", NOW) for number in (1, 2, 3)
    ]


def test_observations_count_on_after_their_means_were_lost() -> None:
    world = World()
    observed(world, 3)
    del world.records["analytics:t3_a"]
    assert [detail.seq for detail in observed(world, 1)] == [1, 2, 3, 4]


def test_details_go_and_the_audit_counts_them() -> None:
    world = World()
    details = observed(world, 5)
    assert world.do(Discard("t3_a", details[:3], SWEEP)) == Removal(3, done=True)
    assert [record.seq for record in world.scan("observation:")] == [4, 5]
    (audit,) = audits(world)
    assert (audit.reason, audit.archive, audit.removed, audit.due_at, audit.created_at, audit.done) == (
        ARCHIVED,
        FILE,
        {"observation": 3},
        NOW,
        NOW,
        True,
    )
    assert audit.post_id is None


def test_removing_details_again_removes_and_counts_nothing() -> None:
    world = World()
    details = observed(world, 2)
    world.do(Discard("t3_a", details, SWEEP))
    assert world.changes(Discard("t3_a", details, SWEEP)) == {}
    assert audits(world)[0].removed == {"observation": 2}


def test_the_steps_of_a_shard_are_counted_in_one_entry() -> None:
    world = World()
    for post_id in ("t3_a", "t3_b"):
        world.do(Discard(post_id, observed(world, 2, post_id), SWEEP))
    (audit,) = audits(world)
    assert audit.removed == {"observation": 4}


def test_a_detail_that_was_changed_after_it_was_read_stays() -> None:
    world = World()
    details = observed(world, 2)
    world.put(replace(details[0], invalid_rate=99))
    assert world.do(Discard("t3_a", details, SWEEP)) == Removal(1, done=True)
    assert [record.seq for record in world.scan("observation:")] == [1]


def test_details_of_a_cancelled_match_go_as_others() -> None:
    world = World()
    details = observed(world, 2)
    world.do(CancelMatch("t3_a"))
    world.do(Discard("t3_a", details, Sweep(NOW, 0, DISCARDED)))
    assert audits(world)[0].reason == DISCARDED
    assert not list(world.scan("observation:"))


def test_requests_go_in_steps_and_the_index_with_the_last() -> None:
    world = World()
    for number in range(5):
        world.do(AddTrophy("ann", "gold", request_id=f"r{number}"))
    (hour,) = {key for record in world.scan("request:") for key in index_keys(record)}
    world.now += 8 * DAY_S
    command = Forget("ann", float(hour.split(":")[2]), 3, Sweep(world.now, 1, FORGOTTEN))
    first = world.changes(command)
    assert hour not in first
    world.write(first)
    last = world.changes(command)
    assert last[hour] is None
    world.write({key: record for key, record in last.items() if key != hour})
    assert not list(world.scan("request:"))
    assert [audit.removed for audit in audits(world)] == [{"request": 5}]


def test_an_old_audit_goes_unless_something_was_added() -> None:
    world = World()
    world.do(Discard("t3_a", observed(world, 1), SWEEP))
    (audit,) = audits(world)
    assert world.do(Strike(audit.key, NOW - 1)) == Removal(0, done=True)
    assert world.do(Strike(audit.key, NOW)) == Removal(1, done=True)
    assert world.do(Strike(audit.key, NOW)) == Removal(0, done=True)
    assert not audits(world)


def test_what_is_due_has_an_index_key_of_its_own_that_goes_with_it() -> None:
    detail = Observation("t3_a", 7, created_at=5.0)
    audit = Audit(keys.time_text(3.0), ARCHIVED, "1", created_at=4.0)
    assert index_keys(detail) == (due_key("observed", 5.0, "t3_a:7"),)
    assert index_keys(audit) == (due_key("audited", 4.0, f"{keys.time_text(3.0)}:archived:1"),)
    assert reindexed(None, detail) == {due_key("observed", 5.0, "t3_a:7"): b""}
    assert reindexed(detail, None) == {due_key("observed", 5.0, "t3_a:7"): None}
    assert reindexed(detail, replace(detail, created_at=6.0)) == {
        due_key("observed", 5.0, "t3_a:7"): None,
        due_key("observed", 6.0, "t3_a:7"): b"",
    }
    assert not reindexed(audit, replace(audit, updated_at=9.0))


def entry(time: float, reason: str, owner: str, archive: str = "", **removed: int) -> Audit:
    counts = removed or NO_SAMPLES
    return Audit(keys.time_text(time), reason, owner, archive=archive, removed=counts, created_at=time, updated_at=time)


def test_what_the_shards_say_of_one_cleanup_is_told_as_one() -> None:
    told_as = list(
        told(
            [
                entry(1, "forgotten", "0", request=1),
                entry(1, "forgotten", "3", request=2),
                entry(2, "archived", "a/0", "a", observation=1),
                entry(2, "archived", "a/1", "a", observation=1),
                entry(2, "archived", "b/0", "b", observation=4),
                entry(2, "completed", "t3_a", match=1, score=2),
                entry(2, "completed", "t3_b", match=1),
            ]
        )
    )
    assert [(at.reason, at.post_id, at.archive, dict(at.removed)) for at in told_as] == [
        ("forgotten", None, "", {"request": 3}),
        ("archived", None, "a", {"observation": 2}),
        ("archived", None, "b", {"observation": 4}),
        ("completed", "t3_a", "", {"match": 1, "score": 2}),
        ("completed", "t3_b", "", {"match": 1}),
    ]


def test_an_audit_shows_the_match_it_is_about() -> None:
    shown = entry(2, "completed", "t3_a", match=1).to_dict()
    assert (shown["postId"], shown["reason"], shown["removed"]) == ("t3_a", "completed", {"match": 1})
    assert entry(2, "forgotten", "0").to_dict()["postId"] is None
