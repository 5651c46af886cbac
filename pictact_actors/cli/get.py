"""`pictact get`: one record."""

from __future__ import annotations

from pictact_actors.cli import terminal
from pictact_actors.cli.command import OK, argument, command
from pictact_actors.cli.opening import asked
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import field, print_json


@command(
    "get",
    examples=[
        "pictact get match:t3_abc",
        "pictact get round:t3_abc:0",
        "pictact get score:t3_abc:ann --json",
        "pictact get lifetime:ann",
    ],
)
@argument("key")
def get(key: str, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Show the record under KEY.

    Keys are match:POST, round:POST:INDEX, score:POST:USER, analytics:POST, lifetime:USER and history:USER:POST.
    Exits 1 if there is none.
    """
    with asked(data) as desk:
        record = desk.get(key)
    if as_json:
        print_json(record)
    else:
        rows = [(name, field(name, value)) for name, value in record.items()]
        terminal.print_table([Column("field"), Column("value", prose=True)], rows, title=key)
    return OK
