"""What must be there: a second, plain implementation of the rules of a match, and what a store shows of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pictact_actors import (
    Analytics,
    AwardPoints,
    CancelMatch,
    CloseRound,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    Lifetime,
    Match,
    NotFound,
    RecordAnalytics,
    Round,
    Score,
    Store,
    UpdateMatch,
)
from pictact_actors.model.commands import Command

Answer = object
"""An answer in plain values, so that two of them can be compared."""


@dataclass
class ExpectedMatch:
    """One match, command by command."""

    status: str | None = None
    rounds: dict[int, tuple[bool, str | None]] = field(default_factory=dict)
    scores: dict[str, tuple[float, int]] = field(default_factory=dict)
    histories: dict[str, tuple[int, float, int]] = field(default_factory=dict)
    observations: int = 0

    def apply(self, command: Command) -> Answer:
        """Do what a command does, and return its answer."""
        match command:
            case CreateMatch() | UpdateMatch():
                self.status = str(command.status)
            case CancelMatch():
                self.status = "cancelled"
            case CreateRound():
                self.rounds[command.index] = (False, None)
                return command.index, False, None
            case CloseRound():
                return self._close_round(command)
            case AwardPoints():
                return self._award(command.user, command.points, command.wins)
            case RecordAnalytics():
                self.observations += 1
                return self.observations
            case CompleteMatch():
                self.status = "completed"
                self.histories = {user: (self._rank(score), *score) for user, score in self.scores.items()}
                return self.histories
        return self.status

    def seen(self) -> dict[str, Any] | None:
        """What `seen_in` has to show of it."""
        return None if self.status is None else deepcopy(vars(self))

    def _close_round(self, command: CloseRound) -> Answer:
        self.rounds[command.index] = (True, command.winner_user)
        if command.winner_user is not None:
            self._award(command.winner_user, command.points, 1)
        return command.index, True, command.winner_user

    def _award(self, user: str, points: float, wins: int) -> tuple[float, int]:
        before = self.scores.get(user, (0, 0))
        self.scores[user] = (before[0] + points, before[1] + wins)
        return self.scores[user]

    def _rank(self, score: tuple[float, int]) -> int:
        return 1 + sum(other > score for other in self.scores.values())


def plain(answer: object) -> Answer:
    """The answer of a store, in the values of `ExpectedMatch.apply`."""
    if isinstance(answer, list):
        return {at.user: (at.rank, at.points, at.wins) for at in answer}
    return _PLAIN[type(answer)](answer)


_PLAIN: dict[type, Callable[[Any], Answer]] = {
    Match: lambda match: match.status,
    Round: lambda at: (at.index, at.closed, at.winner_user),
    Score: lambda score: (score.points, score.wins),
    Analytics: lambda analytics: analytics.samples["invalidRate"],
    Lifetime: lambda lifetime: list(lifetime.trophies),
    type(None): lambda _: None,
}


def seen_in(store: Store, post_id: str) -> dict[str, Any] | None:
    """What a store shows of a match, all of it."""
    try:
        status = store.match(post_id).status
    except NotFound:
        return None
    scores = {record.user: record for _, record in store.scan(f"score:{post_id}:") if isinstance(record, Score)}
    played = store.get_many([f"history:{user}:{post_id}" for user in scores]).values()
    return {
        "status": status,
        "rounds": {at.index: (at.closed, at.winner_user) for at in store.rounds(post_id)},
        "scores": {user: (score.points, score.wins) for user, score in scores.items()},
        "histories": {at.user: (at.rank, at.points, at.wins) for at in played},
        "observations": _observations(store, post_id),
    }


def _observations(store: Store, post_id: str) -> int:
    try:
        return store.analytics(post_id).samples["invalidRate"]
    except NotFound:
        return 0


@dataclass
class PostLedger:
    """The commands of one match in their order, and how many of them are known to be there."""

    commands: list[Command] = field(default_factory=list)
    acknowledged: int = 0
    expected: ExpectedMatch = field(default_factory=ExpectedMatch)
    answers: list[Answer] = field(default_factory=list)

    def acknowledge(self, place: int, answer: Answer) -> None:
        """Take an acknowledgement of the command at a place, and hold it against what it must say."""
        if place == self.acknowledged:
            self.acknowledged += 1
            self.answers.append(deepcopy(self.expected.apply(self.commands[place])))
        assert place < self.acknowledged, f"{self.commands[place]} was answered before what was sent before it"
        assert answer == self.answers[place], f"{self.commands[place]} must answer {self.answers[place]}, not {answer}"

    def verify(self, seen: dict[str, Any] | None, in_flight: int) -> None:
        """Everything acknowledged is there, perhaps with some of what was in flight, and nothing is half there."""
        possible = deepcopy(self.expected)
        flying = self.commands[self.acknowledged : self.acknowledged + in_flight]
        for command in flying:
            if seen == possible.seen():
                return
            possible.apply(command)
        assert seen == possible.seen(), (
            f"after {self.acknowledged} commands it must be\n  {self.expected.seen()},\nperhaps with\n"
            + "".join(f"  {command}\n" for command in flying)
            + f"but it is\n  {seen}"
        )


def ledgers_of(streams: Sequence[Sequence[Command]]) -> dict[str, PostLedger]:
    """Sort commands by their match."""
    ledgers: dict[str, PostLedger] = {}
    for stream in streams:
        for command in stream:
            post_id = getattr(command, "post_id", None)
            if post_id is not None:
                ledgers.setdefault(post_id, PostLedger()).commands.append(command)
    return ledgers
