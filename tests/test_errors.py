"""The errors: sorted by what the caller does next, readable whatever they report."""

from __future__ import annotations

import inspect
import pickle

import pytest

from pictact_actors import errors
from pictact_actors.errors import OutcomeUnknown, Rejected, StoreError, StoreFailed

FAMILIES = (Rejected, OutcomeUnknown, StoreFailed)
CONTRACT = {
    Rejected: (
        "InvalidKey InvalidValue NotFound AlreadyExists MatchClosed Overloaded DeadlockAborted ConflictAborted "
        "ShardRestarted StorageFull StoreClosed StoreLocked"
    ),
    OutcomeUnknown: "RequestTimeout CommitFailed",
    StoreFailed: "StoreFailed",
}
ALL = [
    errors.StoreFailed("disk gone"),
    errors.StoreDamaged("journal/7: frame 3"),
    errors.InvalidKey("a:b", "no colons"),
    errors.InvalidValue("points", None, "must be a number"),
    errors.NotFound("match:t3_a"),
    errors.AlreadyExists("match:t3_a"),
    errors.EntriesGone(1, 17),
    errors.MatchClosed("t3_a", "completed"),
    errors.Overloaded(3, 100, 1.5),
    errors.DeadlockAborted("a waits for b waits for a"),
    errors.ConflictAborted("match:t3_a changed"),
    errors.ShardRestarted(2, "hung"),
    errors.ShardFailed(2, "hung"),
    errors.Quarantined("AwardPoints", "hung"),
    errors.StorageFull("no space left on device"),
    errors.StoreClosed(),
    errors.StoreLocked("game-data", "process 7"),
    errors.NotAStore("game-data", "a file"),
    errors.BackupInvalid("backups/7.backup", "it is empty"),
    errors.RequestTimeout(5.0),
    errors.CommitFailed("input/output error"),
]


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")


def classes() -> set[type[StoreError]]:
    found = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__}
    return found - {StoreError, Rejected, OutcomeUnknown}


def test_every_error_stands_in_exactly_one_family() -> None:
    assert {cls: sum(issubclass(cls, family) for family in FAMILIES) for cls in classes()} == dict.fromkeys(
        classes(), 1
    )


@pytest.mark.parametrize("family", CONTRACT)
def test_the_families_hold_what_the_contract_says(family: type[StoreError]) -> None:
    assert all(issubclass(getattr(errors, name), family) for name in CONTRACT[family].split())


def test_the_samples_of_this_file_are_complete() -> None:
    assert {type(error) for error in ALL} == classes()


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_an_error_carries_its_fields_and_a_message_for_people(error: StoreError) -> None:
    fields = inspect.signature(type(error).__init__).parameters.keys() - {"self"}
    assert type(error).__name__ == "StoreClosed" or fields <= error.__dict__.keys()
    assert len(str(error)) > 20
    assert type(error).__doc__


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: StoreError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)


@pytest.mark.parametrize(
    "value",
    [Hostile(), "é🏆", "\ud800", "a\nERROR forged line", "\x1b[2J", "x" * 10**7, list(range(10**6)), 10**5000],
    ids=["hostile repr", "not ASCII", "lone surrogate", "newline", "escape", "long text", "long list", "long number"],
)
def test_a_message_is_one_short_printable_line_whatever_it_reports(value: object) -> None:
    for error in (errors.InvalidKey(value, "no"), errors.InvalidValue("theme", value, "no")):
        assert str(error).isprintable()
        assert str(error).isascii()
        assert len(str(error)) < 200


def test_a_value_nested_for_ever_is_reported_too() -> None:
    value: list[object] = []
    value.append(value)
    assert "no" in str(errors.InvalidValue("theme", value, "no"))
