"""`pictact import`: records from JSON Lines, as `pictact export` writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from pictact_actors.cli import interrupts, terminal
from pictact_actors.cli.command import FOUND, OK, Path, argument, command, complain
from pictact_actors.cli.lines import BadLine, Line, bytes_of, opened_lines, read_lines
from pictact_actors.cli.opening import NO_CLEANUP, opened
from pictact_actors.cli.text import print_json, print_line
from pictact_actors.errors import InvalidKey, InvalidValue
from pictact_actors.model import codec, keys
from pictact_actors.model.records import Record
from pictact_actors.store import Store

_RECORDS_MAX = 500
_BYTES_MAX = 4 * 1024 * 1024
"""A batch is one atomic step: large enough to be quick, small enough to be held in memory."""


@command(
    "import",
    examples=["pictact import records.jsonl --data new-data", "zcat records.jsonl.gz | pictact import -"],
)
@argument("file", type=Path(exists=True, dir_okay=False, allow_dash=True))
def import_records(file: str, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Write the records of FILE into the store, replacing those with the same keys.

    Each line is {"key": …, "record": {…}}, as `pictact export` writes it. Lines that are not valid are reported
    with their number and skipped; the rest is written. Importing the same file again is safe.
    Exits 1 if a line was not valid.
    """
    with (
        opened_lines(file) as source,
        opened(data, create=True, config=NO_CLEANUP) as store,  # or what is due would go before it is complete
        terminal.progress("importing", bytes_of(file)) as done,
    ):
        batch = _Batch(store)
        for line in read_lines(source):
            entry = _entry(line)
            if isinstance(entry, BadLine):
                batch.invalid += 1
                complain(f"line {entry.number} skipped: {entry.reason}")
            else:
                batch.add(entry)
            done(line.offset)
        batch.write()
    if as_json:
        print_json({"imported": batch.written, "skipped": batch.invalid})
    else:
        print_line(f"{batch.written:,} records imported, {batch.invalid:,} lines skipped")
    return FOUND if batch.invalid else OK


class _Entry(NamedTuple):
    key: str
    record: Record
    size: int


@dataclass(slots=True)
class _Batch:
    """Records on their way into the store."""

    store: Store
    written: int = 0
    invalid: int = 0
    _size: int = 0
    _records: dict[str, Record] = field(default_factory=dict)

    def add(self, entry: _Entry) -> None:
        self._records[entry.key] = entry.record
        self._size += entry.size
        if len(self._records) >= _RECORDS_MAX or self._size >= _BYTES_MAX:
            self.write()

    def write(self) -> None:
        if self._records:
            with interrupts.held():
                self.store.put_many(self._records)
            self.written += len(self._records)
            self._records, self._size = {}, 0


def _entry(line: Line | BadLine) -> _Entry | BadLine:
    if isinstance(line, BadLine):
        return line
    key, record = line.fields.get("key"), line.fields.get("record")
    if not isinstance(key, str) or not isinstance(record, dict) or len(line.fields) > 2:  # noqa: PLR2004 - these two
        return BadLine(line.number, line.offset, 'must be {"key": text, "record": object}')
    if not keys.is_public(key):
        return BadLine(line.number, line.offset, "internal records are not imported")
    try:
        return _Entry(key, codec.from_dict(key, record), len(line.raw))
    except (InvalidKey, InvalidValue) as error:
        return BadLine(line.number, line.offset, str(error))
