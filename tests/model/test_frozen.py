"""The quick constructor of records and messages does what the one of dataclasses does."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import dataclass, field, fields, replace

import pytest
from generated import BY_CLASS
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors.model.commands import COMMANDS, PutMany
from pictact_actors.model.frozen import frozen
from pictact_actors.model.records import RECORDS, Player, Record, Score, Standing
from pictact_actors.model.updating import Update

CLASSES = [*RECORDS.values(), *COMMANDS.values(), PutMany, Update, Standing, Player]


@frozen
class Quick:
    first: int
    second: str = "two"
    listed: list[int] = field(default_factory=list)
    named: int = field(kw_only=True)
    named_too: int = field(default=4, kw_only=True)


@dataclass(frozen=True, slots=True)
class Plain:
    first: int
    second: str = "two"
    listed: list[int] = field(default_factory=list)
    named: int = field(kw_only=True)
    named_too: int = field(default=4, kw_only=True)


@pytest.mark.parametrize(
    ("positional", "keyword"),
    [((1,), {"named": 3}), ((1, "x", [7]), {"named": 3, "named_too": 5}), ((), {"first": 1, "named": 2})],
    ids=str,
)
def test_it_takes_what_the_plain_one_takes(positional: tuple[object, ...], keyword: dict[str, object]) -> None:
    quick, plain = Quick(*positional, **keyword), Plain(*positional, **keyword)
    assert repr(quick).replace("Quick", "Plain") == repr(plain)
    assert [getattr(quick, f.name) for f in fields(quick)] == [getattr(plain, f.name) for f in fields(plain)]


@pytest.mark.parametrize(
    ("positional", "keyword"),
    [((), {}), ((1,), {}), ((1, "x", [], 3), {}), ((1,), {"named": 2, "colour": 3}), ((1,), {"first": 1, "named": 2})],
    ids=str,
)
def test_it_refuses_what_the_plain_one_refuses(positional: tuple[object, ...], keyword: dict[str, object]) -> None:
    for cls in (Quick, Plain):
        with pytest.raises(TypeError):
            cls(*positional, **keyword)


def test_each_gets_a_default_of_its_own() -> None:
    assert Quick(1, named=2).listed is not Quick(1, named=2).listed


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_shows_its_parameters_in_the_order_of_its_fields(cls: type) -> None:
    assert list(inspect.signature(cls).parameters) == [f.name for f in fields(cls)]


@given(st.one_of(*BY_CLASS.values()))
def test_a_copy_of_a_record_equals_it(record: Record) -> None:
    assert replace(record) == record
    assert copy.copy(record) == record


def test_a_record_without_maps_survives_pickling() -> None:
    score = Score("t3_a", "ann", 1.5, 2)
    assert pickle.loads(pickle.dumps(score)) == score  # noqa: S301 - our own bytes
