"""What both hosts say over HTTP: JSON in, JSON out, and errors as statuses that tell the client what to do next.

family           status                                  what the client does
Rejected         400 404 409 422: it was not applied     changes the request
                 429 503 507: it was not applied         sends it again, 429 and 503 after `Retry-After` (s)
OutcomeUnknown   503: it may have been applied           repeats it with the same id: it counts once
StoreFailed      503: it was not applied                 waits until the host was restarted
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple, Protocol, TypeVar

from pictact_actors import (
    AlreadyExists,
    ConflictAborted,
    DeadlockAborted,
    MatchClosed,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    Quarantined,
    Rejected,
    ShardRestarted,
    StorageFull,
    StoreClosed,
    StoreError,
    StoreFailed,
)

T = TypeVar("T")

STATUSES: Mapping[type[Exception], int] = {
    Rejected: 400,  # InvalidKey, InvalidValue
    NotFound: 404,
    AlreadyExists: 409,
    MatchClosed: 409,
    ConflictAborted: 409,
    DeadlockAborted: 409,
    Quarantined: 422,
    Overloaded: 429,
    ShardRestarted: 503,
    StoreClosed: 503,
    StorageFull: 507,
    OutcomeUnknown: 503,
    StoreFailed: 503,
}
OUTCOMES: Mapping[type[Exception], str] = {
    Rejected: "not applied",
    OutcomeUnknown: "unknown: repeat the request with the same id",
    StoreFailed: "not applied, and nothing will be until the host is restarted",
}
AGAIN = (429, 503)
RETRY_S = 1


class BadRequest(Exception):
    """A request that the store never sees, with the status of its answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Refusal(NamedTuple):
    """The answer to a request that failed."""

    status: int
    body: dict[str, object]
    headers: dict[str, str]


class Shown(Protocol):
    """A record, a standing, a player: whatever has camelCase fields."""

    def to_dict(self) -> dict[str, object]: ...


def refusal(error: StoreError | BadRequest) -> Refusal:
    """Return the answer that an error makes."""
    body: dict[str, object] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, BadRequest):
        return Refusal(error.status, {**body, "outcome": OUTCOMES[Rejected]}, {})
    status, outcome = _nearest(STATUSES, error), _nearest(OUTCOMES, error)
    retry_s = ceil(error.age_s) if isinstance(error, Overloaded) else RETRY_S
    headers = {"Retry-After": str(max(retry_s, RETRY_S))} if status in AGAIN else {}
    return Refusal(status, {**body, "outcome": outcome}, headers)


def fields_of(body: bytes) -> dict[str, object]:
    """Return the fields of a JSON object; an empty body has none. Raises `BadRequest`."""
    try:
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest("the body must be a JSON object")
    return fields


def shown(answer: Shown | Iterable[Shown]) -> object:
    """Return what the store answered, ready for JSON."""
    return [line.to_dict() for line in answer] if isinstance(answer, Iterable) else answer.to_dict()


def whole(name: str, text: str) -> int:
    """Return a whole number from a path, a query or a comment. Raises `BadRequest`."""
    try:
        return int(text)
    except ValueError as error:
        raise BadRequest(f"{name} must be a whole number") from error


def _nearest(table: Mapping[type[Exception], T], error: Exception) -> T:
    return next(table[cls] for cls in type(error).__mro__ if cls in table)
