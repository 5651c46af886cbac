"""The command line, `pictact`. One file for each command."""

from __future__ import annotations

from importlib.metadata import version

from pictact_actors.cli import interrupts
from pictact_actors.cli.audit import audit
from pictact_actors.cli.backup import backup
from pictact_actors.cli.check import check
from pictact_actors.cli.cleanup import cleanup
from pictact_actors.cli.command import Program
from pictact_actors.cli.export import export
from pictact_actors.cli.get import get
from pictact_actors.cli.importing import import_records
from pictact_actors.cli.leaderboard import leaderboard
from pictact_actors.cli.log import log
from pictact_actors.cli.play import play
from pictact_actors.cli.player import player
from pictact_actors.cli.replay import replay
from pictact_actors.cli.restore import restore
from pictact_actors.cli.stats import stats
from pictact_actors.cli.top import top

__all__ = ["main", "program"]

program = Program(
    [
        *(play, replay, leaderboard, player, get, log, check, audit, cleanup),
        *(backup, restore, stats, top, export, import_records),
    ],
    text="""PicTact's matches, scores and players in one durable store.

    Every command works on a data directory (--data, game-data unless you say otherwise). While another process has it
    open, get, leaderboard, player, log, check, audit, cleanup, backup, stats and top ask that process; the others need
    the directory for themselves. Exit codes: 0 done, 1 found a problem, 2 bad use.
    """,
    version=version("pictact-actors"),
)


def main() -> None:
    """Run the program and leave the process."""
    try:
        program.main(prog_name="pictact")
    except interrupts.Stopped as stopped:  # before the command began or after it ended
        raise SystemExit(stopped.exit_code) from None
    finally:
        interrupts.ignore()
