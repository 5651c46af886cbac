"""`pictact audit`: what cleanup removed, when and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pictact_actors.cli import terminal
from pictact_actors.cli.command import OK, BadParameter, Context, IntRange, Parameter, ParamType, command, option
from pictact_actors.cli.opening import asked
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import moment, print_json, print_line
from pictact_actors.model.records import DISCARDED, FORGOTTEN

_COLUMNS = (Column("removed at"), Column("what"), Column("reason"), Column("due at"), Column("records"))
_WHAT = {DISCARDED: "details of analytics", FORGOTTEN: "answered requests"}


class Moment(ParamType):  # type: ignore[type-arg]  # older versions of click have none
    """A moment as people or programs write it, as epoch seconds."""

    name = "time"

    def convert(self, value: str | float, param: Parameter | None, ctx: Context | None) -> float:
        """Read epoch seconds or ISO 8601, in UTC unless it says otherwise."""
        try:
            return float(value)
        except ValueError:
            pass
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError as error:
            what = f"{value!r} is neither epoch seconds nor a date like 2024-05-01 or 2024-05-01T12:30"
            raise BadParameter(what, ctx, param) from error
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


@command(
    "audit",
    examples=["pictact audit", "pictact audit --since 2024-05-01", "pictact audit --since 1714521600 --json"],
)
@option("--since", type=Moment(), metavar="TIME", help="Only what was removed from then on: a date, or epoch seconds.")
@option("--limit", type=IntRange(0), metavar="N", help="How many entries at the most.  [default: all]")
def audit(since: float | None, limit: int | None, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Show what cleanup removed, when, why, and how many records of each kind, in the order of time.

    Every match has an entry of its own. Requests that were forgotten have one for each cleanup, and details of
    analytics one for each file in DIR/archive.
    """
    with asked(data) as desk:
        entries = desk.audit(since, limit)
        if as_json:
            for entry in entries:
                print_json(entry)
            return OK
        rows = [_row(entry) for entry in entries]
    if rows:
        terminal.print_table(_COLUMNS, rows)
    else:
        print_line("audit: nothing was removed")
    return OK


def _row(entry: Any) -> tuple[object, ...]:
    what = entry["postId"] or entry["archive"] or _WHAT[entry["reason"]]
    unfinished = "" if entry["done"] else " (so far)"
    counts = ", ".join(f"{count:,} {kind}" for kind, count in entry["removed"].items())
    return moment(entry["updatedAt"]), what, entry["reason"], moment(entry["dueAt"]), f"{counts}{unfinished}"
