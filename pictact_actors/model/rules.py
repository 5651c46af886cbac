"""What each command does to the records of its group: pure functions, tested without a thread.

A rule reads through a `View`, and returns an `Outcome`: the caller's answer and the records to write (`None` deletes).
It raises a `Rejected` error when the command may not be applied. Rules never look at the time; it is in `When`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

from pictact_actors.errors import AlreadyExists, InvalidValue, MatchClosed, NotFound
from pictact_actors.model import keys
from pictact_actors.model.commands import (
    AddTrophy,
    AwardPoints,
    CancelMatch,
    CloseRound,
    Command,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    RecordAnalytics,
    UpdateMatch,
    UpdateRound,
    changed_fields,
)
from pictact_actors.model.ranking import place, ranked
from pictact_actors.model.records import (
    CANCELLED,
    COMPLETED,
    NO_SAMPLES,
    OPEN_STATUSES,
    Analytics,
    Lifetime,
    Match,
    Observation,
    PlayedMatch,
    Record,
    Round,
    Score,
    Standing,
    Texts,
    camel,
)
from pictact_actors.model.updating import Update
from pictact_actors.model.validate import NUMBER_MAX, TEXTS_MAX, Number

N = TypeVar("N", int, float)
DAY_S = 86_400.0


class View(Protocol):
    """The records a rule may read: what is committed, and what was decided before it."""

    def get(self, key: str) -> Record | None:
        """Return the record under a key, or None."""
        ...

    def scan(self, prefix: str) -> Iterator[Record]:
        """Yield the records whose keys begin with `prefix`, in key order."""
        ...


class When(NamedTuple):
    """The time of a decision. `unique()` gives a time of its own that orders decisions within one `now`.

    The periods (s) say how long things live from then on.
    """

    now: float
    unique: Callable[[], float]
    match_expiry_s: float = 7 * DAY_S
    match_idle_s: float = 90 * DAY_S
    request_expiry_s: float = 7 * DAY_S


class Outcome(NamedTuple):
    """What a command leads to: the answer, and the records to write."""

    answer: object
    changes: Mapping[str, Record | None]


NO_CHANGES: Mapping[str, Record | None] = MappingProxyType({})


def create_match(command: CreateMatch, view: View, when: When) -> Outcome:
    """Create a match."""
    key = keys.match_key(command.post_id)
    if view.get(key) is not None:
        raise AlreadyExists(key)
    match = Match(
        command.post_id,
        command.status,
        command.subreddit,
        command.rounds_total,
        theme=command.theme,
        created_by=command.created_by,
        created_at=when.now,
        updated_at=when.now,
    )
    return Outcome(match, {key: match})


def update_match(command: UpdateMatch, view: View, when: When) -> Outcome:
    """Change fields of an open match."""
    match = open_match(view, command.post_id)
    match = replace(match, **changed_fields(command), updated_at=when.now)  # type: ignore[arg-type]  # the command is checked
    return Outcome(match, {match.key: match})


def cancel_match(command: CancelMatch, view: View, when: When) -> Outcome:
    """Cancel an open match; once is enough."""
    key = keys.match_key(command.post_id)
    match = view.get(key)
    if isinstance(match, Match) and match.status == CANCELLED:
        return Outcome(match, NO_CHANGES)
    match = replace(open_match(view, command.post_id), status=CANCELLED, updated_at=when.now)
    return Outcome(match, {key: match})


def create_round(command: CreateRound, view: View, when: When) -> Outcome:
    """Create a round and move the match to it."""
    match = open_match(view, command.post_id)
    key = keys.round_key(command.post_id, command.index)
    if view.get(key) is not None:
        raise AlreadyExists(key)
    opened = Round(
        command.post_id,
        command.index,
        command.prompt_text,
        Texts(command.reference_images),
        command.start_ts,
        command.end_ts,
        created_at=when.now,
        updated_at=when.now,
    )
    moved = replace(match, current_round=command.index, updated_at=when.now)
    return Outcome(opened, {key: opened, moved.key: moved})


def update_round(command: UpdateRound, view: View, when: When) -> Outcome:
    """Change fields of a round of an open match; what closing decided stays."""
    open_match(view, command.post_id)
    before = _round(view, command.post_id, command.index)
    changed = changed_fields(command)
    if before.closed:
        for name in ("closed", "winner_user", "winner_comment_id"):
            if name in changed and changed[name] != getattr(before, name):
                raise InvalidValue(camel(name), changed[name], "cannot change: the round is closed")
    after = replace(before, **changed, updated_at=when.now)  # type: ignore[arg-type]  # the command is checked
    if after.end_ts < after.start_ts:
        raise InvalidValue("endTs", after.end_ts, f"must not be before startTs ({after.start_ts})")
    return Outcome(after, {after.key: after})


def close_round(command: CloseRound, view: View, when: When) -> Outcome:
    """Close a round and pay its winner; a closed round is returned as it is."""
    open_match(view, command.post_id)
    before = _round(view, command.post_id, command.index)
    if before.closed:
        return Outcome(before, NO_CHANGES)
    closed = replace(
        before,
        closed=True,
        winner_user=command.winner_user,
        winner_comment_id=command.winner_comment_id,
        updated_at=when.now,
    )
    changes: dict[str, Record | None] = {closed.key: closed}
    if command.winner_user is not None:
        key = keys.score_key(command.post_id, command.winner_user)
        changes[key] = _added(view, key, command.post_id, command.winner_user, command.points, 1, when)
    return Outcome(closed, changes)


def award_points(command: AwardPoints, view: View, when: When) -> Outcome:
    """Add points and wins to a score."""
    post_id = command.post_id
    match = view.get(f"match:{post_id}")
    if match.__class__ is not Match or match.status not in OPEN_STATUSES:
        open_match(view, post_id)  # says what is wrong
    key = f"score:{post_id}:{command.user}"
    score = _added(view, key, post_id, command.user, command.points, command.wins, when)
    return Outcome(score, {key: score})


def add_trophy(command: AddTrophy, view: View, when: When) -> Outcome:
    """Append a trophy that the player does not hold yet."""
    key = keys.lifetime_key(command.user)
    before = lifetime_of(view.get(key), command.user, when.now)
    if command.trophy in before.trophies:
        return Outcome(before, NO_CHANGES)
    after = replace(before, trophies=_held(before.trophies, (command.trophy,)), updated_at=when.now)
    return Outcome(after, {key: after})


def record_analytics(command: RecordAnalytics, view: View, when: When) -> Outcome:
    """Fold one observation into the running means, and keep it as a detail."""
    match = open_match(view, command.post_id)
    key = keys.analytics_key(command.post_id)
    found = view.get(key)
    before = found if isinstance(found, Analytics) else Analytics(command.post_id, created_at=when.now)
    means: dict[str, Number] = {}
    samples = dict(before.samples)
    for name in command.METRICS:
        observed = getattr(command, name)
        if observed is not None:
            count = samples[camel(name)] = samples.get(camel(name), 0) + 1
            mean = getattr(before, name) or 0.0
            means[name] = mean + (observed - mean) / count
    frozen = MappingProxyType(samples) if samples else NO_SAMPLES
    seq = 1 + (before.observations or _last_observation(view, command.post_id))
    after = replace(before, **means, samples=frozen, observations=seq, updated_at=when.now)  # type: ignore[arg-type]  # names of metrics
    observed_now = {name: getattr(command, name) for name in command.METRICS}
    detail = Observation(
        command.post_id, seq, **observed_now, subreddit=match.subreddit, created_at=when.now, updated_at=when.now
    )
    return Outcome(after, {key: after, detail.key: detail})


def _last_observation(view: View, post_id: str) -> int:
    """Return the number of the last observation that an earlier match of a post has left, or 0."""
    left = view.scan(f"observation:{post_id}:")
    return max((record.seq for record in left if isinstance(record, Observation)), default=0)


def complete_match(command: CompleteMatch, view: View, _when: When) -> Outcome:
    """Answer for a match that is completed already; an open one crosses groups (`closing`, `settle`)."""
    match = view.get(keys.match_key(command.post_id))
    if isinstance(match, Match) and match.status == COMPLETED:
        return Outcome(standings(view, command.post_id), NO_CHANGES)
    open_match(view, command.post_id)
    raise NotImplementedError("an open match is completed across groups")


def update(command: Update, view: View, when: When) -> Outcome:
    """Write what the caller's function makes of a record."""
    before = view.get(command.key)
    after = stamped(command.made_of(before), before, when)
    return Outcome(after, {command.key: after})


Rule = Callable[..., Outcome]
RULES: Mapping[type[Command], Rule] = MappingProxyType(
    {
        CreateMatch: create_match,
        UpdateMatch: update_match,
        CancelMatch: cancel_match,
        CreateRound: create_round,
        UpdateRound: update_round,
        CloseRound: close_round,
        AwardPoints: award_points,
        AddTrophy: add_trophy,
        RecordAnalytics: record_analytics,
        CompleteMatch: complete_match,
        Update: update,
    }
)


def open_match(view: View, post_id: str) -> Match:
    """Return a match that takes commands. Raises `NotFound`, `MatchClosed`."""
    key = keys.match_key(post_id)
    match = view.get(key)
    if not isinstance(match, Match):
        raise NotFound(key)
    if match.status not in OPEN_STATUSES:
        raise MatchClosed(post_id, match.status)
    return match


def standings(view: View, post_id: str) -> list[Standing]:
    """Return the final order of a match, from its scores."""
    scores = view.scan(f"score:{post_id}:")
    return list(ranked(sorted(place(score) for score in scores if isinstance(score, Score))))


def closing(match: Match, now: float, expiry_s: float) -> Match:
    """Return the match as completed now."""
    return replace(match, status=COMPLETED, completed_at=now, expires_at=now + expiry_s, updated_at=now)


def settle(
    found: Record | None, played: Record | None, match: Match, at: Standing | None, trophies: tuple[str, ...], user: str
) -> tuple[Lifetime, PlayedMatch | None]:
    """Return a participant's lifetime and history entry after `match` (as `closing` returned it).

    A history entry of an earlier match under the same post is replaced, not counted twice. `at` is None for
    somebody who only gets trophies.
    """
    now = match.updated_at
    lifetime = lifetime_of(found, user, now)
    held = _held(lifetime.trophies, trophies)
    if at is None:
        return replace(lifetime, trophies=held, updated_at=now), None
    before = played if isinstance(played, PlayedMatch) else None
    entry = PlayedMatch(
        user,
        match.post_id,
        at.points,
        at.wins,
        at.rank,
        match.theme,
        completed_at=now,
        created_at=now if before is None else before.created_at,
        updated_at=now,
    )
    settled = replace(
        lifetime,
        total_wins=_sum("totalWins", lifetime.total_wins, at.wins - (0 if before is None else before.wins)),
        matches_played=lifetime.matches_played + (before is None),
        total_points=_sum("totalPoints", lifetime.total_points, at.points - (0 if before is None else before.points)),
        trophies=held,
        updated_at=now,
    )
    return settled, entry


def lifetime_of(found: Record | None, user: str, now: float) -> Lifetime:
    """Return the lifetime found, or a new one."""
    return found if isinstance(found, Lifetime) else Lifetime(user, created_at=now, updated_at=now)


def stamped(record: Record, before: Record | None, when: When) -> Record:
    """Return a record given by a user with the times that the store fills in.

    Times that are set are kept (an import brings its own). A score that changed is reached now.
    """
    created = record.created_at or (before.created_at if before is not None else 0.0) or when.now
    updated = (record.updated_at if before is None else 0.0) or when.now
    if isinstance(record, Score):
        record = replace(record, reached_at=_reached(record, before, when))
    return replace(record, created_at=created, updated_at=updated)


def _reached(score: Score, before: Record | None, when: When) -> Number:
    if not isinstance(before, Score):
        return score.reached_at or when.unique()
    if (score.points, score.wins) == (before.points, before.wins):
        return before.reached_at
    return score.reached_at if score.reached_at not in (0.0, before.reached_at) else when.unique()


def _round(view: View, post_id: str, index: int) -> Round:
    key = keys.round_key(post_id, index)
    found = view.get(key)
    if not isinstance(found, Round):
        raise NotFound(key)
    return found


def _added(view: View, key: str, post_id: str, user: str, points: Number, wins: int, when: When) -> Score:
    before = view.get(key)
    now = when.now
    if before.__class__ is not Score:
        return Score(post_id, user, points, wins, when.unique(), now, now)
    total = before.points + points
    total_wins = before.wins + wins
    if not (-NUMBER_MAX <= total <= NUMBER_MAX and -NUMBER_MAX <= total_wins <= NUMBER_MAX):
        _sum("points", before.points, points)  # says which
        _sum("wins", before.wins, wins)
    reached_at = when.unique() if points or wins else before.reached_at
    return Score(post_id, user, total, total_wins, reached_at, before.created_at, now, before.unknown)


def _sum(field: str, before: N, added: N) -> N:
    total = before + added
    if not -NUMBER_MAX <= total <= NUMBER_MAX:
        raise InvalidValue(field, added, "would take the total beyond 2**53")
    return total


def _held(held: Texts, added: tuple[str, ...]) -> Texts:
    trophies = Texts(dict.fromkeys((*held, *added)))
    if len(trophies) > TEXTS_MAX:
        raise InvalidValue("trophies", len(trophies), f"a player holds at most {TEXTS_MAX} trophies")
    return trophies
