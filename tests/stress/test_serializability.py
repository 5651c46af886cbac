"""The checker of histories: what it must accept, every anomaly that it must find, and both against brute force.

Histories are written as one line a transaction: `x+1` appends 1 to x, `x=1,2` reads x as 1, 2 and `x=` as empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, combinations, pairwise, permutations

import pytest
from cycles import Components
from hypothesis import given
from hypothesis import strategies as st
from serializability import (
    Append,
    Kind,
    Outcome,
    Read,
    Transaction,
    anomalies,
    assert_strictly_serializable,
    real_time,
    with_aborted_reads,
)

COMMITTED, ABORTED, UNKNOWN = Outcome
ALL_ALONG = (0, 100)
"""The time of what is concurrent with everything else."""


def did(script: str, at: tuple[int, int] = ALL_ALONG, outcome: Outcome = COMMITTED) -> Transaction:
    return Transaction(f"({script})", *at, [operation(word) for word in script.split()], outcome)


def operation(word: str) -> Append | Read:
    if "+" in word:
        return Append(*word.split("+"))
    key, seen = word.split("=")
    return Read(key, tuple(seen.split(",")) if seen else ())


def kinds(*history: Transaction) -> set[Kind]:
    return {anomaly.kind for anomaly in anomalies(history)}


# -- what is right


def test_a_history_of_nothing_is_right() -> None:
    assert kinds() == set()


def test_what_follows_each_other_and_sees_each_other_is_right() -> None:
    assert kinds(did("x= x+1 y+1", (0, 1)), did("x=1 x+2 x=1,2", (2, 3)), did("x=1,2 y=1", (4, 5))) == set()


def test_what_is_concurrent_may_come_in_either_order() -> None:
    assert kinds(did("x+1"), did("x+2"), did("x=2"), did("x="), did("x=2,1")) == set()


def test_a_moment_of_contact_orders_nothing() -> None:
    assert kinds(did("x+1", (0, 1)), did("x=", (1, 2))) == set()


def test_appends_that_nobody_saw_yet_are_right() -> None:
    assert kinds(did("x+1", (0, 1)), did("x+2", (2, 3)), did("x+3", (4, 5))) == set()


def test_what_an_aborted_transaction_read_is_not_asked() -> None:
    assert kinds(did("x=1,1 y=7 y+1", outcome=ABORTED)) == set()


def test_what_an_aborted_transaction_read_can_be_asked() -> None:
    history = [did("x+1 y+1"), did("x=1 x+2 x=1,2 y=", outcome=ABORTED)]
    assert kinds(*history) == set()
    assert kinds(*with_aborted_reads(history)) == {Kind.G_SINGLE}


# -- planted anomalies, each of them found and nothing else


def test_a_circle_of_writes_is_found() -> None:
    assert kinds(did("x+1 y+1"), did("x+2 y+2"), did("x=1,2 y=2,1")) == {Kind.G0}


def test_writes_that_are_taken_apart_are_found() -> None:
    assert kinds(did("x+1 x+2"), did("x+3"), did("x=1,3,2")) == {Kind.G0}


def test_a_read_of_an_aborted_write_is_found() -> None:
    assert kinds(did("x+1", outcome=ABORTED), did("x=1")) == {Kind.G1A}


def test_an_aborted_write_in_the_middle_is_found() -> None:
    assert kinds(did("x+1"), did("x+2", outcome=ABORTED), did("x+3"), did("x=1,2,3")) == {Kind.G1A}


def test_a_read_of_an_intermediate_write_is_found() -> None:
    assert kinds(did("x+1 x+2"), did("x=1"), did("x=1,2")) == {Kind.G1B, Kind.G_SINGLE}


def test_a_circle_of_information_is_found() -> None:
    assert kinds(did("x+1 y=2"), did("y+2 x=1")) == {Kind.G1C}


def test_a_read_of_two_moments_is_found() -> None:
    assert kinds(did("x+1 y+1"), did("x=1 y="), did("x=1 y=1")) == {Kind.G_SINGLE}


def test_a_read_of_two_moments_is_found_when_nobody_sees_the_rest() -> None:
    assert kinds(did("x+1 y+1"), did("x=1 y=")) == {Kind.G_SINGLE}


def test_a_write_skew_is_found() -> None:
    assert kinds(did("x= y+1"), did("y= x+2"), did("x=2 y=1")) == {Kind.G2}


def test_a_write_skew_of_three_is_found() -> None:
    assert kinds(did("x= y+1"), did("y= z+2"), did("z= x+3")) == {Kind.G2}


def test_a_phantom_of_two_scans_is_found() -> None:
    assert kinds(did("r1= r2= r1+1"), did("r1= r2= r2+2")) == {Kind.G2}


def test_two_readers_that_disagree_about_the_order_are_found() -> None:
    assert kinds(did("x+1"), did("y+2"), did("x=1 y="), did("x= y=2")) == {Kind.G2}


def test_a_stale_read_is_found() -> None:
    assert kinds(did("x+1", (0, 1)), did("x=", (2, 3)), did("x=1")) == {Kind.REAL_TIME}


def test_a_stale_read_is_found_with_much_in_between() -> None:
    between = [did(f"y+{n}", (n, n)) for n in range(2, 50)]
    found = anomalies([did("x+1", (0, 1)), *between, did("x=", (60, 61)), did("x=1")])
    assert [(anomaly.kind, len(anomaly.reasons)) for anomaly in found] == [(Kind.REAL_TIME, 2)]


def test_a_write_that_is_dated_back_is_found() -> None:
    assert kinds(did("x+1", (0, 1)), did("x+2", (2, 3)), did("x=2,1")) == {Kind.REAL_TIME}


def test_a_read_of_what_was_not_sent_yet_is_found() -> None:
    assert kinds(did("x=1", (0, 1)), did("x+1", (2, 3))) == {Kind.REAL_TIME}


def test_a_lost_update_is_found() -> None:
    assert kinds(did("x= x+1"), did("x= x+2"), did("x=1,2")) == {Kind.LOST_UPDATE, Kind.G_SINGLE}


def test_a_lost_update_is_found_when_one_of_them_is_gone() -> None:
    assert kinds(did("x= x+1"), did("x= x+2"), did("x=1")) == {Kind.LOST_UPDATE, Kind.G_SINGLE}


def test_a_lost_append_is_found() -> None:
    assert kinds(did("x+1", (0, 1)), did("x=", (2, 3))) == {Kind.LOST_APPEND, Kind.REAL_TIME}


def test_a_duplicate_append_is_found() -> None:
    assert kinds(did("x+1"), did("x=1,1")) == {Kind.DUPLICATE_APPEND}


def test_incompatible_orders_are_found() -> None:
    assert kinds(did("x+1"), did("x+2"), did("x=1,2"), did("x=2,1")) == {Kind.INCOMPATIBLE_ORDERS}


def test_appends_in_another_order_than_they_were_made_are_found() -> None:
    assert kinds(did("x+1 x+2"), did("x=2,1")) == {Kind.INCOMPATIBLE_ORDERS}


def test_a_value_that_nobody_wrote_is_found() -> None:
    assert kinds(did("x=9")) == {Kind.UNWRITTEN_VALUE}


@pytest.mark.parametrize("script", ["x+1 x=", "x= x+1 x=1,2", "x= x=2", "x+1 x=2,1 x=1", "x=1 x+1"])
def test_a_transaction_that_contradicts_itself_is_found(script: str) -> None:
    assert Kind.INTERNAL in kinds(did("x+2"), did(script))


# -- unknown outcomes


def test_an_unknown_append_may_never_have_happened() -> None:
    assert kinds(did("x+1", (0, 1), UNKNOWN), did("x=", (2, 3))) == set()


def test_an_unknown_append_may_have_happened() -> None:
    assert kinds(did("x+1", (0, 1), UNKNOWN), did("x=1", (2, 3))) == set()


def test_an_unknown_append_may_happen_late() -> None:
    assert kinds(did("x+1", (0, 1), UNKNOWN), did("x=", (2, 3)), did("x=1", (4, 5))) == set()


def test_an_unknown_append_that_was_seen_stays() -> None:
    assert kinds(did("x+1", (0, 1), UNKNOWN), did("x=1", (2, 3)), did("x=", (4, 5))) == {Kind.REAL_TIME}


def test_an_unknown_append_cannot_happen_before_it_was_sent() -> None:
    assert kinds(did("x=1", (0, 1)), did("x+1", (2, 3), UNKNOWN)) == {Kind.REAL_TIME}


def test_an_unknown_transaction_that_was_seen_happened_as_a_whole() -> None:
    assert kinds(did("x+1 y+1", outcome=UNKNOWN), did("x=1 y=")) == {Kind.G_SINGLE}


def test_the_reads_of_an_unknown_transaction_count_if_it_was_seen() -> None:
    skew = did("x= y+1", (0, 1), UNKNOWN), did("y= x+2", (0, 1))
    assert kinds(*skew) == set()
    assert kinds(*skew, did("y=1", (2, 3))) == {Kind.G2}


def test_an_unknown_transaction_that_an_unknown_one_saw_counts_if_that_one_does() -> None:
    first, second = did("x+1", (0, 1), UNKNOWN), did("x=1 y+2", (2, 3), UNKNOWN)
    assert kinds(first, second, did("x=", (6, 7))) == set()
    assert kinds(first, second, did("y=2", (4, 5)), did("x=", (6, 7))) == {Kind.REAL_TIME}


def test_what_only_an_aborted_transaction_saw_stays_unknown() -> None:
    assert kinds(did("x+1", (0, 1), UNKNOWN), did("x=1", (2, 3), ABORTED), did("x=", (4, 5))) == set()


# -- what it says


def test_a_cycle_is_told_with_its_transactions_and_reasons() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_strictly_serializable([did("x+1 y+1"), did("x=1 y="), did("z+5")], "seed 7")
    text = str(caught.value)
    assert "seed 7: 1 anomalies in 3 transactions" in text
    assert "G-single" in text
    assert "(x=1 y=) [0, 100] committed: read(x) -> 1 [1], read(y) -> 0 []" in text
    assert "(x=1 y=) -rw-> (x+1 y+1): 1 was not seen in y" in text
    assert "z+5" not in text


def test_a_long_list_is_told_by_its_end() -> None:
    assert str(Read("x", tuple("abcdefg"))) == "read(x) -> 7 [… d e f g]"


def test_a_value_that_is_appended_twice_makes_no_history() -> None:
    with pytest.raises(AssertionError, match="was appended by"):
        anomalies([did("x+1"), did("x+1")])


# -- its parts


def test_a_component_may_be_longer_than_the_stack() -> None:
    size = 20_000
    circle = {node: [(node + 1) % size] for node in range(size)}
    assert Components(circle).found == [set(range(size))]


def test_components_are_found_apart() -> None:
    graph = {1: [2], 2: [1, 3], 3: [4], 4: [5, 3], 5: [], 6: [6, 1]}
    assert sorted(map(sorted, Components(graph).found)) == [[1, 2], [3, 4]]


def test_real_time_takes_a_few_edges_a_transaction() -> None:
    callers = [[did("", (n + 8 * turn, n + 8 * turn + 7)) for turn in range(100)] for n in range(8)]
    history = list(chain.from_iterable(callers))
    assert len(list(real_time(history))) <= 8 * len(history)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), max_size=8))
def test_real_time_leads_to_everything_that_came_later(times: list[tuple[int, int]]) -> None:
    history = [did("", (begin, begin + length)) for begin, length in times]
    later = {transaction: {transaction} for transaction in history}
    for edge in sorted(real_time(history), key=lambda edge: edge.before.invoked, reverse=True):
        later[edge.before] |= later[edge.after]
    for before, after in permutations(history, 2):
        assert (after in later[before]) == (before.completed < after.invoked)


# -- against what is known to be right, and against brute force

STEPS = st.lists(st.sampled_from(["x", "y", "z", "x+", "y+", "z+"]), min_size=1, max_size=4)
BODIES = st.tuples(STEPS, st.sampled_from([COMMITTED, COMMITTED, COMMITTED, ABORTED, UNKNOWN]), st.booleans())
SPANS = st.tuples(st.integers(0, 45), st.integers(0, 45))
Body = tuple[list[str], Outcome, bool]


def played(bodies: list[Body]) -> Iterator[Transaction]:
    """Do one transaction after the other; the last of a body says whether an unknown one happens."""
    lists: dict[str, tuple[str, ...]] = {}
    for number, (steps, outcome, happens) in enumerate(bodies):
        view, done = dict(lists), list[Append | Read]()
        for place, step in enumerate(steps):
            key = step[0]
            if step.endswith("+"):
                done.append(Append(key, f"{number}.{place}"))
                view[key] = (*view.get(key, ()), f"{number}.{place}")
            else:
                done.append(Read(key, view.get(key, ())))
        if outcome is COMMITTED or (outcome is UNKNOWN and happens):
            lists = view
        yield Transaction(f"T{number}", number * 10, number * 10, done, outcome)


def around(transaction: Transaction, span: tuple[int, int]) -> Transaction:
    """The transaction begun earlier and completed later; if its outcome is unknown, perhaps before it happened."""
    begun = transaction.invoked - span[0]
    end = transaction.completed if transaction.outcome is not UNKNOWN else begun
    return replace(transaction, invoked=begun, completed=end + span[1])


@given(st.lists(st.tuples(BODIES, SPANS), max_size=25))
def test_a_serial_execution_is_right_however_its_times_overlap(plan: list[tuple[Body, tuple[int, int]]]) -> None:
    serial = played([body for body, _ in plan])
    assert anomalies([around(one, span) for one, (_, span) in zip(serial, plan, strict=True)]) == []


@given(st.lists(STEPS, min_size=2, max_size=12), st.data())
def test_one_read_changed_is_found_where_nothing_overlaps(bodies: list[list[str]], data: st.DataObject) -> None:
    history = list(played([(["x"], COMMITTED, True), *((steps, COMMITTED, True) for steps in bodies)]))
    where = data.draw(st.sampled_from(reads_in(history)))
    others = {read.seen for one in history for read in one.operations if isinstance(read, Read)} | {(), ("?",)}
    honest = history[where[0]].operations[where[1]]
    lie = data.draw(st.sampled_from(sorted(others)).filter(lambda seen: Read(honest.key, seen) != honest))
    assert anomalies(altered(history, where, lie))


@given(st.lists(st.tuples(BODIES, SPANS), min_size=1, max_size=5), st.data())
def test_it_agrees_with_brute_force(plan: list[tuple[Body, tuple[int, int]]], data: st.DataObject) -> None:
    """Any times, and reads that saw something else: right if some order of what may have happened explains it."""
    serial = played([body for body, _ in plan])
    history = [
        replace(one, invoked=begin, completed=begin + length)
        for one, (_, (begin, length)) in zip(serial, plan, strict=True)
    ]
    for where in data.draw(st.lists(st.sampled_from(reads_in(history)), max_size=3)) if reads_in(history) else ():
        history = altered(history, where, data.draw(st.sampled_from(sightings(history, where))))
    assert (anomalies(history) == []) == has_an_order(history)


def reads_in(history: list[Transaction]) -> list[tuple[int, int]]:
    return [(n, m) for n, one in enumerate(history) for m, op in enumerate(one.operations) if isinstance(op, Read)]


def altered(history: list[Transaction], where: tuple[int, int], seen: tuple[str, ...]) -> list[Transaction]:
    number, place = where
    operations = list(history[number].operations)
    operations[place] = Read(operations[place].key, seen)
    return [*history[:number], replace(history[number], operations=operations), *history[number + 1 :]]


def sightings(history: list[Transaction], where: tuple[int, int]) -> list[tuple[str, ...]]:
    """What a read could have seen at another moment, or in another order."""
    key = history[where[0]].operations[where[1]].key
    values = [op.value for one in history for op in one.operations if isinstance(op, Append) and op.key == key]
    return [seen for size in range(min(len(values), 3) + 1) for seen in permutations(values, size)]


def has_an_order(history: list[Transaction]) -> bool:
    sure = [one for one in history if one.outcome is COMMITTED]
    unknown = [one for one in history if one.outcome is UNKNOWN]
    happened = chain.from_iterable(combinations(unknown, size) for size in range(len(unknown) + 1))
    return any(explains(order) for also in happened for order in permutations([*sure, *also]))


def explains(order: tuple[Transaction, ...]) -> bool:
    lists: dict[str, tuple[str, ...]] = {}
    for number, one in enumerate(order):
        if any(later.outcome is COMMITTED and later.completed < one.invoked for later in order[number:]):
            return False
        for op in one.operations:
            if isinstance(op, Append):
                lists[op.key] = (*lists.get(op.key, ()), op.value)
            elif op != Read(op.key, lists.get(op.key, ())):
                return False
    return True


def test_brute_force_knows_right_from_wrong() -> None:
    assert has_an_order([did("x+1"), did("x=1")])
    assert not has_an_order([did("x= x+1"), did("x= x+2"), did("x=1,2")])
    assert all(not has_an_order(list(pair)) for pair in pairwise([did("x+1", (0, 1)), did("x=", (2, 3))]))
