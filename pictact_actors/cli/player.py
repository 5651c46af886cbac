"""`pictact player`: a player's lifetime and history."""

from __future__ import annotations

from typing import Any

from pictact_actors.cli import terminal
from pictact_actors.cli.command import OK, argument, command
from pictact_actors.cli.opening import asked
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import field, print_json, print_line, shown

_COLUMNS = (
    Column("completed"),
    Column("match"),
    Column("theme", prose=True),
    *(Column(name, figures=True) for name in ("rank", "points", "wins")),
)
_FIELDS = ("completedAt", "postId", "theme", "rank", "points", "wins")


@command("player", examples=["pictact player ann", "pictact player ann --json"])
@argument("user")
def player(user: str, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Show the lifetime of USER and every match played, oldest first."""
    with asked(data) as desk:
        found = desk.player(user)
    if as_json:
        print_json(found)
    else:
        _show(found)
    return OK


def _show(found: Any) -> None:
    lifetime = found["lifetime"]
    print_line(lifetime["user"])
    for name, told in (
        ("matches played", "matchesPlayed"),
        ("total wins", "totalWins"),
        ("total points", "totalPoints"),
        ("trophies", "trophies"),
    ):
        print_line(f"  {name:<16}{shown(lifetime[told])}")
    if found["matches"]:
        rows = [[field(name, played[name]) for name in _FIELDS] for played in found["matches"]]
        terminal.print_table(_COLUMNS, rows, title="matches")
