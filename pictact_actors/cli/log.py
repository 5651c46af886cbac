"""`pictact log`: the journal, readable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pictact_actors.cli.command import FOUND, OK, IntRange, UsageError, command, option
from pictact_actors.cli.interrupts import uninterrupted
from pictact_actors.cli.opening import asked
from pictact_actors.cli.text import field, moment, print_json, print_line
from pictact_actors.console.counter import chosen
from pictact_actors.console.desk import Commit, Fields
from pictact_actors.storage.recovery.proof import Proof, proofs

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
    with asked(data) as desk:
        for commit in desk.log(from_seq, key, user):
            if as_json:
                print_json(commit.to_dict())
            else:
                for line in _lines(commit, chosen(commit, key, user)):
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


def _lines(commit: Commit, keys_chosen: Sequence[str]) -> Iterator[str]:
    """Yield what people read: the commit, and what became of the keys that were asked for."""
    request = f"  request {commit.request_id}" if commit.request_id else ""
    yield f"{commit.seq}  {moment(commit.ts)}  {commit.cause}{request}"
    for key in keys_chosen:
        yield f"    {key}  {_line_of(key, commit.old.get(key), commit.records[key])}"
    if len(keys_chosen) < len(commit.records):
        yield f"    and {len(commit.records) - len(keys_chosen)} more"


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
