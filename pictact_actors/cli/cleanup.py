"""`pictact cleanup`: remove what is due, now."""

from __future__ import annotations

from typing import Any

from pictact_actors.cli.command import OK, command
from pictact_actors.cli.opening import asked
from pictact_actors.cli.text import print_json, print_line


@command("cleanup", examples=["pictact cleanup", "pictact cleanup --json"])
def cleanup(data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Remove what is due at once, and say what that was.

    A match goes 7 days after it was completed or cancelled, with its rounds, scores, analytics and request ids.
    Details of analytics go to the archive after 30 days: files of gzipped JSON Lines in DIR/archive. Lifetimes,
    histories and trophies are never removed. An open store does this by itself; `pictact audit` shows what went.
    """
    with asked(data) as desk:
        report = desk.cleanup()
    if as_json:
        print_json(report)
    else:
        print_line(_told(report))
    return OK


def _told(report: Any) -> str:
    if not report["records"]:
        return "cleanup: nothing is due"
    counts = (
        (report["matches"], "matches"),
        (report["details"], "details of analytics"),
        (report["requests"], "answered requests of users"),
        (report["audits"], "entries of the audit"),
    )
    parts = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    return f"cleanup: {parts} removed, {report['records']:,} records in {report['seconds']:.1f} s"
