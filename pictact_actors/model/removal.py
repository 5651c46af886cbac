"""Removing what is due: pure functions, decided by the actor that owns the group, in bounded steps.

A match goes with its rounds, scores, analytics and answered requests; the match itself goes last, so that a removal
that was interrupted goes on. What a player has for ever (lifetime, history, trophies) is in another group and is never
touched; details of observations are archived in their own time. What is removed is counted in the audit, in the same
commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, NamedTuple, Protocol

from pictact_actors.model import indexes, keys
from pictact_actors.model.chores import Discard, Expire, Forget, Strike, Sweep
from pictact_actors.model.details import is_same
from pictact_actors.model.records import CANCELLED, IDLE, OPEN_STATUSES, Audit, Match, Record
from pictact_actors.model.rules import NO_CHANGES, Outcome, View, When

HIDDEN: Final = frozenset({keys.MATCH, keys.ROUND, keys.SCORE, keys.ANALYTICS})
"""The kinds of records that are gone with their match, from the second on when it is due."""
ALL: Final = 2**53
"""A limit that removes everything in one step."""


class Removal(NamedTuple):
    """What a step removed, in records, and whether there is nothing left to do; `last` is where to go on."""

    records: int
    done: bool
    last: str = ""


NOTHING_DUE = Removal(0, done=True)


def expire(command: Expire, view: StoredView, when: When) -> Outcome:
    """Remove up to `limit` records of a match that is due; with the last of them the match, and say so in the audit.

    An open match counts from the last change of anything of it; if that is not so long ago, the match is told.
    """
    latest = max(times_of_changes(command, view), default=0.0) if may_be_idle(command, view, when) else 0.0
    return expire_examined(command, latest, view, when)


def may_be_idle(command: Expire, view: View, when: When) -> bool:
    """Whether an open match itself has not changed for long enough, so that all that goes with it is to be examined."""
    found = view.get(keys.match_key(command.post_id))
    return isinstance(found, Match) and found.status in OPEN_STATUSES and due_time(found, when) <= when.now


def times_of_changes(command: Expire, view: View) -> Iterator[float]:
    """Yield when each record that goes with a match was changed."""
    for prefix in _prefixes(command.post_id):
        for record in view.scan(prefix):
            yield float(record.updated_at)
    analytics = view.get(keys.analytics_key(command.post_id))
    if analytics is not None:
        yield float(analytics.updated_at)


def expire_examined(command: Expire, latest: float, view: StoredView, when: When) -> Outcome:
    """Do the same, knowing when the latest change was of what goes with an open match (epoch s)."""
    found = view.get(keys.match_key(command.post_id))
    if not isinstance(found, Match) or due_time(found, when) > when.now:
        return Outcome(NOTHING_DUE, NO_CHANGES)
    if found.status in OPEN_STATUSES and latest > when.now - when.match_idle_s:
        return Outcome(NOTHING_DUE, {found.key: replace(found, updated_at=latest)})
    return _removed(found, view, when, command.limit, command.after)


def forget(command: Forget, view: View, when: When) -> Outcome:
    """Remove answers to a user's requests that are old enough; with the last of them the index entry of their hour."""
    until = when.now - when.request_expiry_s
    answered = (record for record in view.scan(f"request:{command.group}:") if record.created_at <= until)
    taken = list(islice(answered, command.limit))
    changes = _swept(command.sweep, taken, view, when)
    done = len(taken) < command.limit
    if done:
        changes[indexes.due_key("answered", command.hour, command.user)] = None
    return Outcome(Removal(len(taken), done), changes)


def discard(command: Discard, view: View, when: When) -> Outcome:
    """Remove details of analytics that are still what they were when they were read."""
    taken = [detail for detail in command.details if is_same(detail, view.get(detail.key))]
    return Outcome(Removal(len(taken), done=True), _swept(command.sweep, taken, view, when))


def strike(command: Strike, view: View, _when: When) -> Outcome:
    """Remove an entry of the audit that is old enough."""
    found = view.get(command.key)
    if found is None or found.updated_at > command.until:
        return Outcome(NOTHING_DUE, NO_CHANGES)
    return Outcome(Removal(1, done=True), {command.key: None})


class Emptied:
    """A view in which a post is gone already."""

    def __init__(self, view: View, post_id: str) -> None:
        self._view = view
        self._post_id = post_id

    def get(self, key: str) -> Record | None:
        """Return the record under a key, unless it belongs to the post."""
        return None if self._hides(key) else self._view.get(key)

    def scan(self, prefix: str) -> Iterator[Record]:
        """Yield the records under a prefix that do not belong to the post."""
        return (record for record in self._view.scan(prefix) if not self._hides(record.key))

    def _hides(self, key: str) -> bool:
        return goes_with((self._post_id,), key)


def goes_with(posts: Container[str], key: str) -> bool:
    """Whether a record goes with the match of one of these posts."""
    kind, owner, *rest = key.split(":", 3)
    if kind == keys.REQUEST:
        return owner == keys.MATCH and rest[0] in posts
    return owner in posts and kind in HIDDEN


def anew(
    post_id: str, changes: Mapping[str, Record | None], view: StoredView, when: When
) -> Mapping[str, Record | None]:
    """Return changes as they are where the match of a post is due: gone, though something of it is left.

    For a new match room is made, at once. Without one, what would go with the old match is as good as gone, too.
    """
    found = view.get(keys.match_key(post_id))
    if changes.get(keys.match_key(post_id)) is None:
        return {key: record for key, record in changes.items() if not goes_with((post_id,), key)}
    if not isinstance(found, Match):
        return changes
    return {**_removed(found, view, when, ALL, "").changes, **changes}


def due_time(match: Match, when: When) -> float:
    """Return when a match is due, epoch seconds."""
    if match.status not in OPEN_STATUSES and match.expires_at is not None:
        return match.expires_at
    return match.updated_at + (when.match_expiry_s if match.status == CANCELLED else when.match_idle_s)


class StoredView(View, Protocol):
    """A view that can tell keys without reading what is under them."""

    def keys(self, prefix: str, after: str | None) -> Iterator[str]:
        """Yield the keys that begin with `prefix` and come behind `after`, in order."""
        ...


def belongings(view: StoredView, post_id: str, after: str = "") -> Iterator[str]:
    """Yield the keys of everything that goes with a match, but not the match's; only those behind a key `after`.

    To begin behind what is removed already saves the state from passing over it each time.
    """
    begun = not after
    for prefix in _prefixes(post_id):
        if begun or after.startswith(prefix):
            yield from view.keys(prefix, None if begun else after)
            begun = True
    if view.get(keys.analytics_key(post_id)) is not None:
        yield keys.analytics_key(post_id)


def _prefixes(post_id: str) -> tuple[str, ...]:
    return f"score:{post_id}:", f"round:{post_id}:", f"request:match:{post_id}:"


def _removed(match: Match, view: StoredView, when: When, limit: int, after: str) -> Outcome:
    """Remove up to `limit` records; with the last of them the match.

    Nobody may play on in a match that is half removed: one that was open until now is over from the first step on.
    """
    due_at = due_time(match, when)
    taken = list(islice(belongings(view, match.post_id, after), limit))
    changes: dict[str, Record | None] = dict.fromkeys(taken)
    done = len(taken) < limit
    if done:
        changes[match.key] = None
    elif match.status in OPEN_STATUSES:
        changes[match.key] = replace(match, status=CANCELLED, expires_at=due_at)
    audit = _audited(match, due_at, taken, view, when, done=done)
    changes[audit.key] = audit
    return Outcome(Removal(len(taken) + done, done, "" if done else taken[-1]), changes)


def _audited(match: Match, due_at: float, taken: Sequence[str], view: View, when: When, *, done: bool) -> Audit:
    """Return what the audit says about the removal of a match after this step."""
    reason = match.status if match.status not in OPEN_STATUSES else IDLE
    if match.status == CANCELLED and match.expires_at is not None:  # by the first step
        reason = IDLE
    before = _entry(due_at, reason, match.post_id, view, when.now)
    counts = _counted(before.removed, [*taken, match.key] if done else taken)
    return replace(before, subreddit=match.subreddit, theme=match.theme, removed=counts, done=done, updated_at=when.now)


def _swept(sweep: Sweep, taken: Sequence[Record], view: View, when: When) -> dict[str, Record | None]:
    """Return the changes that remove some records, and what the audit says about all that a shard removed so far."""
    if not taken:
        return {}
    before = _entry(sweep.time, sweep.reason, sweep.owner, view, sweep.time)
    counts = _counted(before.removed, [record.key for record in taken])
    audit = replace(before, archive=sweep.archive, removed=counts, done=True, updated_at=when.now)
    return {**{record.key: None for record in taken}, audit.key: audit}


def _entry(due_at: float, reason: str, owner: str, view: View, began: float) -> Audit:
    """Return an entry of the audit as it is, or a new one for a removal that began then."""
    found = view.get(keys.audit_key(due_at, reason, owner))
    if isinstance(found, Audit):
        return found
    return Audit(keys.time_text(due_at), reason, owner, due_at=due_at, created_at=began)


def _counted(before: Mapping[str, int], taken: Iterable[str]) -> Mapping[str, int]:
    """Return the numbers of records of each kind, with those under the keys taken."""
    return Counter(before) + Counter(key.partition(":")[0] for key in taken)
