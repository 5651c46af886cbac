"""Every command of the game as a message: a frozen dataclass, named as the method of `Store` in CamelCase.

`checked()` returns the message with all its values checked and frozen, or raises `InvalidKey` / `InvalidValue`;
it runs in the sender's thread, before the message is queued. `group` says whose keys the command works on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, field, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self

from pictact_actors.errors import InvalidValue
from pictact_actors.model import keys
from pictact_actors.model.codec import checked_public
from pictact_actors.model.frozen import frozen
from pictact_actors.model.records import OPEN_STATUSES, Record, Texts, camel, snake
from pictact_actors.model.validate import (
    Number,
    check_bool,
    check_choice,
    check_count,
    check_id,
    check_ids,
    check_index,
    check_int,
    check_number,
    check_text,
    check_texts,
    check_time,
)


class Unchanged:
    """The type of `UNCHANGED`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()
"""Leaves a field as it is (`None` would clear it)."""


class Command:
    """Base of all commands. `NAME` is the method's and the game log's name."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    NAME: ClassVar[str]
    request_id: str | None

    @property
    def group(self) -> str:
        """The group of keys that the command belongs to."""
        raise NotImplementedError

    def checked(self) -> Self:
        """Return the command with every value checked and frozen."""
        raise NotImplementedError


class PostCommand(Command):
    """A command on the keys of one post."""

    __slots__ = ()
    post_id: str

    @property
    def group(self) -> str:
        """The post's group."""
        return f"match:{self.post_id}"


class UserCommand(Command):
    """A command on the keys of one user."""

    __slots__ = ()
    user: str

    @property
    def group(self) -> str:
        """The user's group."""
        return f"lifetime:{self.user}"


def _check_request_id(request_id: str | None) -> None:
    if request_id is not None:
        check_id(request_id)


@frozen
class CreateMatch(PostCommand):
    """Create a match. Raises `AlreadyExists`."""

    NAME: ClassVar[str] = "create_match"
    post_id: str
    subreddit: str = field(kw_only=True)
    rounds_total: int = field(kw_only=True)
    theme: str = field(kw_only=True)
    created_by: str = field(kw_only=True)
    status: str = field(default="active", kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value."""
        check_id(self.post_id)
        check_text("subreddit", self.subreddit)
        check_count("roundsTotal", self.rounds_total)
        check_text("theme", self.theme)
        check_text("createdBy", self.created_by)
        check_choice("status", self.status, OPEN_STATUSES)
        _check_request_id(self.request_id)
        return self


@frozen
class UpdateMatch(PostCommand):
    """Change fields of an open match; completing and cancelling have commands of their own."""

    NAME: ClassVar[str] = "update_match"
    post_id: str
    status: str | Unchanged = field(default=UNCHANGED, kw_only=True)
    subreddit: str | Unchanged = field(default=UNCHANGED, kw_only=True)
    rounds_total: int | Unchanged = field(default=UNCHANGED, kw_only=True)
    current_round: int | Unchanged = field(default=UNCHANGED, kw_only=True)
    theme: str | Unchanged = field(default=UNCHANGED, kw_only=True)
    created_by: str | Unchanged = field(default=UNCHANGED, kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value."""
        check_id(self.post_id)
        for name, value in changed_fields(self).items():
            if name == "status":
                check_choice("status", value, OPEN_STATUSES)
            elif name in ("rounds_total", "current_round"):
                check_count(camel(name), value)
            else:
                check_text(camel(name), value)
        _check_request_id(self.request_id)
        return self


@frozen
class CancelMatch(PostCommand):
    """Cancel an open match; cancelling a cancelled one changes nothing."""

    NAME: ClassVar[str] = "cancel_match"
    post_id: str
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value."""
        check_id(self.post_id)
        _check_request_id(self.request_id)
        return self


@frozen
class CreateRound(PostCommand):
    """Create a round and move the match's current round to it. Raises `AlreadyExists`."""

    NAME: ClassVar[str] = "create_round"
    post_id: str
    index: int
    prompt_text: str = field(kw_only=True)
    reference_images: Sequence[str] = field(default=(), kw_only=True)
    start_ts: Number = field(kw_only=True)
    end_ts: Number = field(kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value and freeze the images."""
        check_id(self.post_id)
        check_index(self.index)
        check_text("promptText", self.prompt_text)
        check_time("startTs", self.start_ts)
        check_time("endTs", self.end_ts)
        if self.end_ts < self.start_ts:
            raise InvalidValue("endTs", self.end_ts, f"must not be before startTs ({self.start_ts})")
        _check_request_id(self.request_id)
        return replace(self, reference_images=Texts(check_texts("referenceImages", self.reference_images)))


@frozen
class UpdateRound(PostCommand):
    """Change fields of a round; a closed round stays closed and keeps its winner."""

    NAME: ClassVar[str] = "update_round"
    post_id: str
    index: int
    prompt_text: str | Unchanged = field(default=UNCHANGED, kw_only=True)
    reference_images: Sequence[str] | Unchanged = field(default=UNCHANGED, kw_only=True)
    start_ts: Number | Unchanged = field(default=UNCHANGED, kw_only=True)
    end_ts: Number | Unchanged = field(default=UNCHANGED, kw_only=True)
    winner_user: str | Unchanged | None = field(default=UNCHANGED, kw_only=True)
    winner_comment_id: str | Unchanged | None = field(default=UNCHANGED, kw_only=True)
    closed: bool | Unchanged = field(default=UNCHANGED, kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value and freeze the images."""
        check_id(self.post_id)
        check_index(self.index)
        _check_request_id(self.request_id)
        return replace(self, **{name: _round_field(name, value) for name, value in changed_fields(self).items()})  # type: ignore[arg-type]  # checked one by one


def _round_field(name: str, value: object) -> object:
    match name:
        case "prompt_text":
            return check_text("promptText", value)
        case "reference_images":
            return Texts(check_texts("referenceImages", value))
        case "start_ts" | "end_ts":
            return check_time(camel(name), value)
        case "closed":
            return check_bool("closed", value)
        case "winner_user":
            return None if value is None else check_id(value)
    return None if value is None else check_text(camel(name), value)


@frozen
class CloseRound(PostCommand):
    """Close a round and give its winner one win and `points`, in one atomic step; a closed round stays as it is."""

    NAME: ClassVar[str] = "close_round"
    post_id: str
    index: int
    winner_user: str | None = field(default=None, kw_only=True)
    winner_comment_id: str | None = field(default=None, kw_only=True)
    points: Number = field(default=0, kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value; points need a winner."""
        check_id(self.post_id)
        check_index(self.index)
        check_number("points", self.points)
        if self.winner_user is not None:
            check_id(self.winner_user)
        elif self.points:
            raise InvalidValue("points", self.points, "need a winnerUser to go to")
        if self.winner_comment_id is not None:
            check_text("winnerCommentId", self.winner_comment_id)
        _check_request_id(self.request_id)
        return self


@frozen
class AwardPoints(PostCommand):
    """Add points (negative ones correct) and wins to a player's score in an open match."""

    NAME: ClassVar[str] = "award_points"
    post_id: str
    user: str
    points: Number
    wins: int = field(default=0, kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value."""
        check_id(self.post_id)
        check_id(self.user)
        check_number("points", self.points)
        check_int("wins", self.wins)
        _check_request_id(self.request_id)
        return self


@frozen
class AddTrophy(UserCommand):
    """Append a trophy once; one that the player holds already changes nothing."""

    NAME: ClassVar[str] = "add_trophy"
    user: str
    trophy: str
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value."""
        check_id(self.user)
        check_id(self.trophy)
        _check_request_id(self.request_id)
        return self


@frozen
class RecordAnalytics(PostCommand):
    """One observation of a match, folded into running means; times in seconds, rates as fractions."""

    NAME: ClassVar[str] = "record_analytics"
    METRICS: ClassVar[tuple[str, ...]] = ("invalid_rate", "avg_solve_time", "mod_responsiveness", "participation_rate")
    post_id: str
    invalid_rate: Number | None = field(default=None, kw_only=True)
    avg_solve_time: Number | None = field(default=None, kw_only=True)
    mod_responsiveness: Number | None = field(default=None, kw_only=True)
    participation_rate: Number | None = field(default=None, kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value."""
        check_id(self.post_id)
        for name in self.METRICS:
            value = getattr(self, name)
            if value is not None and check_number(camel(name), value) < 0:
                raise InvalidValue(camel(name), value, "must not be negative")
        _check_request_id(self.request_id)
        return self


@frozen
class CompleteMatch(PostCommand):
    """Complete a match and settle every participant's lifetime and history, all or nothing.

    `trophies` maps a user to a list of trophies. Completing a completed match changes nothing.
    """

    NAME: ClassVar[str] = "complete_match"
    post_id: str
    trophies: Mapping[str, Sequence[str]] = field(default_factory=dict, kw_only=True, hash=False)
    request_id: str | None = field(default=None, kw_only=True)

    def checked(self) -> Self:
        """Check every value and freeze the trophies."""
        check_id(self.post_id)
        _check_request_id(self.request_id)
        if not isinstance(self.trophies, Mapping):
            raise InvalidValue("trophies", self.trophies, "must map users to lists of trophies")
        won = {check_id(user): Texts(check_ids("trophies", held)) for user, held in self.trophies.items()}
        return replace(self, trophies=MappingProxyType(won))


@frozen
class PutMany(Command):
    """Write records of any groups in one atomic step, as they are; internal, `Store.put_many` is its face."""

    NAME: ClassVar[str] = "put_many"
    records: Mapping[str, Record] = field(hash=False)
    request_id: str | None = None

    @property
    def group(self) -> str:
        """The group of the first record, whose shard sends the crossing on its way and remembers its request id."""
        return keys.parse(next(iter(self.records))).group

    def checked(self) -> Self:
        """Check every record against its key and field by field; in whatever order they came, they are one command."""
        checked = {key: checked_public(key, record) for key, record in self.records.items()}
        return replace(self, records={key: checked[key] for key in sorted(checked, key=keys.posts_first)})


COMMANDS: Mapping[str, type[Command]] = {
    cls.NAME: cls
    for cls in (
        CreateMatch,
        UpdateMatch,
        CancelMatch,
        CreateRound,
        UpdateRound,
        CloseRound,
        AwardPoints,
        AddTrophy,
        RecordAnalytics,
        CompleteMatch,
    )
}


def changed_fields(command: UpdateMatch | UpdateRound) -> dict[str, object]:
    """Return the fields that an update sets, by attribute name."""
    ids = ("post_id", "index", "request_id")
    values = {f.name: getattr(command, f.name) for f in fields(command) if f.name not in ids}
    return {name: value for name, value in values.items() if not isinstance(value, Unchanged)}


def from_fields(name: object, given: Mapping[str, object]) -> Command:
    """Build and check a command from its snake_case name and camelCase fields (a line of a game log).

    Raises `InvalidValue` for an unknown command or field, a missing field, or a value out of range.
    """
    cls = COMMANDS.get(name) if isinstance(name, str) else None
    if cls is None:
        raise InvalidValue("type", name, f"must be one of {', '.join(COMMANDS)}")
    allowed = {camel(f.name): f for f in fields(cls)}
    for given_name in given:
        if given_name not in allowed:
            raise InvalidValue(str(given_name), given[given_name], f"is no field of {cls.NAME}")
    try:
        command = cls(**{snake(field_name): value for field_name, value in given.items()})
    except TypeError as error:
        raise InvalidValue(cls.NAME, sorted(given), f"lacks a field: {error}") from error
    return command.checked()
