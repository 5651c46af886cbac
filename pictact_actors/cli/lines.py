"""JSON Lines read one at a time in bounded memory, with their numbers; a line that does not read is one value too."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

LINE_BYTES_MAX = 128 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """An object of a file. `number` counts from 1, `offset` is where the line ends, in bytes."""

    number: int
    offset: int
    raw: bytes
    fields: dict[str, object]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a JSON object, and why."""

    number: int
    offset: int
    reason: str


@contextmanager
def opened_lines(name: str) -> Iterator[BinaryIO]:
    """Open a file to read lines from; `-` is stdin."""
    if name == "-":
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def path_of(name: str) -> Path | None:
    """Return the path of a file that can be read twice; None for a pipe."""
    path = Path(name)
    return path if name != "-" and path.is_file() else None


def bytes_of(name: str) -> int | None:
    """Return the size of a file, for a progress bar; None for a pipe."""
    path = path_of(name)
    return None if path is None else path.stat().st_size


def read_lines(
    file: BinaryIO, line_bytes_max: int = LINE_BYTES_MAX, *, number: int = 0, offset: int = 0, only: bytes = b""
) -> Iterator[Line | BadLine]:
    """Yield the lines of a file; blank ones are passed over. A too long line is read past, not read in.

    `number` and `offset` are those of the line before, if the file does not stand at its beginning. Lines without the
    bytes in `only` are passed over.
    """
    while raw := file.readline(line_bytes_max + 1):
        number += 1
        offset += len(raw)
        if len(raw) > line_bytes_max and not raw.endswith(b"\n"):
            offset += _skip_to_end(file)
            yield BadLine(number, offset, f"longer than {line_bytes_max} bytes")
            continue
        if number == 1:
            raw = raw.removeprefix(_BOM)
        if only in raw and raw.strip():
            yield _parsed(number, offset, raw)


def _skip_to_end(file: BinaryIO) -> int:
    skipped = 0
    while part := file.readline(1024 * 1024):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def _parsed(number: int, offset: int, raw: bytes) -> Line | BadLine:
    try:
        fields = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        return BadLine(number, offset, f"not UTF-8 (byte {error.start + 1})")
    except json.JSONDecodeError as error:
        return BadLine(number, offset, f"not JSON: {error.msg} (column {error.colno})")
    except (ValueError, RecursionError) as error:
        return BadLine(number, offset, f"not JSON that can be stored: {error}")
    if not isinstance(fields, dict):
        return BadLine(number, offset, "not a JSON object")
    return Line(number, offset, raw, fields)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
