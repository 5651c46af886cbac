"""`pictact check`: whether everything in the store fits together."""

from __future__ import annotations

from collections.abc import Sequence

from pictact_actors.cli import terminal
from pictact_actors.cli.command import FOUND, OK, command
from pictact_actors.cli.opening import asked
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import print_json, print_line
from pictact_actors.console.desk import Fields

_COLUMNS = (Column("kind"), Column("key"), Column("problem", prose=True))


@command("check", examples=["pictact check", "pictact check --data /srv/game-data --json"])
def check(data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Check that everything in the store fits together.

    Rounds, scores and analytics have their match, lifetimes equal the sum of their histories, the journal has no
    gap, and the records are what the journal leads to. Changes nothing. Exits 1 if there is a problem.
    """
    with asked(data) as desk:
        problems = desk.check()
    if as_json:
        print_json({"ok": not problems, "problems": problems})
    else:
        tell_problems(problems)
    return FOUND if problems else OK


def tell_problems(problems: Sequence[Fields]) -> None:
    """Print what a check found."""
    if not problems:
        print_line("check: clean, everything fits together")
        return
    rows = [[problem[name] for name in ("kind", "key", "detail")] for problem in problems]
    terminal.print_table(_COLUMNS, rows, title=f"check: {len(rows)} problems")
