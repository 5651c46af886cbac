"""The one place where a write becomes real: sync, then publish, then acknowledge, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from engines import HeldEngine, HeldShard, drained, settled
from games import begin, creation, points_of
from opening import Opener

from pictact_actors import (
    AlreadyExists,
    AwardPoints,
    CommitFailed,
    NotFound,
    OutcomeUnknown,
    StorageFull,
    Store,
    StoreFailed,
)
from pictact_actors.model.codec import encode
from pictact_actors.runtime.reply import Reply
from pictact_actors.storage.engine import Commit
from pictact_actors.storage.memory import MemoryEngine


class Recorder(MemoryEngine):
    """An engine that notes what happened in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.replies: list[Reply[Any]] = []

    def commit(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        self._note("sync")
        return super().commit(commits, ts, mark)

    def publish(self) -> None:
        self._note("publish")
        super().publish()

    def _note(self, event: str) -> None:
        answered = " after an answer" if any(reply.done() for reply in self.replies) else ""
        self.events.append(event + answered)


@pytest.fixture
def one(open_store: Opener, held: HeldEngine) -> Store:
    """A store of one shard on a held engine, with a match."""
    store: Store = open_store(engine=held, shards=1)
    begin(store)
    return store


def award(store: Store, user: str = "ann", points: int = 1) -> Reply[Any]:
    return store.ask(AwardPoints("t3_a", user, points))


def staged_behind_a_held_group(store: Store, held: HeldEngine, *users: str) -> list[Reply[Any]]:
    """One award in the group that waits in the engine, then one a user staged on top of it."""
    held.hold()
    first = award(store)
    held.wait_for_commit()
    replies = [first]
    for user in users:
        replies.append(award(store, user))
        settled(store)
    return replies


def outcome(reply: Reply[Any]) -> object:
    try:
        return reply.get()
    except Exception as error:  # noqa: BLE001 - the error is the outcome
        return type(error)


def test_a_group_is_synced_then_published_then_acknowledged(open_store: Opener) -> None:
    engine = Recorder()
    store = open_store(engine=engine)
    begin(store)
    engine.events.clear()
    with HeldShard(store.runtime.link_of("match:t3_a")):
        engine.replies = [award(store) for _ in range(5)]
    assert [reply.get().points for reply in engine.replies] == [1, 2, 3, 4, 5]
    assert engine.events == ["sync", "publish"]


def test_what_gathers_during_a_sync_shares_the_next_one(one: Store, held: HeldEngine) -> None:
    replies = staged_behind_a_held_group(one, held, *"abcdefghij")
    held.let_go()
    assert all(outcome(reply) for reply in replies)
    assert held.commits[1:] == [["award_points"], ["award_points"] * 10]
    assert one.statistics().groups == 3
    assert one.statistics().commits == 12


def test_a_group_has_at_most_commit_group_max_writes(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, shards=1, commit_group_max=4)
    begin(store)
    with HeldShard(store.runtime.links[0]):
        replies = [award(store) for _ in range(50)]
    assert replies[-1].get().points == 50
    assert max(map(len, held.commits)) <= 4


def test_answers_come_in_the_order_of_decisions(one: Store, held: HeldEngine) -> None:
    replies = staged_behind_a_held_group(one, held, *["ann"] * 5)
    held.let_one_pass()
    assert replies[0].get().points == 1
    assert not any(reply.done() for reply in replies[1:])
    held.let_go()
    assert [reply.get().points for reply in replies] == [1, 2, 3, 4, 5, 6]


def test_what_writes_nothing_is_answered_without_a_sync(one: Store) -> None:
    groups = one.statistics().groups
    with pytest.raises(AlreadyExists):
        begin(one)
    assert one.statistics().groups == groups


def test_a_full_disk_refuses_the_group_and_decides_what_was_staged_on_it_again(one: Store, held: HeldEngine) -> None:
    replies = staged_behind_a_held_group(one, held, "bob", "ann", "cat")
    held.inner.fail_next(StorageFull("no space left on device"))
    held.let_go()
    assert outcome(replies[0]) is StorageFull
    assert [reply.get().points for reply in replies[1:]] == [1, 1, 1]
    assert points_of(one) == {"ann": 1, "bob": 1, "cat": 1}
    assert [entry.cause for entry in one.entries()] == ["create_match", *["award_points"] * 3]


def test_after_a_full_disk_a_rejection_that_relied_on_the_refused_is_decided_again(
    one: Store, held: HeldEngine
) -> None:
    held.hold()
    first = one.ask(AwardPoints("t3_a", "ann", 1))
    held.wait_for_commit()
    creating = [one.submit([creation("t3_b")])[0]]
    settled(one)
    creating.append(one.submit([creation("t3_b")])[0])
    settled(one)
    held.let_one_pass()
    first.get()
    held.wait_for_commit()
    late = one.submit([creation("t3_b")])[0]
    settled(one)
    held.inner.fail_next(StorageFull("full"))
    held.let_go()
    assert [outcome(reply) for reply in creating] == [StorageFull, StorageFull]
    assert late.get().post_id == "t3_b"


def test_the_disk_may_be_full_again_and_again(one: Store, held: HeldEngine) -> None:
    replies = staged_behind_a_held_group(one, held, *"abcdef")
    for _ in range(2):
        held.inner.fail_next(StorageFull("full"))
    held.let_go()
    outcomes = [outcome(reply) for reply in replies]
    assert outcomes[0] is StorageFull
    assert len(points_of(one)) == sum(seen is not StorageFull for seen in outcomes)
    assert award(one, "zoe").get().points == 1
    drained(one)


def test_a_conflict_decides_everything_again_in_order_and_answers_once(one: Store, held: HeldEngine) -> None:
    replies = staged_behind_a_held_group(one, held, "ann", "bob", "ann")
    held.inner.conflict_next("match:t3_a")
    held.let_go()
    assert [reply.get().points for reply in replies] == [1, 2, 1, 3]
    assert points_of(one) == {"ann": 3, "bob": 1}
    assert [entry.cause for entry in one.entries()] == ["create_match", *["award_points"] * 4]
    drained(one)


def test_conflict_upon_conflict_is_decided_until_it_holds(one: Store, held: HeldEngine) -> None:
    replies = staged_behind_a_held_group(one, held, "ann", "ann")
    for _ in range(5):
        held.inner.conflict_next("match:t3_a")
    held.let_go()
    assert [reply.get().points for reply in replies] == [1, 2, 3]


def test_after_a_conflict_records_are_read_anew(one: Store, held: HeldEngine) -> None:
    award(one).get()
    other_hosts = one.score("t3_a", "ann")
    replies = staged_behind_a_held_group(one, held, "ann")
    held.inner._records["score:t3_a:ann"] = _with_points(other_hosts, 100)
    held.inner.conflict_next("match:t3_a")
    held.let_go()
    assert [reply.get().points for reply in replies] == [101, 102]
    held.inner._entries.clear()  # what the other host wrote is in no journal of ours
    held.inner._records.clear()
    held.inner.seq = 0


def _with_points(score: Any, points: int) -> bytes:
    return encode(replace(score, points=points))


@pytest.mark.parametrize("error", [CommitFailed("input/output error"), OSError(5, "input/output error"), ValueError()])
def test_a_failed_commit_fails_the_store_and_reads_go_on(one: Store, held: HeldEngine, error: Exception) -> None:
    award(one).get()
    replies = staged_behind_a_held_group(one, held, "bob")
    held.inner.fail_next(error)
    held.let_go()
    assert [outcome(reply) for reply in replies] == [CommitFailed, StoreFailed]
    for write in (lambda: award(one).get(), lambda: one.tell(AwardPoints("t3_a", "ann", 1)), lambda: begin(one, "b")):
        with pytest.raises(StoreFailed) as caught:
            write()
        assert caught.value.cause == one.statistics().failure
    assert points_of(one) == {"ann": 1}
    assert one.score("t3_a", "ann").points == one.leaderboard("t3_a")[0].points == 1
    with pytest.raises(NotFound):
        one.score("t3_a", "bob")


def test_whose_outcome_is_unknown_is_told_so(one: Store, held: HeldEngine) -> None:
    held.inner.fail_next(CommitFailed("sync failed"))
    with pytest.raises(OutcomeUnknown, match="sync failed"):
        award(one).get()


def test_a_failed_store_answers_submits_too(one: Store, held: HeldEngine) -> None:
    held.inner.fail_next(CommitFailed("gone"))
    outcome(award(one))
    replies = one.submit([AwardPoints("t3_a", "ann", 1), AwardPoints("t3_a", "bob", 1)])
    assert [outcome(reply) for reply in replies] == [StoreFailed, StoreFailed]


def test_a_failed_store_closes(one: Store, held: HeldEngine) -> None:
    held.inner.fail_next(CommitFailed("gone"))
    outcome(award(one))
    one.close()
    assert one.statistics().shards[0].in_flight == 0
