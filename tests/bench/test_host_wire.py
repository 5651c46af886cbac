"""Every error of the store has a status, and says what the client can do next."""

from __future__ import annotations

import inspect

import pytest

from bench.hosts.wire import AGAIN, STATUSES, BadRequest, fields_of, refusal, whole
from pictact_actors import errors
from pictact_actors.errors import OutcomeUnknown, Overloaded, Rejected, StoreError, StoreFailed

FAMILIES = (Rejected, OutcomeUnknown, StoreFailed)
ERRORS = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, FAMILIES) and cls not in FAMILIES and cls.__module__ == errors.__name__
]


def made(cls: type[StoreError]) -> StoreError:
    """Make an error whatever its fields are."""
    given = {"shard": 1, "depth": 9, "age_s": 2.5, "timeout_s": 5.0, "from_seq": 1, "first_seq": 2}
    return cls(*(given.get(name, "something") for name in inspect.signature(cls).parameters))


@pytest.mark.parametrize("cls", ERRORS)
def test_every_error_becomes_a_status_of_its_family(cls: type[StoreError]) -> None:
    status, body, headers = refusal(made(cls))
    assert status < 500 if issubclass(cls, Rejected) and status not in {503, 507} else status in {503, 507}
    assert body["error"] == cls.__name__
    assert ("Retry-After" in headers) == (status in AGAIN)
    assert str(body["outcome"]).startswith("unknown") == issubclass(cls, OutcomeUnknown)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("InvalidKey", 400),
        ("InvalidValue", 400),
        ("NotFound", 404),
        ("AlreadyExists", 409),
        ("MatchClosed", 409),
        ("Quarantined", 422),
        ("Overloaded", 429),
        ("ShardRestarted", 503),
        ("StorageFull", 507),
        ("RequestTimeout", 503),
        ("CommitFailed", 503),
        ("ShardFailed", 503),
    ],
)
def test_the_status_says_what_happened(name: str, status: int) -> None:
    assert refusal(made(getattr(errors, name))).status == status


def test_who_was_too_many_comes_back_after_the_queue_is_through() -> None:
    assert refusal(Overloaded(0, 9, 2.5)).headers == {"Retry-After": "3"}
    assert refusal(Overloaded(0, 9, 0.001)).headers == {"Retry-After": "1"}


def test_an_unknown_outcome_asks_for_the_same_request_again() -> None:
    assert "same id" in str(refusal(errors.RequestTimeout(5.0)).body["outcome"])


def test_every_family_has_a_status() -> None:
    assert set(FAMILIES) <= STATUSES.keys()


@pytest.mark.parametrize("body", [b"[", b"[]", b"7", b"\xff", b"[" * 200_000])
def test_a_body_that_is_no_json_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        fields_of(body)


def test_numbers_in_paths_are_whole() -> None:
    assert whole("index", "7") == 7
    for text in ("x", "", "1.5", "9" * 5_000):
        with pytest.raises(BadRequest, match="index"):
            whole("index", text)
