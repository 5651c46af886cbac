"""What can be asked from afar, with which arguments, and how each answer is cut into items and put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pictact_actors.console.desk import Commit, Desk, Fields
from pictact_actors.console.wire import VERSION
from pictact_actors.errors import InvalidValue, StoreError

_TEXT, _COUNT, _TIME = (str,), (int,), (int, float)
_NOTHING = (type(None),)
OFFERS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "get": {"key": _TEXT},
    "leaderboard": {"post_id": _TEXT + _NOTHING, "by": _TEXT + _NOTHING, "limit": _COUNT, "offset": _COUNT},
    "player": {"user": _TEXT},
    "log": {"from_seq": _COUNT + _NOTHING, "key": _TEXT + _NOTHING, "user": _TEXT + _NOTHING},
    "stats": {},
    "check": {},
    "backup": {"directory": _TEXT + _NOTHING},
    "cleanup": {},
    "audit": {"since": _TIME + _NOTHING, "limit": _COUNT + _NOTHING},
}
"""Commands, and the types of their arguments; all have to be given."""
LONG = frozenset({"log", "check", "backup", "cleanup", "audit"})
"""What may take minutes."""


def answered(desk: Desk, question: Fields) -> Iterator[object]:
    """Yield the answer of a desk in items. Raises `InvalidValue` for what is not offered."""
    if question.get("version") != VERSION:
        raise InvalidValue(
            "version", question.get("version"), f"is not that of the store, {VERSION}: use its own pictact"
        )
    command = str(question.get("command"))
    arguments = _checked(command, question.get("arguments"))
    answer = getattr(desk, command)(**arguments)
    if command == "log":
        for commit in answer:
            yield from _items_of(commit)
    elif command == "player":
        yield answer["lifetime"]
        yield from answer["matches"]
    elif isinstance(answer, Mapping):
        yield answer
    else:
        yield from answer


def _checked(command: str, arguments: object) -> dict[str, Any]:
    expected = OFFERS.get(command)
    if expected is None:
        raise InvalidValue("command", command, f"is none of {', '.join(OFFERS)}")
    if not isinstance(arguments, dict) or arguments.keys() != expected.keys():
        raise InvalidValue("arguments", arguments, f"must be {', '.join(expected) or 'none'}")
    for name, value in arguments.items():
        if type(value) not in expected[name]:
            raise InvalidValue(name, value, "is of another type")
    return arguments


def _items_of(commit: Commit) -> Iterator[object]:
    """Cut a commit into its records: there may be many."""
    yield {**commit.to_dict(), "keys": len(commit.records), "changes": {}, "old": {}}
    for key, record in commit.records.items():
        yield {"key": key, "new": record, **({"old": commit.old[key]} if key in commit.old else {})}


def commits_of(items: Iterable[object]) -> Iterator[Commit]:
    """Put commits together again. Raises `StoreError` for anything else."""
    source: Iterator[Any] = iter(items)
    for head in source:
        try:
            changes = [next(source) for _ in range(head["keys"])]
            commit = Commit(head["seq"], head["ts"], head["cause"], head["requestId"], {}, {})
            records = {change["key"]: change["new"] for change in changes}
            old = {change["key"]: change["old"] for change in changes if "old" in change}
        except (KeyError, TypeError, StopIteration) as error:
            raise StoreError(f"the answer does not read: {error!r}") from error
        yield replace(commit, records=records, old=old)
