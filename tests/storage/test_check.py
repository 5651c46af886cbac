"""The checker: whatever differs between state and journal is found, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from commits import GROUPS, Put, applied
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors import StoreDamaged
from pictact_actors.storage.check import state_problems
from pictact_actors.storage.engine import Entry, Problem

Records = dict[str, bytes]
ENTRIES = [Entry(1, 0.0, "put_many", None, {"a": b"1", "b": b"1"}), Entry(2, 0.0, "put_many", None, {"b": None})]


def problems(records: Records, entries: list[Entry], last_seq: int | None = None) -> list[Problem]:
    last = len(entries) if last_seq is None else last_seq
    return list(state_problems(sorted(records.items()), lambda: iter(entries), last))


@given(st.lists(GROUPS, max_size=5), st.data())
def test_what_the_journal_leads_to_is_clean_at_every_moment(groups: list[list[Put]], data: st.DataObject) -> None:
    commits = [commit for group in groups for commit in group]
    entries = [Entry(seq, 0.0, commit.cause, None, commit.changes) for seq, commit in enumerate(commits, 1)]
    moment = data.draw(st.integers(0, len(entries)), label="seq")
    assert problems(applied(entries[:moment]), entries, moment) == []


@pytest.mark.parametrize(
    ("records", "key", "detail"),
    [
        ({}, "a", "missing from the state"),
        ({"a": b"1", "b": b"1"}, "b", "no commit wrote it"),
        ({"a": b"2"}, "a", "another value"),
        ({"a": b"1", "c": b"1"}, "c", "no commit wrote it"),
    ],
)
def test_a_record_that_differs_is_named(records: Records, key: str, detail: str) -> None:
    (problem,) = problems(records, ENTRIES)
    assert (problem.kind, problem.key, detail in problem.detail) == ("state", key, True)


def test_a_gap_in_the_sequence_is_named() -> None:
    gap = [ENTRIES[0], ENTRIES[1]._replace(seq=3)]
    (problem,) = problems({"a": b"1"}, gap, 3)
    assert (problem.kind, problem.key) == ("sequence", "seq:3")


def test_a_journal_that_ends_too_early_is_named() -> None:
    (problem,) = problems({"a": b"1"}, ENTRIES, 5)
    assert (problem.kind, problem.key, "5 were committed" in problem.detail) == ("sequence", "seq:2", True)


def damaged() -> Iterator[Entry]:
    yield ENTRIES[0]
    raise StoreDamaged("0000000001.journal is broken at byte 99")


def scanned() -> Iterator[tuple[str, bytes]]:
    yield "a", b"1"
    raise StoreDamaged("000005.ldb is corrupt")


@pytest.mark.parametrize(
    ("records", "entries", "what"),
    [(list, damaged, "byte 99"), (scanned, lambda: iter(ENTRIES), "000005.ldb")],
)
def test_damage_is_a_problem_and_not_an_error(
    records: Callable[[], Iterator[tuple[str, bytes]]], entries: Callable[[], Iterator[Entry]], what: str
) -> None:
    found = list(state_problems(records(), entries, 2))
    assert [(problem.kind, what in problem.detail) for problem in found] == [("damage", True)]
