"""Why a second replay ends where the first one did, also for messages that came too early.

A message for a match that its log only creates further down is rejected the first time. The second time the match is
there, and nothing of the message is remembered, so it would be applied. What tells the two apart is the log itself:
if the line that creates the match is still to come, and the store has answered that very request before, then the
message comes before its match and is rejected again. The same goes for rounds.
"""

from __future__ import annotations

from pathlib import Path

from pictact_actors.cli.gamelog import Message, message
from pictact_actors.cli.lines import Line, read_lines
from pictact_actors.errors import NotFound, StoreError
from pictact_actors.model import keys
from pictact_actors.model.commands import CloseRound, Command, CreateMatch, CreateRound, PostCommand, UpdateRound
from pictact_actors.model.records import Match, Round
from pictact_actors.store import Store

_KEYS_MAX = 100_000
_SEARCHES_MAX = 200
"""Searches that may end in vain: enough for a log's mistakes, few enough for one that goes on where another ended."""


class Foresight:
    """Looks ahead in the log where a message may have come too early. Owned by the thread that reads the log.

    `log` is None for a pipe, where nobody can look ahead.
    """

    def __init__(self, store: Store, log: Path | None) -> None:
        self._store = store
        self._log = log
        self._created: dict[str, None] = {}
        self._searches_left = _SEARCHES_MAX

    def refusal(self, sent: Message) -> NotFound | None:
        """Return the error of a message that comes before the match or round it is about, None for all others."""
        if self._log is None or not isinstance(sent.command, PostCommand):
            return None
        if isinstance(sent.command, CreateMatch):
            self._note(sent.command)
            return None
        for key in _subjects(sent.command):
            if key not in self._created and self._is_premature(key, sent, self._log):
                return NotFound(key)
        if isinstance(sent.command, CreateRound):
            self._note(sent.command)
        return None

    def _note(self, command: CreateMatch | CreateRound) -> None:
        self._created[_created_key(command)] = None
        if len(self._created) > _KEYS_MAX:
            del self._created[next(iter(self._created))]

    def _is_premature(self, key: str, sent: Message, log: Path) -> bool:
        try:
            record = self._store.get(key)
        except StoreError:
            return False
        if not isinstance(record, Match | Round) or record.created_at < sent.ts or not self._searches_left:
            return False
        creating = _find_creation(key, sent, log)
        if creating is None:
            self._searches_left -= 1
            return False
        return self._is_answered(creating)

    def _is_answered(self, creating: Command) -> bool:
        """Whether the store knows this request. The record exists, so asking again cannot create it."""
        try:
            self._store.ask(creating).get()
        except StoreError:
            return False
        return True


def _find_creation(key: str, sent: Message, log: Path) -> Command | None:
    """Return the command further down the log that creates the record under `key`."""
    with log.open("rb") as file:
        file.seek(sent.offset)
        for line in read_lines(file, number=sent.number, offset=sent.offset, only=b"create_"):
            found = message(line) if isinstance(line, Line) else line
            command = found.command if isinstance(found, Message) else None
            if isinstance(command, CreateMatch | CreateRound) and _created_key(command) == key:
                return command
    return None


def _subjects(command: PostCommand) -> list[str]:
    match = keys.match_key(command.post_id)
    if isinstance(command, CloseRound | UpdateRound):
        return [match, keys.round_key(command.post_id, command.index)]
    return [match]


def _created_key(command: CreateMatch | CreateRound) -> str:
    if isinstance(command, CreateMatch):
        return keys.match_key(command.post_id)
    return keys.round_key(command.post_id, command.index)
