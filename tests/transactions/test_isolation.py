"""Anomalies of records that are known by their keys, each staged as transactions would have to meet for it.

The interleavings are those of the public Hermitage suite. Who touches a cell that somebody else has touched waits for
him, so a stage often comes to another end than it would have without locks; what is left and what everybody saw must
be explained by one transaction after the other.
"""

from __future__ import annotations

from cells import add, read, write
from stage import Performer, SetStage, Stage

from pictact_actors import DeadlockAborted


def staged(set_stage: SetStage, places: list[str]) -> Stage:
    """Cells with 10, 20 and 30, and a spare one."""
    return set_stage(dict(zip(places, (10, 20, 30, 40), strict=True)))


def through(*performers: Performer) -> list[Performer]:
    """Who was committed."""
    return [performer for performer in performers if performer.committed]


# -- G0: writes of several transactions are mixed


def test_g0_the_writes_of_two_are_never_mixed(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(write(x, 11))
    assert two.does(write(x, 12)).waited
    one.does(write(y, 21))
    one.commits()
    two.does(write(y, 22))
    two.commits()
    stage.assert_serial()
    assert stage.values(x, y) == (12, 22)


def test_g0_the_writes_of_three_are_never_mixed(set_stage: SetStage, places: list[str]) -> None:
    x, y, z, _ = places
    stage = staged(set_stage, places)
    cast = stage.transactions(3)
    for cell in (x, y, z):
        for number, performer in enumerate(cast):
            performer.does(write(cell, number))
    for performer in cast:
        performer.commits()
    stage.assert_serial()
    assert stage.values(x, y, z) == (2, 2, 2)


def test_g0_a_ring_of_three_writers_leaves_the_writes_of_whole_transactions(
    set_stage: SetStage, places: list[str]
) -> None:
    x, y, z, _ = places
    stage = staged(set_stage, places)
    cast = stage.transactions(3)
    for number, performer in enumerate(cast):
        performer.does(write((x, y, z)[number], number))
    for number, performer in enumerate(cast):
        performer.does(write((y, z, x)[number], number))
    for performer in cast:
        performer.commits()
    stage.assert_serial()
    assert len(through(*cast)) >= 2


# -- G1a: reading what is taken back


def test_g1a_what_another_takes_back_is_never_read(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(write(x, 101))
    waits = two.does(read(x))
    assert waits.waited
    one.rolls_back()
    assert waits.result() == 10
    two.does(read(y))
    two.commits()
    stage.assert_serial()
    assert two.seen == [10, 20]


def test_g1a_neither_of_two_readers_sees_what_a_third_takes_back(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two, three = stage.transactions(3)
    one.does(write(x, 101), write(y, 201))
    two.does(read(x))
    three.does(read(y))
    one.rolls_back()
    two.does(read(x))
    two.commits()
    three.does(read(x))
    three.commits()
    stage.assert_serial()
    assert (two.seen, three.seen) == ([10, 10], [20, 10])


# -- G1b: reading what is overwritten before it is committed


def test_g1b_what_another_overwrites_itself_is_never_read(set_stage: SetStage, places: list[str]) -> None:
    x, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(write(x, 101))
    waits = two.does(read(x))
    assert waits.waited
    one.does(write(x, 11))
    one.commits()
    assert waits.result() == 11
    two.commits()
    stage.assert_serial()


def test_g1b_neither_of_two_readers_sees_what_a_third_overwrites_itself(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two, three = stage.transactions(3)
    one.does(write(x, 101), write(y, 201))
    two.does(read(x))
    three.does(read(y))
    one.does(write(y, 21), write(x, 11))
    one.commits()
    two.commits()
    three.commits()
    stage.assert_serial()
    assert (two.seen, three.seen) == ([11], [21])


# -- G1c: each reads what the other has written


def test_g1c_two_never_read_what_the_other_writes(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(write(x, 11))
    two.does(write(y, 22))
    one.does(read(y))
    two.does(read(x))
    one.commits()
    two.commits()
    stage.assert_serial()
    assert [performer.seen for performer in through(one, two)] != [[None, 22], [None, 11]]


def test_g1c_three_never_read_in_a_circle_what_the_next_writes(set_stage: SetStage, places: list[str]) -> None:
    cells = places[:3]
    stage = staged(set_stage, places)
    cast = stage.transactions(3)
    for number, performer in enumerate(cast):
        performer.does(write(cells[number], 100 + number))
    for number, performer in enumerate(cast):
        performer.does(read(cells[(number + 1) % 3]))
    for performer in cast:
        performer.commits()
    stage.assert_serial()
    assert len(through(*cast)) >= 2
    assert all(isinstance(performer.error, DeadlockAborted) for performer in cast if not performer.committed)


# -- OTV: what was seen of a transaction vanishes again


def test_otv_what_was_seen_of_a_transaction_stays(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(write(x, 11))
    two.does(read(x))
    one.does(write(y, 19))
    one.commits()
    two.does(read(y), read(x), read(y))
    two.commits()
    stage.assert_serial()
    assert two.seen == [11, 19, 11, 19]


def test_otv_a_reader_between_two_writers_sees_one_of_them(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two, three = stage.transactions(3)
    one.does(write(x, 11), write(y, 19))
    assert two.does(write(x, 12)).waited
    one.commits()
    three.does(read(x))
    two.does(write(y, 18))
    three.does(read(y))
    two.commits()
    three.does(read(y), read(x))
    three.commits()
    stage.assert_serial()
    if three.committed:
        assert three.seen in ([11, 19, 19, 11], [12, 18, 18, 12])


# -- P4: an update is lost


def test_p4_no_update_of_two_is_lost(set_stage: SetStage, places: list[str]) -> None:
    x, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(read(x))
    assert two.does(read(x)).waited
    one.does(add(x, 1))
    two.does(add(x, 1))
    one.commits()
    two.commits()
    stage.assert_serial()
    assert stage.values(x) == (12,)


def test_p4_no_update_of_three_is_lost(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    cast = stage.transactions(3)
    for performer in cast:
        performer.does(read(x))
    for performer in cast:
        performer.does(add(x, 1), add(y, 1))
    for performer in cast:
        performer.commits()
    stage.assert_serial()
    assert stage.values(x, y) == (13, 23)


# -- G-single: one cell from before a transaction, another from after it


def test_g_single_a_reader_sees_all_of_a_writer_or_nothing(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(read(x))
    assert two.does(read(x)).waited
    two.does(read(y), write(x, 12), write(y, 18))
    two.commits()
    one.does(read(y))
    one.commits()
    stage.assert_serial()
    assert one.seen == [10, 20]
    assert stage.values(x, y) == (12, 18)


def test_g_single_a_reader_sees_nothing_of_two_writers_that_come_after_it(
    set_stage: SetStage, places: list[str]
) -> None:
    x, y, z, _ = places
    stage = staged(set_stage, places)
    one, two, three = stage.transactions(3)
    one.does(read(x))
    two.does(write(x, 12))
    three.does(write(z, 32))
    two.does(write(y, 18))
    two.commits()
    three.commits()
    one.does(read(y))
    one.commits()
    stage.assert_serial()
    assert one.seen == [10, 20]


def test_g_single_a_writer_that_read_the_old_cell_does_not_write_over_the_new_one(
    set_stage: SetStage, places: list[str]
) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(read(x))
    two.does(read(x), read(y), write(x, 12), write(y, 18))
    two.commits()
    one.does(add(y, 100))
    one.commits()
    stage.assert_serial()
    assert stage.values(x, y) == (12, 18)
    assert one.seen == [10, 120]


# -- G2-item: each writes what the other has only read


def test_g2_item_two_never_write_what_the_other_has_read(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(read(x), read(y))
    assert two.does(read(x)).waited
    two.does(read(y))
    one.does(write(x, 11))
    two.does(write(y, 21))
    one.commits()
    two.commits()
    stage.assert_serial()
    assert two.seen == [11, 20, None]


def test_g2_item_two_that_read_crosswise_never_both_write(set_stage: SetStage, places: list[str]) -> None:
    x, y, *_ = places
    stage = staged(set_stage, places)
    one, two = stage.transactions(2)
    one.does(read(x))
    two.does(read(y))
    one.does(add(y, 1))
    two.does(add(x, 1))
    one.commits()
    two.commits()
    stage.assert_serial()


def test_g2_item_three_never_write_in_a_circle_what_the_next_has_read(set_stage: SetStage, places: list[str]) -> None:
    cells = places[:3]
    stage = staged(set_stage, places)
    cast = stage.transactions(3)
    for number, performer in enumerate(cast):
        performer.does(read(cells[number]))
    for number, performer in enumerate(cast):
        performer.does(add(cells[(number + 1) % 3], number + 1))
    for performer in cast:
        performer.commits()
    stage.assert_serial()
    assert len(through(*cast)) >= 2
