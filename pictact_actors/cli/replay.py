"""`pictact replay`: feed a game log through the actors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pictact_actors.cli import terminal
from pictact_actors.cli.command import (
    FOUND,
    OK,
    BadParameter,
    Context,
    IntRange,
    Parameter,
    Path,
    argument,
    command,
    complain,
    option,
)
from pictact_actors.cli.foresight import Foresight
from pictact_actors.cli.gamelog import messages
from pictact_actors.cli.hindsight import Hindsight
from pictact_actors.cli.lines import BadLine, bytes_of, opened_lines, path_of, read_lines
from pictact_actors.cli.opening import opened
from pictact_actors.cli.replaying import LogClock, Pace, Replay, Tally
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import print_json
from pictact_actors.clock import monotonic
from pictact_actors.config import PERIOD_S_MAX, StoreConfig
from pictact_actors.errors import StoreError


def _speed(_ctx: Context, _parameter: Parameter, value: str) -> float | None:
    """Return how many times faster than the log's time to send; None for as fast as possible."""
    if value == "max":
        return None
    try:
        speed = 1.0 if value == "real" else float(value.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise BadParameter("must be max, real, or a factor such as 60x")
    return speed


@command(
    "replay",
    examples=[
        "pictact replay games.jsonl --data game-data --hosts 8",
        "pictact replay games.jsonl --speed 3600x       # an hour of the log a second",
        "zcat games.jsonl.gz | pictact replay -         # from a pipe",
    ],
)
@argument("log", type=Path(exists=True, dir_okay=False, allow_dash=True))
@option(
    "--hosts",
    type=IntRange(1, 256),
    default=4,
    show_default=True,
    metavar="N",
    help="Hosts that send at the same time.",
)
@option("--speed", default="max", show_default=True, metavar="max|real|Nx", callback=_speed, help="How fast to send.")
def replay(log: str, hosts: int, speed: float | None, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Feed a game LOG through the actors.

    LOG has one message a line in JSON: its type (a command's name), its ts (epoch seconds), the command's fields
    in camelCase and, if you like, a requestId. The order within a match and within a user is kept, and replaying
    the same log again changes nothing. The store's clock follows ts, so matches expire as they would have: in the
    end the boards have those of the log's last days, the players' histories all of them, and pictact audit says
    which are gone.

    Lines that are not valid, and messages that the store rejects, are reported with their number and skipped.
    Exits 1 if a line was not valid.
    """
    clock, tally, pace = LogClock(), Tally(), Pace(speed)
    config = StoreConfig(cleanup_interval_s=PERIOD_S_MAX, audit_expiry_s=PERIOD_S_MAX)  # cleanup is the replay's
    with (
        opened_lines(log) as file,
        opened(data, create=True, config=config, clock=clock) as store,
        _told(tally, as_json=as_json),
        Replay(store, clock, tally, hosts=hosts, on_refusal=_report) as running,
        terminal.progress("replaying", bytes_of(log)) as done,
    ):
        foresight, hindsight = Foresight(store, path_of(log)), Hindsight(store)
        for entry in messages(read_lines(file)):
            if isinstance(entry, BadLine):
                tally.invalid += 1
                complain(f"line {entry.number} skipped: {entry.reason}")
            else:
                _wait(pace.wait_s(entry.ts))
                if hindsight.is_past(entry):
                    running.pass_over(entry)
                else:
                    running.send(entry, refusal=foresight.refusal(entry))
            done(entry.offset)
        running.finish()
    return FOUND if tally.invalid else OK


def _report(number: int, error: StoreError) -> None:
    complain(f"line {number} rejected: {error}")


def _wait(wait_s: float) -> None:
    if wait_s > 0:
        threading.Event().wait(wait_s)


@contextmanager
def _told(tally: Tally, *, as_json: bool) -> Iterator[None]:
    """Say at the end what was done, also when a signal or an error ended it."""
    began = monotonic()
    try:
        yield
    finally:
        tally.elapsed_s = monotonic() - began
        if as_json:
            print_json(tally.to_dict())
        else:
            _print_tally(tally)


def _print_tally(tally: Tally) -> None:
    figures = tally.to_dict()
    columns = [Column(name, figures=True) for name in ("applied", "rejected", "skipped", "seconds", "per second")]
    terminal.print_table(columns, [list(figures.values())])
