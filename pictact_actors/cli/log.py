"""`pictact log`: the journal, readable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pictact_actors.cli.command import OK, IntRange, command, option
from pictact_actors.cli.interrupts import uninterrupted
from pictact_actors.cli.opening import opened
from pictact_actors.cli.text import field, moment, print_json, print_line
from pictact_actors.model import codec, keys
from pictact_actors.model.validate import check_id
from pictact_actors.storage.engine import Entry

_ID_FIELDS = frozenset({"postId", "user", "index"})
_TIMES_OF_COMMITS = frozenset({"createdAt", "updatedAt", "reachedAt"})


@command(
    "log",
    examples=[
        "pictact log | less",
        "pictact log --from 1200 --user ann",
        "pictact log --key score:t3_abc:ann --json",
    ],
)
@option("--from", "from_seq", type=IntRange(1), default=1, metavar="SEQ", show_default=True, help="Begin here.")
@option("--key", metavar="KEY", help="Only commits that wrote this key.")
@option("--user", metavar="USER", help="Only commits that wrote a record of this player.")
def log(from_seq: int, key: str | None, user: str | None, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Show every commit of the journal in order: number, time, cause, request id, and what each key became.

    With this an operator can see what happened to a record and redo it by hand. Values in JSON are the whole
    record, null where it was deleted.
    """
    if key is not None:
        keys.parse(key)
    if user is not None:
        check_id(user)
    with opened(data) as store:
        for entry in uninterrupted(store.entries(from_seq)):
            commit = _Commit.of(entry)
            chosen = commit.chosen(key, user)
            if not chosen and (key or user):
                continue
            if as_json:
                print_json(commit.to_dict())
            else:
                for line in commit.lines(chosen):
                    print_line(line)
    return OK


@dataclass(frozen=True, slots=True)
class _Commit:
    """A journal entry with its records decoded; internal records are left out."""

    entry: Entry
    records: dict[str, dict[str, object] | None]

    @classmethod
    def of(cls, entry: Entry) -> Self:
        public = ((key, value) for key, value in dict(entry.changes).items() if keys.is_public(key))
        return cls(entry, {key: None if value is None else codec.decode(key, value).to_dict() for key, value in public})

    def chosen(self, key: str | None, user: str | None) -> list[str]:
        """Return the keys that were asked for."""
        keys_written = list(self.records) if key is None else [key] * (key in self.records)
        return keys_written if user is None else [written for written in keys_written if _is_of(user, written)]

    def to_dict(self) -> dict[str, object]:
        """Return everything, for JSON."""
        entry = self.entry
        return {
            "seq": entry.seq,
            "ts": entry.ts,
            "cause": entry.cause,
            "requestId": entry.request_id,
            "keys": list(self.records),
            "changes": self.records,
        }

    def lines(self, chosen: list[str]) -> Iterator[str]:
        """Yield what people read: the commit, and what became of the keys that were asked for."""
        entry = self.entry
        request = f"  request {entry.request_id}" if entry.request_id else ""
        yield f"{entry.seq}  {moment(entry.ts)}  {entry.cause}{request}"
        for key in chosen:
            yield f"    {key}  {_line_of(key, self.records[key])}"
        if len(chosen) < len(self.records):
            yield f"    and {len(self.records) - len(chosen)} more"


def _is_of(user: str, key: str) -> bool:
    kind, *ids = key.split(":")
    return user in {keys.LIFETIME: ids[:1], keys.HISTORY: ids[:1], keys.SCORE: ids[1:]}.get(kind, [])


def _line_of(key: str, record: dict[str, object] | None) -> str:
    """Return the fields that neither the key nor the commit says already."""
    if record is None:
        return "deleted"
    ids = set(key.split(":")[1:])
    fields = {
        name: value
        for name, value in record.items()
        if name not in _TIMES_OF_COMMITS and not (name in _ID_FIELDS and str(value) in ids)
    }
    return ", ".join(f"{name} {field(name, value)}" for name, value in fields.items())
