"""`pictact log`: the journal, readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pictact_actors.cli.command import FOUND, OK, IntRange, UsageError, command, option
from pictact_actors.cli.former import Former
from pictact_actors.cli.interrupts import uninterrupted
from pictact_actors.cli.opening import opened
from pictact_actors.cli.text import field, moment, print_json, print_line
from pictact_actors.model import codec, keys
from pictact_actors.model.validate import check_id
from pictact_actors.storage.engine import Changes, Entry
from pictact_actors.storage.recovery.proof import Proof, proofs

Fields = Mapping[str, object]

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
@option("--from", "from_seq", type=IntRange(1), metavar="SEQ", help="Begin here; by default with the oldest kept.")
@option("--key", metavar="KEY", help="Only commits that wrote this key.")
@option("--user", metavar="USER", help="Only commits that wrote a record of this player.")
@option("--verify", is_flag=True, help="Read every file of base and journal, and check that each follows the other.")
def log(from_seq: int | None, key: str | None, user: str | None, verify: bool, data: str, as_json: bool) -> int:  # noqa: FBT001 - options
    """Show every commit of the journal in order: number, time, cause, request id, and what each key was and became.

    With this an operator can see what happened to a record and redo it by hand. In JSON `changes` has the whole
    records and `old` what they were before; null where there was none. `old` lacks a key if nobody knows any more.

    With --verify it shows what was checked, and exits 1 with the place if the chain is broken. That only reads:
    opening the store, as every other command does, repairs what it can.
    """
    if verify:
        if from_seq or key or user:
            raise UsageError("--verify reads everything: leave out --from, --key and --user")
        return _verify(Path(data), as_json=as_json)
    if key is not None:
        keys.parse(key)
    if user is not None:
        check_id(user)
    with opened(data) as store:
        store.entries(from_seq)  # raises if that is not kept any more
        former = Former(store)
        for entry in uninterrupted(store.entries()):
            replaced = former.replaced(entry)
            if entry.seq < (from_seq or 0):
                continue
            commit = _Commit.of(entry, replaced)
            chosen = commit.chosen(key, user)
            if not chosen and (key or user):
                continue
            if as_json:
                print_json(commit.to_dict())
            else:
                for line in commit.lines(chosen):
                    print_line(line)
    return OK


def _verify(root: Path, *, as_json: bool) -> int:
    found = list(uninterrupted(proofs(root)))
    flaws = [proof for proof in found if proof.flaw is not None]
    last_seq = max(proof.last_seq for proof in found)
    if as_json:
        print_json({"ok": not flaws, "lastSeq": last_seq, "files": [proof.to_dict() for proof in found]})
        return FOUND if flaws else OK
    for proof in found:
        print_line(f"{proof.file}  {_finding(proof)}")
    print_line(
        f"log --verify: broken in {len(flaws)} of {len(found)} files; `pictact check` opens the store and repairs it"
        if flaws
        else f"log --verify: the chain is whole up to commit {last_seq}"
    )
    return FOUND if flaws else OK


def _finding(proof: Proof) -> str:
    if proof.flaw is not None:
        return f"BROKEN: {proof.flaw}"
    commits = f"commits {proof.first_seq} to {proof.last_seq}, " if proof.first_seq <= proof.last_seq else ""
    torn = f", {proof.torn_bytes:,} bytes of a torn last frame" if proof.torn_bytes else ""
    return f"{commits if proof.last_seq else ''}{proof.size_bytes:,} bytes, whole{torn}"


@dataclass(frozen=True, slots=True)
class _Commit:
    """A journal entry with its records decoded, and those they replaced as far as known; internal ones are left out."""

    entry: Entry
    records: dict[str, Fields | None]
    old: dict[str, Fields | None]

    @classmethod
    def of(cls, entry: Entry, replaced: Changes) -> Self:
        return cls(entry, _decoded(entry.changes), _decoded(replaced))

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
            "old": self.old,
        }

    def lines(self, chosen: list[str]) -> Iterator[str]:
        """Yield what people read: the commit, and what became of the keys that were asked for."""
        entry = self.entry
        request = f"  request {entry.request_id}" if entry.request_id else ""
        yield f"{entry.seq}  {moment(entry.ts)}  {entry.cause}{request}"
        for key in chosen:
            yield f"    {key}  {_line_of(key, self.old.get(key), self.records[key])}"
        if len(chosen) < len(self.records):
            yield f"    and {len(self.records) - len(chosen)} more"


def _decoded(changes: Changes) -> dict[str, Fields | None]:
    return {
        key: None if value is None else codec.decode(key, value).to_dict()
        for key, value in changes.items()
        if keys.is_public(key)
    }


def _is_of(user: str, key: str) -> bool:
    kind, *ids = key.split(":")
    return user in {keys.LIFETIME: ids[:1], keys.HISTORY: ids[:1], keys.SCORE: ids[1:]}.get(kind, [])


def _line_of(key: str, old: Fields | None, new: Fields | None) -> str:
    """Return the fields that changed, but those that the key or the commit says already."""
    if new is None:
        return "deleted" if old is None else f"deleted; it was {_shown(_told(key, old))}"
    if old is None:
        return _shown(_told(key, new))
    before, after = _told(key, old), _told(key, new)
    changed = [
        f"{name} {field(name, before.get(name))} -> {field(name, after.get(name))}"
        for name in {**after, **before}
        if before.get(name) != after.get(name)
    ]
    return ", ".join(changed) or "written again as it was"


def _told(key: str, record: Fields) -> Fields:
    """Return the fields that neither the key nor the commit says already."""
    ids = set(key.split(":")[1:])
    return {
        name: value
        for name, value in record.items()
        if name not in _TIMES_OF_COMMITS and not (name in _ID_FIELDS and str(value) in ids)
    }


def _shown(fields: Fields) -> str:
    return ", ".join(f"{name} {field(name, value)}" for name, value in fields.items())
