"""`pictact restore`: the store as it was, in a new directory."""

from __future__ import annotations

from pictact_actors.cli.command import OK, FloatRange, IntRange, UsageError, argument, command, option
from pictact_actors.cli.text import moment, print_json, print_line
from pictact_actors.store import Store


@command(
    "restore",
    examples=[
        "pictact restore game-data/backups restored",
        "pictact restore game-data/backups --data restored --to-seq 123456",
        "pictact restore game-data restored --to-time 1767225600",
    ],
)
@argument("backup")
@argument("path", required=False)
@option("--to-seq", type=IntRange(min=0), metavar="N", help="As of commit N; see: pictact log.")
@option("--to-time", type=FloatRange(min=0), metavar="TS", help="As of the last commit at that time, in epoch seconds.")
def restore(
    data: str,
    backup: str,
    path: str | None,
    to_seq: int | None,
    to_time: float | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Build the store from BACKUP in the new directory PATH (or --data), as of the backup or any commit since.

    BACKUP is a .backup file, a directory with backups (the latest, or the best for the moment), or a data directory,
    even one that does not open any more. Nothing is overwritten; what was built is verified before it gets its name.
    """
    if to_seq is not None and to_time is not None:
        raise UsageError("give --to-seq or --to-time, not both")
    report = Store.restore(backup, path or data, to_seq=to_seq, to_time=to_time)
    if as_json:
        print_json(report.to_dict())
    else:
        print_line(f"restore: {report.records:,} records as of commit {report.seq} ({moment(report.ts)})")
        print_line(report.path)
    return OK
