"""How values look to people: one line, no control characters, times in UTC."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

_TIMES = frozenset({"createdAt", "updatedAt", "completedAt", "expiresAt", "startTs", "endTs", "reachedAt", "ts"})


def print_json(value: object) -> None:
    """Print one line of JSON to stdout, in ASCII: no text of a player's can do anything to a terminal."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def print_line(line: str) -> None:
    """Print one line for people to stdout, whatever is in it."""
    sys.stdout.write(shown(line) + "\n")


def shown(value: object) -> str:
    r"""Return a value as one line that cannot steer the terminal: control characters are escaped.

    >>> shown("a\x1b[2J")
    'a\\x1b[2J'
    """
    text = value if isinstance(value, str) else _plain(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def field(name: str, value: object) -> str:
    """Return the value of a record's field; times as UTC.

    >>> field("endTs", 0)
    '1970-01-01 00:00:00Z'
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return moment(float(value)) if is_number and name in _TIMES else shown(value)  # type: ignore[arg-type]  # is_number


def moment(epoch_s: float) -> str:
    """Return epoch seconds as UTC, with fractions if there are any; far-off times stay numbers."""
    try:
        at = datetime.fromtimestamp(epoch_s, UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):
        return f"{epoch_s:g}"
    return f"{at.isoformat(' ', 'milliseconds' if at.microsecond else 'seconds')}Z"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(part) for part in value) or "-"
    return "-" if value is None else str(value)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,.6f}".rstrip("0").rstrip(".")
