"""The game log: one message a line, checked before it is sent.

line = { "type": snake_case name of a command, "ts": epoch seconds, its fields in camelCase, "requestId"? }
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pictact_actors.cli.lines import BadLine, Line
from pictact_actors.errors import InvalidKey, InvalidValue
from pictact_actors.model.commands import Command, from_fields
from pictact_actors.model.validate import check_text, check_time

TS_MAX = 253_402_300_799
"""The end of the year 9999, epoch seconds. What is later was written in other units, and a clock never goes back."""


@dataclass(frozen=True, slots=True)
class Message:
    """A line that can be sent. `offset` is where it ends in the log, in bytes."""

    number: int
    offset: int
    ts: float
    command: Command


def messages(lines: Iterable[Line | BadLine]) -> Iterator[Message | BadLine]:
    """Check every line of a log."""
    return (line if isinstance(line, BadLine) else message(line) for line in lines)


def message(line: Line) -> Message | BadLine:
    """Return a line as a message, or what is wrong with it."""
    fields = dict(line.fields)
    try:
        name = check_text("type", fields.pop("type", None))
        ts = _checked_ts(fields.pop("ts", None))
        command = _identified(from_fields(name, fields), line)
    except (InvalidKey, InvalidValue) as error:
        return BadLine(line.number, line.offset, str(error))
    return Message(line.number, line.offset, ts, command)


def _checked_ts(value: object) -> float:
    ts = check_time("ts", value)
    if ts > TS_MAX:
        raise InvalidValue("ts", value, "must be epoch seconds, this is beyond the year 9999")
    return float(ts)


def _identified(command: Command, line: Line) -> Command:
    """Give a command without a request id one, from what its line says and where it stands: always the same."""
    if command.request_id is not None:
        return command
    digest = hashlib.blake2b(line.raw.strip(), digest_size=12).hexdigest()
    return replace(command, request_id=f"line-{line.number}-{digest}")
