"""`pictact export`: every record as JSON Lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import TextIO

from pictact_actors.cli import terminal
from pictact_actors.cli.command import OK, Path, argument, command
from pictact_actors.cli.interrupts import uninterrupted
from pictact_actors.cli.opening import opened
from pictact_actors.cli.text import print_json, print_line

_STEP = 1000


@command(
    "export",
    examples=[
        "pictact export records.jsonl",
        "pictact export | gzip > records.jsonl.gz",
        'pictact export | grep \'^{"key": "lifetime:\' | head',
    ],
)
@argument("file", required=False, type=Path(dir_okay=False, writable=True, allow_dash=True))
def export(file: str | None, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Write every record to FILE (or stdout) as JSON Lines, in the order of the keys.

    Each line is {"key": …, "record": {…}}, as `pictact import` reads it. FILE appears when it is complete: an
    export that is stopped leaves what was there before.
    """
    to_stdout = file is None or file == "-"
    count = 0
    with opened(data) as store, _target(file) as out, terminal.progress("exporting", None) as done:
        for key, record in uninterrupted(store.scan("")):
            out.write(json.dumps({"key": key, "record": record.to_dict()}, allow_nan=False) + "\n")
            count += 1
            if count % _STEP == 0:
                done(count)
    if as_json and not to_stdout:
        print_json({"exported": count, "file": file})
    elif not to_stdout:
        print_line(f"{count:,} records written to {file}")
    return OK


@contextmanager
def _target(file: str | None) -> Iterator[TextIO]:
    if file is None or file == "-":
        yield sys.stdout
        return
    path = FilePath(file)
    if path.exists() and not path.is_file():  # a pipe or a device: nothing to replace
        with path.open("w", encoding="utf-8") as out:
            yield out
        return
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with aside.open("w", encoding="utf-8") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
