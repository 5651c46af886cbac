"""`pictact leaderboard`: who is ahead, in one match or over all of them."""

from __future__ import annotations

from pictact_actors.cli import terminal
from pictact_actors.cli.command import OK, Choice, IntRange, UsageError, argument, command, option
from pictact_actors.cli.opening import asked
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import print_json, print_line
from pictact_actors.model.ranking import LIFETIME_ORDERS

BOARD = (Column("rank", figures=True), Column("player"), Column("points", figures=True), Column("wins", figures=True))
_LIFETIME_BOARD = (*BOARD, Column("matches", figures=True))
_FIELDS = ("rank", "user", "points", "wins")


@command(
    "leaderboard",
    examples=[
        "pictact leaderboard t3_abc",
        "pictact leaderboard t3_abc --limit 20 --offset 20",
        "pictact leaderboard --by total_points --json",
    ],
)
@argument("post", required=False)
@option("--limit", type=IntRange(0), default=10, show_default=True, metavar="N", help="How many places.")
@option(
    "--offset", type=IntRange(0), default=0, show_default=True, metavar="N", help="How many places to leave out first."
)
@option("--by", type=Choice(LIFETIME_ORDERS), help="What counts on the lifetime board.  [default: total_wins]")
def leaderboard(post: str | None, limit: int, offset: int, by: str | None, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Show the leaderboard of the match POST, or the lifetime board of all players.

    Players with equal points and wins share a rank.
    """
    if post is not None and by is not None:
        raise UsageError("--by is for the lifetime board; leave POST or --by out")
    with asked(data) as desk:
        board = desk.leaderboard(post, by, limit, offset)
    if as_json:
        for at in board:
            print_json(at)
    elif not board:
        print_line("nobody has a place here yet")
    elif post is not None:
        terminal.print_table(BOARD, [[at[name] for name in _FIELDS] for at in board])
    else:
        terminal.print_table(_LIFETIME_BOARD, [[at[name] for name in (*_FIELDS, "matchesPlayed")] for at in board])
    return OK
