"""The desk of a store that another process has open, behind its console."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from pictact_actors.clock import monotonic
from pictact_actors.console import wire
from pictact_actors.console.address import connected
from pictact_actors.console.desk import Commit, Fields
from pictact_actors.console.offers import LONG, commits_of
from pictact_actors.errors import OutcomeUnknown, StoreClosed, StoreError

CONNECT_S = 2.0
SHORT_S = 30.0
LONG_S = 3_600.0
"""How long to wait for the next part of an answer."""
_MEMORY_BYTES = 4 * 1024 * 1024
_LENGTH_BYTES = 4


class RemoteDesk:
    """Asks the console of a data directory, one connection a question. If nobody is there, `unanswered` is raised.

    An answer is taken whole before anything of it is shown (into a temporary file if it is large): so nobody in the
    other process waits for a reader of ours.
    """

    def __init__(self, data: str | os.PathLike[str], unanswered: StoreError, short_s: float = SHORT_S) -> None:
        self._root = Path(os.path.realpath(data))
        self._unanswered = unanswered
        self._short_s = short_s

    def get(self, key: str) -> Fields:
        """Return a record."""
        return self._one("get", key=key)

    def leaderboard(self, post_id: str | None, by: str | None, limit: int, offset: int) -> Sequence[Fields]:
        """Return a page of a board."""
        return list(self._ask("leaderboard", post_id=post_id, by=by, limit=limit, offset=offset))

    def player(self, user: str) -> Fields:
        """Return a player."""
        lifetime, *matches = self._ask("player", user=user)
        return {"lifetime": lifetime, "matches": matches}

    def log(self, from_seq: int | None, key: str | None, user: str | None) -> Iterator[Commit]:
        """Yield commits."""
        return commits_of(self._ask("log", from_seq=from_seq, key=key, user=user))

    def stats(self) -> Fields:
        """Return the figures of the store."""
        return self._one("stats")

    def check(self) -> Sequence[Fields]:
        """Return what does not fit together."""
        return list(self._ask("check"))

    def backup(self, directory: str | None) -> Fields:
        """Take a backup; the other process may be in another directory."""
        return self._one("backup", directory=None if directory is None else str(Path(directory).absolute()))

    def cleanup(self) -> Fields:
        """Remove what is due."""
        return self._one("cleanup")

    def audit(self, since: float | None, limit: int | None) -> Iterator[Fields]:
        """Yield what was removed."""
        return self._ask("audit", since=since, limit=limit)

    def _one(self, command: str, **arguments: object) -> Fields:
        fields: Fields
        (fields,) = self._ask(command, **arguments)
        return fields

    def _ask(self, command: str, **arguments: object) -> Iterator[Any]:
        question = wire.frame_of({"version": wire.VERSION, "command": command, "arguments": arguments})
        part_s = LONG_S if command in LONG else self._short_s
        with tempfile.SpooledTemporaryFile(_MEMORY_BYTES) as taken:
            try:
                with self._connected() as connection:
                    _hand_in(connection, question)
                    _take(connection, taken, part_s)
            except TimeoutError:
                raise OutcomeUnknown(
                    f"the process that has {self._root} open did not answer {command} for {part_s:g} s; "
                    "see whether it hangs"
                ) from None
            except ConnectionError as error:
                raise StoreClosed(
                    f"the process that has {self._root} open hung up ({error}): it closed the store or ended; try again"
                ) from error
            taken.seek(0)
            while size := int.from_bytes(taken.read(_LENGTH_BYTES), "big"):
                yield wire.decoded(taken.read(size))["item"]

    def _connected(self) -> socket.socket:
        try:
            return connected(self._root, CONNECT_S)
        except OSError as error:
            raise self._unanswered from error


def _hand_in(connection: socket.socket, question: bytes) -> None:
    try:
        wire.send(connection, question, CONNECT_S)
    except ConnectionError:
        return  # turned away: the answer says why


def _take(connection: socket.socket, taken: IO[bytes], part_s: float) -> None:
    """Take the items of an answer. Raises the error that it ends with."""
    count = 0
    while True:
        body = wire.receive(connection, wire.ITEM_BYTES_MAX, monotonic() + part_s)
        said = wire.decoded(body)
        if "error" in said:
            raise wire.revived(said["error"])
        if "end" in said:
            if said["end"] != count:
                raise wire.Hangup("parts of the answer are missing")
            return
        taken.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
        count += 1
