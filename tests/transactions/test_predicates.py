"""Anomalies of records that are known by a condition: scans of one group, and of prefixes that lie in every shard.

The interleavings are those of the public Hermitage suite, as in `test_isolation.py`.
"""

from __future__ import annotations

from cells import add_where, delete_where, read, select, write
from stage import SetStage, Stage

Predicate = tuple[str, list[str]]


def staged(set_stage: SetStage, keys: list[str]) -> Stage:
    """Cells with 10 and 20 under the first two keys; the others are free."""
    for_the_rest = {f"match:{key.split(':')[1]}": 0 for key in keys if key.startswith("score:")}
    return set_stage({**for_the_rest, keys[0]: 10, keys[1]: 20})


def is_30(value: int) -> bool:
    return value == 30


def is_20(value: int) -> bool:
    return value == 20


def by_three(value: int) -> bool:
    return value % 3 == 0


def by_five(value: int) -> bool:
    return value % 5 == 0


# -- PMP: a condition is met by other records the second time


def test_pmp_a_record_does_not_appear_in_a_second_scan(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two = stage.transactions(2)
    one.does(select(prefix, is_30))
    assert two.does(write(keys[2], 30)).waited
    two.commits()
    one.does(select(prefix, by_three))
    one.commits()
    stage.assert_serial()
    assert one.seen == [[], []]
    assert stage.values(keys[2]) == (30,)


def test_pmp_the_records_of_two_others_do_not_appear_either(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two, three = stage.transactions(3)
    one.does(select(prefix))
    two.does(write(keys[2], 30))
    three.does(write(keys[3], 33))
    two.commits()
    three.commits()
    one.does(select(prefix))
    one.commits()
    stage.assert_serial()
    assert one.seen[0] == one.seen[1]
    assert stage.values(*keys) == (10, 20, 30, 33)


def test_pmp_a_record_does_not_vanish_from_a_second_scan(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two = stage.transactions(2)
    one.does(select(prefix, is_20))
    two.does(delete_where(prefix, is_20))
    two.commits()
    one.does(select(prefix, is_20))
    one.commits()
    stage.assert_serial()
    assert one.seen == [[(keys[1], 20)]] * 2
    assert stage.values(keys[1]) == (None,)


def test_pmp_what_is_deleted_by_a_condition_meets_it(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two = stage.transactions(2)
    one.does(add_where(prefix, 10))
    assert two.does(delete_where(prefix, is_20)).waited
    one.commits()
    two.commits()
    stage.assert_serial()
    assert stage.values(*keys[:2]) == (None, 30)


def test_pmp_two_who_delete_by_a_condition_that_a_third_changes(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two, three = stage.transactions(3)
    one.does(add_where(prefix, 10))
    two.does(delete_where(prefix, is_20))
    three.does(delete_where(prefix, is_30))
    one.commits()
    two.commits()
    three.commits()
    stage.assert_serial()
    assert [performer.seen for performer in (one, two, three)] == [[2], [1], [1]]
    assert stage.values(*keys) == (None,) * 4


# -- G-single: what meets a condition, from before a transaction and from after it


def test_g_single_one_condition_before_a_writer_and_another_after_it(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two = stage.transactions(2)
    one.does(select(prefix, by_five))
    two.does(write(keys[0], 12))
    two.commits()
    one.does(select(prefix, by_three))
    one.commits()
    stage.assert_serial()
    assert one.seen == [[(keys[0], 10), (keys[1], 20)], []]


def test_g_single_one_condition_before_two_writers_and_another_after_them(
    set_stage: SetStage, predicate: Predicate
) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two, three = stage.transactions(3)
    one.does(select(prefix, by_five))
    two.does(write(keys[0], 12))
    three.does(write(keys[2], 33))
    two.commits()
    three.commits()
    one.does(select(prefix, by_three))
    one.commits()
    stage.assert_serial()
    assert one.seen[1] == []


def test_g_single_what_was_read_before_a_writer_is_what_is_deleted_after_it(
    set_stage: SetStage, predicate: Predicate
) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two = stage.transactions(2)
    one.does(read(keys[0]))
    two.does(select(prefix))
    two.does(write(keys[0], 12), write(keys[1], 18))
    two.commits()
    one.does(delete_where(prefix, is_20))
    one.commits()
    stage.assert_serial()
    assert one.seen == [10, 1]


# -- G2: each writes what would have met the other's condition


def test_g2_two_never_write_what_the_other_has_looked_for(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two = stage.transactions(2)
    one.does(select(prefix, by_three))
    assert two.does(select(prefix, by_three)).waited
    one.does(write(keys[2], 30))
    two.does(write(keys[3], 42))
    one.commits()
    two.commits()
    stage.assert_serial()
    assert two.seen[0] == [(keys[2], 30)]


def test_g2_three_never_write_what_the_others_have_looked_for(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    cast = stage.transactions(3)
    for performer in cast:
        performer.does(select(prefix, by_three))
    for number, performer in enumerate(cast):
        performer.does(write(keys[1 + number], 30 + 3 * number))
    for performer in cast:
        performer.commits()
    stage.assert_serial()
    assert [len(performer.seen[0]) for performer in cast] == [0, 1, 2]


def test_g2_two_edges_a_scan_that_saw_one_writer_is_not_overtaken_by_an_older_one(
    set_stage: SetStage, predicate: Predicate
) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two, three = stage.transactions(3)
    one.does(select(prefix))
    assert two.does(write(keys[1], 25)).waited
    two.commits()
    three.does(select(prefix))
    three.commits()
    one.does(write(keys[0], 0))
    one.commits()
    stage.assert_serial()
    assert one.seen[0] == [(keys[0], 10), (keys[1], 20)]
    assert three.seen[0] == [(keys[0], 0), (keys[1], 25)]


def test_g2_two_edges_between_two_of_which_one_writes_and_scans(set_stage: SetStage, predicate: Predicate) -> None:
    prefix, keys = predicate
    stage = staged(set_stage, keys)
    one, two = stage.transactions(2)
    one.does(select(prefix))
    two.does(write(keys[1], 25))
    two.does(select(prefix))
    two.commits()
    one.does(write(keys[0], 0))
    one.commits()
    stage.assert_serial()
    assert two.seen[1] == [(keys[0], 0), (keys[1], 25)]
