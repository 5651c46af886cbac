"""Commands over several groups: all or nothing, in one order, holding up only their own groups."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from engines import HeldEngine, HeldShard, drained, inside, settled
from games import POST, begin, play, points_of
from opening import Opener

from pictact_actors import (
    AddTrophy,
    AwardPoints,
    CompleteMatch,
    InvalidValue,
    Lifetime,
    Match,
    MatchClosed,
    NotFound,
    RequestTimeout,
    Score,
    StorageFull,
    Store,
    StoreConfig,
)
from pictact_actors.clock import monotonic
from pictact_actors.model import keys
from pictact_actors.model.codec import encode
from pictact_actors.model.commands import PutMany
from pictact_actors.model.keys import shard_of
from pictact_actors.runtime.crossing import Putting
from pictact_actors.runtime.gate import Gate
from pictact_actors.runtime.link import ShardLink
from pictact_actors.runtime.reply import Call, Reply
from pictact_actors.runtime.staging import Batch
from pictact_actors.runtime.workplace import Workplace

SHARDS = 4


def post_in(shard: int, shards: int = SHARDS) -> str:
    """A post whose group lives in a shard."""
    return next(f"p{n}" for n in range(1000) if shard_of(f"match:p{n}", shards) == shard)


def user_in(shard: int, shards: int = SHARDS) -> str:
    """A player whose group lives in a shard."""
    return next(f"u{n}" for n in range(1000) if shard_of(f"lifetime:u{n}", shards) == shard)


USERS = [user_in(shard) for shard in range(SHARDS)]


@pytest.fixture
def store(open_store: Opener, held: HeldEngine) -> Store:
    """A store on a held engine, with a match in each shard."""
    store: Store = open_store(engine=held, shards=SHARDS)
    begin(store, *(post_in(shard) for shard in range(SHARDS)))
    return store


def given(replies: Iterable[Reply[Any]]) -> list[object]:
    return [reply.get() for reply in replies]


def scores(points: int, *shards: int) -> dict[str, Score]:
    """A score of ann's in one post of each shard."""
    return {f"score:{post_in(shard)}:ann": Score(post_in(shard), "ann", points) for shard in shards}


def put(store: Store, records: dict[str, Any], timeout: float | None = None) -> Reply[Any]:
    return store.ask(PutMany(records), timeout)


def test_a_match_is_completed_over_all_shards_in_one_commit(store: Store) -> None:
    play(store, {user: n for n, user in enumerate(USERS)}, post_in(0))
    store.complete_match(post_in(0))
    last = list(store.entries())[-1]
    assert last.cause == "complete_match"
    assert {key for key in last.changes if not keys.is_index(key)} == {
        f"match:{post_in(0)}",
        *(f"lifetime:{user}" for user in USERS),
        *(f"history:{user}:{post_in(0)}" for user in USERS),
    }


@pytest.mark.parametrize("seed", range(3))
def test_any_records_are_put_in_one_commit(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    posts = rng.sample(range(100), 20)
    records: dict[str, Any] = {}
    for n in posts:
        records[f"match:q{n}"] = Match(f"q{n}", theme=str(seed))
        records[f"score:q{n}:ann"] = Score(f"q{n}", "ann", n)
    shuffled = dict(rng.sample(sorted(records.items()), len(records)))
    store.put_many(shuffled)
    last = list(store.entries())[-1]
    assert (last.cause, {key for key in last.changes if not keys.is_index(key)}) == ("put_many", set(records))
    assert {key: store.get(key).to_dict()["createdAt"] for key in records}.keys() == records.keys()


def test_a_crossing_holds_up_its_own_groups_only(store: Store, held: HeldEngine) -> None:
    play(store, {USERS[0]: 1, USERS[1]: 2}, post_in(0))
    held.hold()
    completing = store.ask(CompleteMatch(post_in(0)))
    held.wait_for_commit()
    locked = [AwardPoints(post_in(0), "ann", 1), AddTrophy(USERS[0], "cup"), AddTrophy(USERS[1], "cup")]
    waiting = store.submit(locked)
    free = store.submit([AwardPoints(post_in(shard), "ann", 1) for shard in range(1, SHARDS)])
    free += store.submit([AddTrophy(user, "cup") for user in USERS[2:]])
    settled(store)
    assert [len(_locks(store, shard)) for shard in range(SHARDS)] == [2, 1, 0, 0]
    held.let_one_pass()
    held.wait_for_commit()
    assert len(given([completing])) == 1
    assert not any(reply.done() for reply in [*waiting, *free])
    held.let_one_pass()
    assert len(given(free)) == 5
    held.let_go()
    with pytest.raises(MatchClosed):
        waiting[0].get()
    assert [reply.get().trophies for reply in waiting[1:]] == [["cup"], ["cup"]]


def _locks(store: Store, shard: int) -> Any:
    return _actor(store, shard).locks


def _actor(store: Store, shard: int) -> Any:
    return inside(store.runtime.links[shard], lambda actor: actor)


def test_calls_that_waited_for_a_crossing_are_done_in_order(store: Store, held: HeldEngine) -> None:
    first, second = post_in(0), post_in(1)
    play(store, {"ann": 1}, first)
    play(store, {"ann": 1}, second)
    held.hold()
    replies = []
    for message in (
        CompleteMatch(first),
        AddTrophy("ann", "one"),
        AddTrophy("ann", "two"),
        CompleteMatch(second),
        AddTrophy("ann", "three"),
        AddTrophy("ann", "four"),
    ):
        replies.append(store.ask(message))
        settled(store)
    held.let_go()
    given(replies)
    assert store.lifetime("ann").trophies == ["one", "two", "three", "four"]
    assert [entry.cause for entry in store.entries()][-6:] == [
        "complete_match",
        *["add_trophy"] * 2,
        "complete_match",
        *["add_trophy"] * 2,
    ]


def test_what_is_sent_before_a_completion_counts_and_what_is_sent_behind_it_does_not(store: Store) -> None:
    post_id = post_in(0)
    messages = [AwardPoints(post_id, "ann", 1), CompleteMatch(post_id), AwardPoints(post_id, "ann", 1)]
    messages += [CompleteMatch(post_id), AwardPoints(post_id, "bob", 1)]
    replies = store.submit(messages)
    assert [line.points for line in replies[1].get()] == [1]
    assert replies[3].get() == replies[1].get()
    for late in (replies[2], replies[4]):
        with pytest.raises(MatchClosed):
            late.get()


def test_crossings_with_the_same_groups_in_opposite_orders_all_finish(store: Store) -> None:
    replies = []
    for n in range(50):
        forward = scores(n, 0, 1, 2, 3)
        replies += [put(store, forward), put(store, dict(reversed(forward.items())))]
    given(replies)
    assert {store.score(post_in(shard), "ann").points for shard in range(SHARDS)} <= set(range(50))


@pytest.mark.parametrize("seed", range(3))
def test_any_overlapping_crossings_finish_and_leave_no_lock(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    posts = [post_in(shard) for shard in range(SHARDS)] + [f"x{n}" for n in range(6)]
    begin(store, *posts[SHARDS:])
    replies = []
    for n in range(200):
        chosen = rng.sample(posts, rng.randint(1, 6))
        records = {f"score:{post}:ann": Score(post, "ann", n) for post in chosen}
        replies.append(put(store, records))
        replies.append(store.ask(AwardPoints(rng.choice(posts), rng.choice(USERS), 1)))
        if n % 40 == 39:
            replies.append(store.ask(CompleteMatch(posts.pop())))
    for reply in replies:
        try:
            reply.get()
        except MatchClosed:
            continue
    settled(store)
    assert [len(_locks(store, shard)) for shard in range(SHARDS)] == [0] * SHARDS
    drained(store)


def test_a_step_beyond_its_limit_is_refused_and_leaves_nothing_locked(open_store: Opener) -> None:
    store = open_store(":memory:", commit_bytes_max=2_000)
    begin(store)
    play(store, {f"u{n}": n for n in range(50)})
    for attempt in (
        lambda: store.complete_match("t3_a"),
        lambda: store.put_many({f"match:p{n}": Match(f"p{n}", theme="x" * 100) for n in range(50)}),
    ):
        with pytest.raises(InvalidValue, match="commit_bytes_max"):
            attempt()
    assert store.award_points("t3_a", "u1", 1).points == 2
    assert store.match("t3_a").status == "active"
    with pytest.raises(NotFound):
        store.lifetime("u1")


def test_a_crossing_whose_deadline_passed_while_it_waited_never_happens(store: Store, held: HeldEngine) -> None:
    first, second = post_in(0), post_in(1)
    play(store, {"ann": 1}, first)
    play(store, {"ann": 1}, second)
    held.hold()
    completing = store.ask(CompleteMatch(first))
    settled(store)
    late = store.ask(CompleteMatch(second), timeout=0.01)
    settled(store)
    with pytest.raises(RequestTimeout):
        late.get()
    held.let_go()
    completing.get()
    store.add_trophy("ann", "cup")  # behind it in the same group: it has been dropped
    assert store.match(second).status == "active"
    assert store.lifetime("ann").matches_played == 1
    settled(store)
    assert [len(_locks(store, shard)) for shard in range(SHARDS)] == [0] * SHARDS


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_a_crossing_that_conflicts_is_decided_again_behind_what_it_followed(
    open_store: Opener,
    held: HeldEngine,
    shards: int,
) -> None:
    store = open_store(engine=held, shards=shards)
    begin(store)
    held.hold()
    replies = [store.ask(AwardPoints("t3_a", "ann", 1))]
    held.wait_for_commit()
    for message in (AwardPoints("t3_a", "bob", 5), CompleteMatch("t3_a"), AwardPoints("t3_a", "cat", 9)):
        replies.append(store.ask(message))
        settled(store)
    held.inner.conflict_next("match:t3_a")
    held.let_go()
    assert [reply.get().points for reply in replies[:2]] == [1, 5]
    assert [(line.user, line.points) for line in replies[2].get()] == [("bob", 5), ("ann", 1)]
    with pytest.raises(MatchClosed):
        replies[3].get()
    assert store.lifetime("bob").total_points == 5
    assert [entry.cause for entry in store.entries()].count("complete_match") == 1


def test_a_crossing_that_was_decided_on_what_the_disk_had_no_room_for_is_decided_again(
    store: Store, held: HeldEngine
) -> None:
    held.hold()
    refused = store.ask(AwardPoints(post_in(0), "ann", 1))
    held.wait_for_commit()
    completing = store.ask(CompleteMatch(post_in(0)))
    settled(store)
    held.inner.fail_next(StorageFull("full"))
    held.let_go()
    with pytest.raises(StorageFull):
        refused.get()
    assert completing.get() == []
    with pytest.raises(NotFound):
        store.lifetime("ann")


@pytest.mark.parametrize("failure", [StorageFull("full"), "conflict"])
def test_a_crossing_that_fails_is_answered_once_and_unlocks(store: Store, held: HeldEngine, failure: Any) -> None:
    if failure == "conflict":
        held.inner.conflict_next(f"match:{post_in(1)}")
    else:
        held.inner.fail_next(failure)
    replies = [put(store, scores(7, 0, 1, 2))]
    replies.append(store.ask(AwardPoints(post_in(1), "ann", 1)))
    outcomes = []
    for reply in replies:
        try:
            outcomes.append(reply.get())
        except StorageFull:
            outcomes.append("full")
    if failure == "conflict":
        assert outcomes[0] is None
    assert put(store, scores(9, 0, 1, 2)).get() is None
    assert points_of(store, post_in(2)) == {"ann": 9}
    drained(store)


def test_a_crossing_relies_on_the_oldest_state_of_a_shard_that_it_saw() -> None:
    links = [ShardLink(index, Gate(10)) for index in range(2)]
    anything: Any = None
    workplace = Workplace(links, lambda _group: links[0], anything, anything, anything, StoreConfig())
    command = PutMany({"match:a": Match("a"), "lifetime:a": Match("a")})
    crossing = Putting(Call(command, 1.0, monotonic() + 1.0), command, workplace)
    batch = Batch(links[0], 0, 0, [], 0, 0.0, crossing)
    crossing.rely_on(links[0], 0)
    links[0].epoch = 1
    crossing.rely_on(links[1], 0)
    crossing.rely_on(links[0], 1)
    assert not batch.is_current()


def test_work_in_a_shard_is_shared_fairly_with_a_long_crossing(open_store: Opener) -> None:
    store = open_store(":memory:", shards=1)
    begin(store, "big", "small")
    given(store.submit([AwardPoints("big", f"u{n}", n) for n in range(3_000)]))
    with HeldShard(store.runtime.links[0]):
        completing = store.ask(CompleteMatch("big"))
        quick = [store.ask(AwardPoints("small", "ann", 1)) for _ in range(3)]
    given(quick)
    assert not completing.done()
    assert len(completing.get()) == 3_000


@pytest.mark.parametrize("ended", ["cancelled", "completed", "gone"])
def test_a_completion_that_conflicts_with_another_hosts_end_of_the_match_is_decided_on_that(
    store: Store, held: HeldEngine, ended: str
) -> None:
    post_id = post_in(0)
    play(store, {"ann": 1}, post_id)
    match = store.match(post_id)
    held.hold()
    completing = store.ask(CompleteMatch(post_id))
    held.wait_for_commit()
    if ended == "gone":
        del held.inner._records[match.key]
    else:
        times = {"completed_at": 1.0, "expires_at": 2.0} if ended == "completed" else {}
        held.inner._records[match.key] = encode(replace(match, status=ended, **times))
    held.inner.conflict_next(match.key)
    held.let_go()
    if ended == "completed":
        assert [(line.user, line.points) for line in completing.get()] == [("ann", 1)]
    else:
        with pytest.raises(MatchClosed if ended == "cancelled" else NotFound):
            completing.get()
    with pytest.raises(NotFound):
        store.lifetime("ann")
    settled(store)
    assert [len(_locks(store, shard)) for shard in range(SHARDS)] == [0] * SHARDS
    held.inner._records[match.key] = encode(match)  # what the other host wrote is in no journal of ours


@pytest.mark.parametrize("home", [0, SHARDS - 1])
def test_putting_with_a_request_id_is_done_once_wherever_its_home_is(store: Store, home: int) -> None:
    order = sorted(range(SHARDS), key=lambda shard: shard != home)
    first = {**scores(5, *order), f"lifetime:{USERS[0]}": Lifetime(USERS[0])}
    store.put_many(first, request_id="r1")
    seq = store.statistics().seq
    store.put_many(first, request_id="r1")
    assert store.statistics().seq == seq
    with pytest.raises(InvalidValue, match="different command"):
        store.put_many({**first, **scores(6, order[0])}, request_id="r1")
    replies = [store.ask(PutMany(scores(7, *order), "r2")) for _ in range(5)]
    given(replies)
    assert [entry.cause for entry in store.entries()].count("put_many") == 2


@pytest.mark.parametrize(("carried_max", "misses"), [(2_048, 0), (1, 3)])
def test_lifetimes_of_a_completed_match_stay_in_memory_unless_they_are_many(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch, carried_max: int, misses: int
) -> None:
    monkeypatch.setattr("pictact_actors.runtime.crossing._CARRIED_MAX", carried_max)
    store: Store = open_store()
    begin(store)
    play(store, {"ann": 3, "bob": 2, "cat": 1})
    store.complete_match(POST)
    before = store.runtime.committed.statistics().misses
    assert [store.lifetime(user).total_points for user in ("ann", "bob", "cat")] == [3, 2, 1]
    assert store.runtime.committed.statistics().misses - before == misses
