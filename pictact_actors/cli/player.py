"""`pictact player`: a player's lifetime and history."""

from __future__ import annotations

from pictact_actors.cli import terminal
from pictact_actors.cli.command import OK, argument, command
from pictact_actors.cli.opening import opened
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import moment, print_json, print_line, shown
from pictact_actors.model.records import Player

_COLUMNS = (
    Column("completed"),
    Column("match"),
    Column("theme", prose=True),
    *(Column(name, figures=True) for name in ("rank", "points", "wins")),
)


@command("player", examples=["pictact player ann", "pictact player ann --json"])
@argument("user")
def player(user: str, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Show the lifetime of USER and every match played, oldest first."""
    with opened(data) as store:
        found = store.player(user)
    if as_json:
        print_json(found.to_dict())
    else:
        _show(found)
    return OK


def _show(found: Player) -> None:
    lifetime = found.lifetime
    print_line(lifetime.user)
    for name, value in (
        ("matches played", lifetime.matches_played),
        ("total wins", lifetime.total_wins),
        ("total points", lifetime.total_points),
        ("trophies", lifetime.trophies),
    ):
        print_line(f"  {name:<16}{shown(value)}")
    if found.matches:
        rows = [(moment(m.completed_at), m.post_id, m.theme, m.rank, m.points, m.wins) for m in found.matches]
        terminal.print_table(_COLUMNS, rows, title="matches")
