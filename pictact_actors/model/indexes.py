"""Indexes: keys that say in their order what records say in their fields. Written in the same commit as the records.

    due key = "due:" basis ":" time ":" id          time = epoch seconds, so that keys are in order of time

    basis       id           time                                found there
    completed   post         when it expires                     matches that are over, also idle ones being removed
    cancelled   post         when it was cancelled               the same
    idle        post         when the match itself last changed  open matches that nobody plays any more
    observed    post:seq     when it was observed                details of analytics
    answered    user         the hour of a request               answers to requests of a user
    audited     audit's ids  when the removal began              entries of the audit

The order of all players is another one: `totals.py`.

Index keys have empty values, and only what is written here ever writes or removes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pictact_actors.model import keys
from pictact_actors.model.records import (
    CANCELLED,
    OPEN_STATUSES,
    AnsweredRequest,
    Audit,
    Lifetime,
    Match,
    Observation,
    Record,
)
from pictact_actors.model.totals import top_keys
from pictact_actors.model.validate import Number

HOUR_S = 3_600.0
INDEXED: Final = frozenset({Match, Observation, AnsweredRequest, Audit, Lifetime})
"""The records that are found through an index."""
KINDS: Final = ("match:", "observation:", "request:", "audit:", "lifetime:")
"""How their keys begin."""
SHARED: Final = "due:answered:"
"""How the index keys begin that several records may lead to. One may outlive them."""
_NOTHING: Mapping[str, bytes | None] = {}
_ENTRY = b""


def index_keys(record: Record) -> tuple[str, ...]:
    """Return the index keys of a record."""
    match record:
        case Match():
            return (_match_key(record),)
        case Observation():
            return (due_key("observed", record.created_at, f"{record.post_id}:{record.seq}"),)
        case AnsweredRequest() if record.anchor == keys.LIFETIME:
            return (due_key("answered", _hour(record.created_at), record.owner),)
        case Audit():
            return (due_key("audited", record.created_at, record.key.partition(":")[2]),)
        case Lifetime():
            return top_keys(record)
    return ()


def reindexed(before: Record | None, after: Record | None) -> Mapping[str, bytes | None]:
    """Return the changes of the indexes that follow from a record's change. Shared keys are never removed here."""
    if after is not None and after.__class__ not in INDEXED:
        return _NOTHING
    old = () if before is None or isinstance(before, AnsweredRequest) else index_keys(before)
    new = () if after is None else index_keys(after)
    return {**{key: None for key in old if key not in new}, **{key: _ENTRY for key in new if key not in old}}


def due_key(basis: str, time: Number, owner: str) -> str:
    """Return an index key for something that is due at, or some time after, `time` (epoch seconds)."""
    return f"due:{basis}:{keys.time_text(time)}:{owner}"


def due_parts(key: str) -> tuple[str, float, str]:
    """Take such a key apart: basis, time, owner."""
    _, basis, time, owner = key.split(":", 3)
    return basis, float(time), owner


def _match_key(match: Match) -> str:
    if match.status not in OPEN_STATUSES and match.expires_at is not None:
        return due_key("completed", match.expires_at, match.post_id)
    return due_key("cancelled" if match.status == CANCELLED else "idle", match.updated_at, match.post_id)


def _hour(time: Number) -> float:
    """Return the beginning of the hour."""
    return time // HOUR_S * HOUR_S
