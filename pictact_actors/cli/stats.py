"""`pictact stats`: figures of a store."""

from __future__ import annotations

from pictact_actors.cli import terminal
from pictact_actors.cli.command import OK, command
from pictact_actors.cli.opening import asked
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import print_json
from pictact_actors.console.desk import Fields


@command("stats", examples=["pictact stats", "pictact stats --json"])
def stats(data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Show figures of the store: commits, syncs, records in memory, space, and what waits and went wrong in its shards.

    Sizes end in Bytes, times in S (seconds); counts are since the store was opened.
    """
    with asked(data) as desk:
        figures = desk.stats()
    if as_json:
        print_json(figures)
    else:
        _show(figures)
    return OK


def _show(figures: Fields) -> None:
    """Print single figures as one table, and each list of figures as one of its own."""
    lists = {name: value for name, value in figures.items() if isinstance(value, list) and value}
    rows = [(name, value) for name, value in figures.items() if name not in lists]
    terminal.print_table([Column("figure"), Column("value", figures=True)], rows)
    for name, parts in lists.items():
        columns = [Column(str(part_name), figures=True) for part_name in parts[0]]
        terminal.print_table(columns, [list(part.values()) for part in parts], title=name)
