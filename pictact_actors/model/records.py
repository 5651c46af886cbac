"""The records of the game, as frozen values.

Attributes are snake_case; storage, JSON and the command line use the camelCase names of the contract (`to_dict`).
`created_at` and `updated_at` are epoch seconds; 0.0 means "not written yet", the store fills them in.
`unknown` holds fields that a newer version wrote: they are kept, shown and written back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, field, fields
from types import MappingProxyType
from typing import Any, ClassVar

from pictact_actors.model import keys
from pictact_actors.model.frozen import frozen
from pictact_actors.model.validate import Number

LOBBY, ACTIVE, COMPLETED, CANCELLED = "lobby", "active", "completed", "cancelled"
STATUSES = (LOBBY, ACTIVE, COMPLETED, CANCELLED)
OPEN_STATUSES = (LOBBY, ACTIVE)
IDLE, ARCHIVED, DISCARDED, FORGOTTEN = "idle", "archived", "discarded", "forgotten"
OF_MATCHES = (COMPLETED, CANCELLED, IDLE)
"""The reasons in the audit for which a match was removed."""

EMPTY: Mapping[str, object] = MappingProxyType({})
NO_SAMPLES: Mapping[str, int] = MappingProxyType({})


class Texts(tuple[str, ...]):
    """An immutable list of texts: equal to a list or a tuple with the same items."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return tuple.__eq__(self, tuple(other)) if isinstance(other, list | tuple) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return tuple.__hash__(self)


NO_TEXTS = Texts()


def camel(name: str) -> str:
    """`avg_solve_time` -> `avgSolveTime`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def snake(name: str) -> str:
    """`avgSolveTime` -> `avg_solve_time`."""
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


def texts(items: Iterable[str]) -> Texts:
    """Freeze texts."""
    return items if isinstance(items, Texts) else Texts(items)


class Record:
    """Base of all records. `IDS` are the attributes that the key says, `KIND` is the key's first part."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    KIND: ClassVar[str]
    IDS: ClassVar[tuple[str, ...]]
    created_at: Number
    updated_at: Number
    unknown: Mapping[str, object] | None

    @property
    def key(self) -> str:
        """The key that this record is stored under."""
        return ":".join([self.KIND, *(str(getattr(self, name)) for name in self.IDS)])

    def to_dict(self) -> dict[str, object]:
        """All fields with their camelCase names, plain enough for JSON."""
        shown = {camel(f.name): _plain(getattr(self, f.name)) for f in fields(self) if f.name != "unknown"}
        return {**_plain_map(self.unknown or EMPTY), **shown}


@frozen
class Match(Record):
    """A game session: one post. `completed_at` and `expires_at` are null until it is completed."""

    KIND: ClassVar[str] = keys.MATCH
    IDS: ClassVar[tuple[str, ...]] = ("post_id",)
    post_id: str
    status: str = ACTIVE
    subreddit: str = ""
    rounds_total: int = 0
    current_round: int = 0
    theme: str = ""
    created_by: str = ""
    completed_at: Number | None = None
    expires_at: Number | None = None
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)


@frozen
class Round(Record):
    """One challenge of a match. `start_ts` and `end_ts` are epoch seconds."""

    KIND: ClassVar[str] = keys.ROUND
    IDS: ClassVar[tuple[str, ...]] = ("post_id", "index")
    post_id: str
    index: int
    prompt_text: str = ""
    reference_images: Texts = NO_TEXTS
    start_ts: Number = 0
    end_ts: Number = 0
    winner_user: str | None = None
    winner_comment_id: str | None = None
    closed: bool = False
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)


@frozen
class Score(Record):
    """What a player has in one match. `reached_at` (epoch s, unique) breaks ties: who was there first."""

    KIND: ClassVar[str] = keys.SCORE
    IDS: ClassVar[tuple[str, ...]] = ("post_id", "user")
    post_id: str
    user: str
    points: Number = 0
    wins: int = 0
    reached_at: Number = 0.0
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)


@frozen
class Lifetime(Record):
    """What a player has over all completed matches; never expires."""

    KIND: ClassVar[str] = keys.LIFETIME
    IDS: ClassVar[tuple[str, ...]] = ("user",)
    user: str
    total_wins: int = 0
    matches_played: int = 0
    total_points: Number = 0
    trophies: Texts = NO_TEXTS
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)


@frozen
class PlayedMatch(Record):
    """One completed match of a player's history; outlives the match."""

    KIND: ClassVar[str] = keys.HISTORY
    IDS: ClassVar[tuple[str, ...]] = ("user", "post_id")
    user: str
    post_id: str
    points: Number = 0
    wins: int = 0
    rank: int = 0
    theme: str = ""
    completed_at: Number = 0.0
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)


@frozen
class Analytics(Record):
    """Running means of a match's observations; `samples` counts those behind each mean, by camelCase name.

    `observations` is the number of the last one (`Observation.seq`).
    """

    KIND: ClassVar[str] = keys.ANALYTICS
    IDS: ClassVar[tuple[str, ...]] = ("post_id",)
    post_id: str
    invalid_rate: Number | None = None
    avg_solve_time: Number | None = None
    mod_responsiveness: Number | None = None
    participation_rate: Number | None = None
    samples: Mapping[str, int] = field(default_factory=lambda: NO_SAMPLES, hash=False)
    observations: int = 0
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)


@frozen
class Observation(Record):
    """One observation of a match, as it came; None where nothing was observed. `created_at` is when.

    It outlives its match, so it says the `subreddit` itself.
    """

    KIND: ClassVar[str] = keys.OBSERVATION
    IDS: ClassVar[tuple[str, ...]] = ("post_id", "seq")
    post_id: str
    seq: int
    invalid_rate: Number | None = None
    avg_solve_time: Number | None = None
    mod_responsiveness: Number | None = None
    participation_rate: Number | None = None
    subreddit: str = ""
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)


@frozen
class Audit(Record):
    """What cleanup removed, why, and how many records of each kind.

        reason       owner   time                       removed
        completed    post    when the match was due     a match that was over, with what belongs to it
        cancelled    post    the same                   the same
        idle         post    the same                   one that nobody played any more
        archived     shard   when the cleanup began     details of analytics that are in the file `archive` now
        discarded    shard   the same                   details that nobody wants to keep
        forgotten    shard   the same                   answers to requests of users

    `due_at` is the time in epoch seconds. `created_at` is when the removal began, `updated_at` its last step; `done`
    says that nothing is left of it.
    """

    KIND: ClassVar[str] = keys.AUDIT
    IDS: ClassVar[tuple[str, ...]] = ("time", "reason", "owner")
    time: str
    reason: str
    owner: str
    due_at: Number = 0.0
    subreddit: str = ""
    theme: str = ""
    archive: str = ""
    removed: Mapping[str, int] = field(default_factory=lambda: NO_SAMPLES, hash=False)
    done: bool = False
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)

    @property
    def post_id(self) -> str | None:
        """The match that was removed; None where it was something else."""
        return self.owner if self.reason in OF_MATCHES else None

    def to_dict(self) -> dict[str, object]:
        """All fields with their camelCase names; the match by its name, or null."""
        shown = Record.to_dict(self)
        del shown["time"], shown["owner"]
        return {"postId": self.post_id, **shown}


@frozen
class AnsweredRequest(Record):
    """Internal: a request that was applied. `digest` tells its command, `answer` the first result's key and record."""

    KIND: ClassVar[str] = keys.REQUEST
    IDS: ClassVar[tuple[str, ...]] = ("anchor", "owner", "request_id")
    anchor: str
    owner: str
    request_id: str
    digest: str = ""
    answer: Mapping[str, object] = field(default_factory=lambda: EMPTY, hash=False)
    created_at: Number = 0.0
    updated_at: Number = 0.0
    unknown: Mapping[str, object] | None = field(default=None, hash=False, repr=False)


_PLAYED = (Match, Round, Score, Analytics, Observation)
_LASTING = (Lifetime, PlayedMatch)
_INTERNAL = (AnsweredRequest, Audit)
RECORDS: Mapping[str, type[Record]] = {cls.KIND: cls for cls in (*_PLAYED, *_LASTING, *_INTERNAL)}


@frozen
class Standing:
    """A line of a leaderboard. On lifetime boards `points` and `wins` are totals and `matches_played` is set."""

    rank: int
    user: str
    points: Number
    wins: int
    matches_played: int | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, object]:
        """All fields with their camelCase names; `matchesPlayed` only where it is set."""
        shown: dict[str, object] = {"rank": self.rank, "user": self.user, "points": self.points, "wins": self.wins}
        return shown if self.matches_played is None else {**shown, "matchesPlayed": self.matches_played}


@frozen
class Player:
    """A player's lifetime and every match played, oldest first."""

    lifetime: Lifetime
    matches: list[PlayedMatch]

    def to_dict(self) -> dict[str, object]:
        """`{"lifetime": …, "matches": […]}` with camelCase names."""
        return {"lifetime": self.lifetime.to_dict(), "matches": [played.to_dict() for played in self.matches]}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return _plain_map(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _plain_map(value: Mapping[str, object]) -> dict[str, object]:
    return {name: _plain(item) for name, item in value.items()}
