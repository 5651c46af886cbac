"""What the target promised: every acknowledged write, to be held against what is stored in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bench.load.mix import Operation, Query, name_of
from pictact_actors import (
    AddTrophy,
    AwardPoints,
    CloseRound,
    CompleteMatch,
    Lifetime,
    Match,
    NotFound,
    PlayedMatch,
    Rejected,
    Round,
    Score,
    Store,
)
from pictact_actors.model.commands import PostCommand

DIFFERENCES_MAX = 20


@dataclass(frozen=True, slots=True)
class Verified:
    """What a comparison found. `uncertain`: writes whose caller never learnt what became of them, and their matches
    are not compared."""

    acknowledged: int
    points: float
    """Points that were acknowledged and are stored."""
    matches: int
    completed: int
    removed: int
    """Completed matches that cleanup has removed; their players' histories are there."""
    uncertain: int
    differences: tuple[str, ...]
    """Where what is stored differs from what was acknowledged."""
    problems: tuple[str, ...]
    """What the store's own check found."""

    @property
    def is_good(self) -> bool:
        return not self.differences and not self.problems


@dataclass(slots=True)
class Ledger:
    """Acknowledged writes. One thread's at a time."""

    acknowledged: int = 0
    absent: int = 0
    """Looks at what is not there: the score of a player without points."""
    refused: Counter[str] = field(default_factory=Counter)
    """Other calls that got an error, by what was called and the error."""
    points: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    """Points and closed rounds by post."""
    completed: set[str] = field(default_factory=set)
    trophies: set[tuple[str, str]] = field(default_factory=set)
    uncertain: Counter[str] = field(default_factory=Counter)
    """Writes without a known outcome, by post."""

    def enter(self, operation: Operation, error: Exception | None) -> None:
        """Note how a call ended."""
        if isinstance(error, NotFound) and isinstance(operation, Query):
            self.absent += 1
        elif error is not None:
            self.refused[f"{name_of(operation)}: {type(error).__name__}"] += 1
            if not isinstance(operation, Query) and not isinstance(error, Rejected):
                self.uncertain[operation.post_id if isinstance(operation, PostCommand) else ""] += 1
        elif not isinstance(operation, Query):
            self.acknowledged += 1
            self._acknowledge(operation)

    def _acknowledge(self, operation: object) -> None:
        match operation:
            case AwardPoints(post_id=post, points=points):
                self.points[post] += points  # type: ignore[assignment]  # half points are real
            case CloseRound(post_id=post, points=points):
                self.points[post] += points  # type: ignore[assignment]
                self.closed[post] += 1
            case CompleteMatch(post_id=post):
                self.completed.add(post)
            case AddTrophy(user=user, trophy=trophy):
                self.trophies.add((user, trophy))


def compare(ledger: Ledger, store: Store, problems: list[str]) -> Verified:
    """Hold what was acknowledged against what is stored."""
    scored, played, closed, statuses = _stored(store)
    differences = []
    for post in (ledger.points.keys() | scored.keys() | played.keys()) - ledger.uncertain.keys():
        found = played[post] if post in ledger.completed else scored[post]
        if found != ledger.points[post]:
            differences.append(f"{post}: {ledger.points[post]:g} points acknowledged, {found:g} stored")
    for post in statuses.keys() - ledger.uncertain.keys():
        if (statuses[post] == "completed") != (post in ledger.completed):
            differences.append(f"{post} is {statuses[post]}: not what was acknowledged")
        elif statuses[post] == "active" and closed[post] != ledger.closed[post]:
            differences.append(f"{post}: {ledger.closed[post]} closed rounds acknowledged, {closed[post]} stored")
    lifetimes = [record for _, record in store.scan("lifetime:") if isinstance(record, Lifetime)]
    held = {(lifetime.user, trophy) for lifetime in lifetimes for trophy in lifetime.trophies}
    differences += [f"{user} does not hold {trophy}" for user, trophy in ledger.trophies - held]
    return Verified(
        acknowledged=ledger.acknowledged,
        points=float(sum(ledger.points.values())),
        matches=len(ledger.points),
        completed=len(ledger.completed),
        removed=len(ledger.completed - statuses.keys()),
        uncertain=sum(ledger.uncertain.values()),
        differences=tuple(sorted(differences)[:DIFFERENCES_MAX]),
        problems=tuple(problems[:DIFFERENCES_MAX]),
    )


def _stored(store: Store) -> tuple[Counter[str], Counter[str], Counter[str], dict[str, str]]:
    """Return points in scores and in histories and closed rounds, by post, and the status of every match."""
    scored, played, closed = Counter[str](), Counter[str](), Counter[str]()
    for _, record in store.scan("score:"):
        if isinstance(record, Score):
            scored[record.post_id] += record.points  # type: ignore[assignment]  # half points are real
    for _, record in store.scan("history:"):
        if isinstance(record, PlayedMatch):
            played[record.post_id] += record.points  # type: ignore[assignment]
    for _, record in store.scan("round:"):
        if isinstance(record, Round):
            closed[record.post_id] += record.closed
    statuses = {record.post_id: record.status for _, record in store.scan("match:") if isinstance(record, Match)}
    return scored, played, closed, statuses
