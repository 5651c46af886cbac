"""From a command to its outcome, once: a request id that was answered before gets the first answer again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields

from pictact_actors.errors import InvalidValue
from pictact_actors.model import codec, keys
from pictact_actors.model.chores import Discard, Expire, Forget, Strike
from pictact_actors.model.commands import Command, CompleteMatch, Unchanged
from pictact_actors.model.records import OPEN_STATUSES, AnsweredRequest, Match, Record
from pictact_actors.model.removal import Emptied, StoredView, anew, discard, expire, forget, strike
from pictact_actors.model.rules import (
    NO_CHANGES,
    Outcome,
    Rule,
    View,
    When,
    closing,
    open_match,
    settle,
    standings,
)
from pictact_actors.model.rules import RULES as GAME_RULES

_DIGEST_BYTES = 16
RULES: Mapping[type[Command], Rule] = {
    **GAME_RULES,
    Expire: expire,
    Forget: forget,
    Discard: discard,
    Strike: strike,
}


def decide(command: Command, view: View, when: When) -> Outcome:
    """Return what a checked command leads to. Raises `Rejected` errors, after which nothing is to be written."""
    if command.request_id is None:
        return RULES[type(command)](command, view, when)
    answered = answered_before(command, view, when)
    if answered is not None:
        return answered
    outcome = RULES[type(command)](command, view, when)
    return Outcome(outcome.answer, {**outcome.changes, **answering(command, outcome.answer, when.now)})


def decide_anew(command: Command, post_id: str, view: StoredView, when: When) -> Outcome:
    """Decide a command for a post that is due: it is gone."""
    outcome = decide(command, Emptied(view, post_id), when)
    return Outcome(outcome.answer, anew(post_id, outcome.changes, view, when))


def answered_before(command: Command, view: View, when: When) -> Outcome | None:
    """Return the first answer to a request id, or None if it is new; a user's is, after its time.

    Raises `InvalidValue` if the id was used for a different command.
    """
    key = _request_key(command)
    request = None if key is None else view.get(key)
    if not isinstance(request, AnsweredRequest):
        return None
    if request.anchor == keys.LIFETIME and request.created_at <= when.now - when.request_expiry_s:
        return None
    if request.digest != digest(command):
        raise InvalidValue("requestId", command.request_id, "was used for a different command")
    return Outcome(_answer(request, command, view), NO_CHANGES)


def answering(command: Command, answer: object, now: float) -> Mapping[str, Record | None]:
    """Return the record that remembers an answer, to be written in the same commit as the command's effect."""
    key = _request_key(command)
    if key is None:
        return NO_CHANGES
    anchor, owner, request_id = keys.parse(key).ids
    shown = {"key": answer.key, "record": answer.to_dict()} if isinstance(answer, Record) else {}
    return {
        key: AnsweredRequest(
            str(anchor), str(owner), str(request_id), digest(command), shown, created_at=now, updated_at=now
        )
    }


def digest(command: Command) -> str:
    """Return a fingerprint of everything in a command but its request id, and what cannot be compared (a function)."""
    values = (getattr(command, f.name) for f in fields(command) if f.compare and f.name != "request_id")
    said = codec.dumps([command.NAME, *map(_plain, values)])
    return hashlib.blake2b(said, digest_size=_DIGEST_BYTES).hexdigest()


def crosses_groups(command: Command, view: View) -> bool:
    """Whether a command works on more than its own group: completing an open match settles its players."""
    if not isinstance(command, CompleteMatch):
        return False
    match = view.get(keys.match_key(command.post_id))
    return isinstance(match, Match) and match.status in OPEN_STATUSES


def participants(command: CompleteMatch, view: View) -> list[str]:
    """Return everybody whose lifetime completing a match changes."""
    return list(dict.fromkeys([*(at.user for at in standings(view, command.post_id)), *command.trophies]))


def complete(command: CompleteMatch, view: View, when: When, expiry_s: float) -> Outcome:
    """Complete an open match in one go, for a view that may read all its players' records."""
    match = closing(open_match(view, command.post_id), when.now, expiry_s)
    order = standings(view, command.post_id)
    places = {at.user: at for at in order}
    changes: dict[str, Record | None] = {match.key: match, **answering(command, order, when.now)}
    for user in participants(command, view):
        lifetime, played = view.get(keys.lifetime_key(user)), view.get(keys.history_key(user, command.post_id))
        won = tuple(command.trophies.get(user, ()))
        settled, entry = settle(lifetime, played, match, places.get(user), won, user)
        changes[settled.key] = settled
        if entry is not None:
            changes[entry.key] = entry
    return Outcome(order, changes)


def _answer(request: AnsweredRequest, command: Command, view: View) -> object:
    if isinstance(command, CompleteMatch):
        return standings(view, command.post_id)
    if not request.answer:
        return None
    key, shown = request.answer["key"], request.answer["record"]
    return codec.from_dict(str(key), shown)  # type: ignore[arg-type]  # checked when it was decoded


def _request_key(command: Command) -> str | None:
    """Return the key that the answer to this command is kept under, if it bears a request id."""
    return None if command.request_id is None else keys.request_key(command.group, command.request_id)


def _plain(value: object) -> object:
    """Turn the values of a command into plain data, the same for every way to write them."""
    if isinstance(value, Unchanged):
        return {"unchanged": True}
    if isinstance(value, Record):
        return _plain(value.to_dict())
    if isinstance(value, Mapping):
        return {name: _plain(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
