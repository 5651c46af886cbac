"""`pictact backup`: copy the store while it is as it is, or verify the copies there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pictact_actors.backups import NAME
from pictact_actors.cli import terminal
from pictact_actors.cli.command import FOUND, OK, argument, command, option
from pictact_actors.cli.opening import asked
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import moment, print_json, print_line
from pictact_actors.errors import BackupInvalid
from pictact_actors.storage.backup.backup import verdicts
from pictact_actors.storage.backup.manifest import BackupInfo

_COLUMNS = (
    Column("backup"),
    Column("of"),
    Column("seq", figures=True),
    Column("records", figures=True),
    Column("verdict", prose=True),
)


@command(
    "backup",
    examples=["pictact backup", "pictact backup /mnt/other-disk/game", "pictact backup /mnt/other-disk/game --verify"],
)
@argument("directory", metavar="[DIR]", required=False)
@option("--verify", is_flag=True, help="Read every backup in DIR and compare it with itself, instead of taking one.")
def backup(data: str, directory: str | None, verify: bool, as_json: bool) -> int:  # noqa: FBT001 - options
    """Copy the store into DIR, which can hold many backups of it; by default backups in the data directory.

    The copy is read back and compared with the store before this says that it is good. --verify changes nothing and
    exits 1 if a backup is bad. For restoring: pictact restore.
    """
    if verify:
        return _verify(Path(directory) if directory else Path(data) / NAME, as_json=as_json)
    with asked(data) as desk:
        info: Any = desk.backup(directory)
    if as_json:
        print_json(info)
    else:
        print_line(
            f"backup: {info['records']:,} records as of commit {info['seq']} ({moment(info['ts'])}), "
            f"{info['copiedBytes']:,} of {info['sizeBytes']:,} bytes copied"
        )
        print_line(info["path"])
    return OK


def _verify(place: Path, *, as_json: bool) -> int:
    bad = 0
    rows: list[tuple[object, ...]] = []
    for path, verdict in verdicts(place):
        bad += isinstance(verdict, BackupInvalid)
        if as_json:
            print_json(_plain(path, verdict))
        elif isinstance(verdict, BackupInfo):
            rows.append((path.name, moment(verdict.ts), verdict.seq, f"{verdict.records:,}", "good"))
        else:
            rows.append((path.name, "", "", "", f"BAD: {verdict}"))
    if rows:
        terminal.print_table(_COLUMNS, rows, title=f"{place}: {len(rows) - bad} good, {bad} bad")
    return FOUND if bad else OK


def _plain(path: Path, verdict: BackupInfo | BackupInvalid) -> dict[str, object]:
    if isinstance(verdict, BackupInfo):
        return {"ok": True, **verdict.to_dict()}
    return {"ok": False, "path": str(path), "problem": str(verdict)}
