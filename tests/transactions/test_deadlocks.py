"""Transactions that wait for each other in a circle: one gives way at once, and all work is done in the end."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from statistics import median

import pytest
from cells import fill, post_in, user_in, values_in, write
from engines import HeldShard, inside
from rings import Ring
from stage import Performer, SetStage, commit, waiting
from waiting import PATIENCE_S, until

from pictact_actors import CompleteMatch, ConflictAborted, DeadlockAborted, Lifetime, Match, Score, Store
from pictact_actors.model.commands import PutMany

MEMBERS_MAX = 6
SLOWEST_S = 2.0
MEDIAN_S = 0.05
CELLS = [
    *(f"match:m{n}" for n in range(12)),
    *(f"score:s{n}:ann" for n in range(12)),
    *(f"lifetime:u{n}" for n in range(12)),
]
"""Each in a group of its own."""


def random_ring(rng: random.Random) -> Ring:
    """A ring of 2 to 6 members of any age over any groups."""
    size = rng.randint(2, MEMBERS_MAX)
    return Ring(rng.sample(CELLS, size), rng.sample(range(size), size))


def test_each_of_a_thousand_deadlocks_costs_one_victim_and_milliseconds(
    sharded: Store, record_testsuite_property: Callable[[str, object], None]
) -> None:
    count = 1_000
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    rng = random.Random(seed)
    fill(sharded, dict.fromkeys(CELLS, 0))
    rings = [random_ring(rng) for _ in range(count)]
    with ThreadPoolExecutor(MEMBERS_MAX) as pool:
        for ring in rings:
            ring.run(sharded, pool)
            assert ring.victims == [ring.members[-1]], "not the youngest alone"
    took = [ring.took_s for ring in rings]
    record_testsuite_property("deadlock_median_ms", round(median(took) * 1_000, 3))
    record_testsuite_property("deadlock_slowest_ms", round(max(took) * 1_000, 3))
    assert max(took) <= SLOWEST_S
    assert median(took) <= MEDIAN_S
    assert waiting(sharded) == 0
    assert sum(shard.deadlocks for shard in sharded.statistics().shards) == count
    done = [key for ring in rings for member in ring.members for key in (member.holds, member.wants)]
    assert {key: values_in(sharded)[key] for key in CELLS} == {key: done.count(key) for key in CELLS}


def test_a_deadlock_is_described_with_everybody_in_it(sharded: Store) -> None:
    fill(sharded, dict.fromkeys(CELLS, 0))
    cells = ["match:m1", "lifetime:u2", "score:s3:ann", "match:m4"]
    ring = Ring(cells, [2, 0, 3, 1])
    with ThreadPoolExecutor(MEMBERS_MAX) as pool:
        ring.run(sharded, pool)
    [victim] = ring.victims
    told = victim.errors[0].cycle
    assert told in str(victim.errors[0])
    for group in ("match:m1", "lifetime:u2", "match:s3", "match:m4"):
        assert told.count(group) >= 2, f"{group} is held by one and wanted by another: {told}"


# -- cycles of another shape

POST, PLAYER = f"match:{post_in(0)}", f"lifetime:{user_in(3)}"


def scan(prefix: str) -> object:
    return lambda cells: cells.scan(prefix)


def outcomes(*performers: Performer) -> list[object]:
    """True for who was committed, else the class of the error."""
    return [performer.committed or type(performer.error) for performer in performers]


def test_a_cycle_through_a_scan_of_all_players_is_broken(set_stage: SetStage) -> None:
    stage = set_stage({POST: 1, PLAYER: 2})
    holder, scanner = stage.transactions(2)
    holder.does(write(PLAYER, 3))
    assert scanner.does(scan("lifetime:")).waited  # at the last shard; it has all others
    holder.does(write(POST, 4))
    holder.commits()
    stage.end()
    assert outcomes(holder, scanner) == [True, DeadlockAborted]
    assert POST in scanner.error.cycle
    assert PLAYER in scanner.error.cycle
    assert stage.values(POST, PLAYER) == (4, 3)


def test_a_scan_that_is_older_goes_before_who_is_in_its_way(set_stage: SetStage) -> None:
    stage = set_stage({POST: 1, PLAYER: 2})
    scanner, holder = stage.transactions(2)
    holder.does(write(PLAYER, 3))
    seen = scanner.does(scan("lifetime:"))
    holder.does(write(POST, 4))
    assert seen.result() == {PLAYER: 2}
    scanner.commits()
    stage.end()
    assert outcomes(scanner, holder) == [True, DeadlockAborted]


A1, A2 = f"match:{post_in(0, 0)}", f"match:{post_in(1, 0)}"
B, C = f"match:{post_in(2, 0)}", f"match:{post_in(2, 1)}"
FOUR = dict.fromkeys((A1, A2, B, C), 0)


def in_two_cycles(shared: Performer, other: Performer, third: Performer) -> None:
    """Let one transaction wait for two others that wait for it."""
    shared.does(write(A1, 1), write(A2, 1))
    other.does(write(B, 2))
    third.does(write(C, 3))
    assert other.does(write(A1, 2)).waited
    assert third.does(write(A2, 3)).waited
    shared.does(lambda cells: cells.tx.get_many([B, C]))


def test_of_two_cycles_that_share_the_oldest_each_costs_its_youngest(set_stage: SetStage) -> None:
    stage = set_stage(FOUR)
    shared, other, third = stage.transactions(3)
    in_two_cycles(shared, other, third)
    shared.commits()
    stage.end()
    assert outcomes(shared, other, third) == [True, DeadlockAborted, DeadlockAborted]
    assert stage.values(*FOUR) == (1, 1, 0, 0)


def test_of_two_cycles_that_share_the_youngest_nobody_else_gives_way(set_stage: SetStage) -> None:
    stage = set_stage(FOUR)
    other, third, shared = stage.transactions(3)
    in_two_cycles(shared, other, third)
    other.commits()
    third.commits()
    stage.end()
    assert outcomes(other, third, shared) == [True, True, DeadlockAborted]
    assert stage.values(*FOUR) == (2, 3, 2, 3)


def test_two_cycles_through_one_queue_cost_one_victim_each_at_the_most(set_stage: SetStage) -> None:
    stage = set_stage(FOUR)
    first, second, third = stage.transactions(3)
    first.does(write(A1, 1))
    second.does(write(B, 2))
    third.does(write(C, 3))
    second.does(write(A1, 2))
    third.does(write(A1, 3))  # behind the second
    first.does(write(C, 1))
    first.commits()
    second.commits()
    stage.end()
    assert outcomes(first, second, third) == [True, True, DeadlockAborted]
    assert stage.values(A1, B, C) == (2, 2, 1)


def test_a_cycle_among_those_who_queued_for_the_same_group_is_found(set_stage: SetStage) -> None:
    stage = set_stage(FOUR)
    first, second, third = stage.transactions(3)
    first.does(write(A1, 1))
    third.does(write(C, 3))
    second.does(write(A1, 2))
    third.does(write(A1, 3))  # behind the first and the second
    first.commits()
    second.does(write(C, 2))
    second.commits()
    stage.end()
    assert outcomes(first, second, third) == [True, True, DeadlockAborted]
    assert stage.values(A1, C) == (2, 2)


def test_a_cycle_through_the_line_behind_a_scan_is_found(set_stage: SetStage) -> None:
    held, free, far = f"match:{post_in(0, 0)}", f"match:{post_in(0, 1)}", f"match:{post_in(3)}"
    stage = set_stage(dict.fromkeys((held, free, far), 0))
    one, scanner, three = stage.transactions(3)
    one.does(write(held, 1))
    three.does(write(far, 3))
    assert scanner.does(scan("match:")).waited
    assert three.does(write(free, 3)).waited  # nobody has it, but the scan was here before
    one.does(write(far, 1))
    one.commits()
    scanner.commits()
    stage.end()
    assert outcomes(one, scanner, three) == [True, True, DeadlockAborted]
    assert scanner.seen == [{held: 1, free: 0, far: 1}]


# -- waits that end by themselves


def test_who_gives_up_waiting_is_in_no_cycle(set_stage: SetStage) -> None:
    stage = set_stage(FOUR)
    [hasty] = stage.transactions(1, timeout=0.05)
    [patient] = stage.transactions(1)
    hasty.does(write(A1, 1))
    patient.does(write(B, 2))
    hasty.does(write(B, 1)).result()
    assert outcomes(hasty) == [ConflictAborted]
    patient.does(write(A1, 2))
    patient.commits()
    stage.assert_serial()
    assert stage.values(A1, B) == (2, 2)


@pytest.mark.parametrize("timeout_s", [0.001 * n for n in range(1, 21)])
def test_a_cycle_that_closes_while_one_in_it_gives_up_holds_nobody_up(set_stage: SetStage, timeout_s: float) -> None:
    stage = set_stage(FOUR)
    [patient] = stage.transactions(1)
    [hasty] = stage.transactions(1, timeout_s)
    [third] = stage.transactions(1)
    for performer, cell in ((patient, A1), (hasty, B), (third, C)):
        performer.does(write(cell, 1))
    for performer, cell in ((hasty, C), (third, A1), (patient, B)):
        performer.does(write(cell, 2))
    for performer in (patient, hasty, third):
        performer.commits()
    stage.assert_serial()
    assert patient.committed
    assert waiting(stage.store) == 0


# -- commands over several groups never give way

MATCH, SECOND = f"match:{post_in(1)}", f"match:{post_in(2)}"
SCORE = f"score:{post_in(1)}:{user_in(3)}"
CROSSINGS = {
    "complete_match": CompleteMatch(post_in(1)),
    "put_many": PutMany({MATCH: Match(post_in(1), rounds_total=9), PLAYER: Lifetime(user_in(3))}),
}
each_crossing = pytest.mark.parametrize("message", CROSSINGS.values(), ids=CROSSINGS)


@each_crossing
def test_a_transaction_gives_way_to_a_younger_command_over_several_groups(
    set_stage: SetStage, message: CompleteMatch | PutMany
) -> None:
    stage = set_stage({MATCH: 3, SCORE: 5, PLAYER: 7})
    [one] = stage.transactions(1)
    one.does(write(PLAYER, 8))
    crossing = stage.crosses(message)
    assert not crossing.done()  # it has the match, and waits for the player
    one.does(write(MATCH, 4))
    crossing.get()
    stage.end()
    assert outcomes(one) == [DeadlockAborted]
    assert message.NAME in one.error.cycle


@each_crossing
def test_of_two_transactions_in_a_cycle_with_a_command_the_younger_gives_way(
    set_stage: SetStage, message: CompleteMatch | PutMany
) -> None:
    stage = set_stage({MATCH: 3, SECOND: 4, SCORE: 5, PLAYER: 7})
    one, two = stage.transactions(2)
    one.does(write(PLAYER, 8))
    two.does(write(SECOND, 9))
    crossing = stage.crosses(message)
    two.does(write(MATCH, 9))  # behind the command
    one.does(write(SECOND, 8))
    one.commits()
    crossing.get()
    stage.end()
    assert outcomes(one, two) == [True, DeadlockAborted]


def test_a_scan_gives_way_to_a_command_that_it_meets_between_two_stops(sharded: Store) -> None:
    """In one shard: the command has its match, a scan waits for that, others line up, and then it wants a player."""
    post, player, others = post_in(0), user_in(0), [post_in(0, nth) for nth in range(1, 8)]
    link = sharded.runtime.link_of(f"match:{post}")
    fill(sharded, {f"score:{post}:{player}": 5, **{f"match:{other}": 0 for other in others}})

    def scan_all() -> None:
        with sharded.transaction(timeout=PATIENCE_S) as tx:
            list(tx.scan("lifetime:"))

    with ThreadPoolExecutor(1) as pool:
        with HeldShard(link):
            completing = sharded.ask(CompleteMatch(post))
            scanning = pool.submit(scan_all)
            until(lambda: len(link._calls) == 2)
            putting = [sharded.ask(PutMany({f"match:{other}": Match(other)})) for other in others]
        assert len(completing.get(2)) == 1
        for reply in putting:
            reply.get(2)
        with pytest.raises(DeadlockAborted, match="complete_match"):
            scanning.result(2)


def test_a_command_that_queued_for_its_match_is_in_the_way_of_who_queued_behind_it(set_stage: SetStage) -> None:
    stage = set_stage({MATCH: 3, SCORE: 5, PLAYER: 7})
    one, two = stage.transactions(2)
    one.does(write(MATCH, 4))
    two.does(write(PLAYER, 8))
    completing = stage.store.ask(CompleteMatch(post_in(1)))
    link = stage.store.runtime.link_of(MATCH)
    until(lambda: inside(link, lambda shard: shard.locks.waiting_calls()))
    assert two.does(write(MATCH, 5)).waited
    one._give(commit)  # now the command has the match and wants the player
    assert len(completing.get(2)) == 1
    stage.end()
    assert outcomes(one, two) == [True, DeadlockAborted]


def test_transactions_and_commands_over_the_same_groups_are_all_done(sharded: Store) -> None:
    cells = [f"match:{post_in(shard)}" for shard in range(4)]
    fill(sharded, dict.fromkeys(cells, 0))
    rng = random.Random(4)
    routes = [rng.sample(cells, 3) for _ in range(60)]

    def visit(route: list[str]) -> None:
        def add_one(tx: object) -> None:
            for key in route:
                tx.put(key, Match(key.partition(":")[2], rounds_total=tx.get(key).rounds_total + 1))

        sharded.transact(add_one, timeout=20)

    def put(route: list[str]) -> None:
        posts = [key.partition(":")[2] for key in route]
        sharded.put_many({f"score:{post}:ann": Score(post, "ann", 1) for post in posts})

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(act, route) for route in routes for act in (visit, put)]
        for future in done:
            future.result(20)
    visits = list(chain.from_iterable(routes))
    assert [sharded.get(key).rounds_total for key in cells] == [visits.count(key) for key in cells]
    until(lambda: waiting(sharded) == 0)
