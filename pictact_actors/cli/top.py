"""`pictact top`: a running store, live."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pictact_actors.cli import terminal
from pictact_actors.cli.command import OK, FloatRange, command, complain, option
from pictact_actors.cli.picture import Figures, Look, duration, headline, picture
from pictact_actors.cli.text import print_json
from pictact_actors.clock import monotonic
from pictact_actors.console.remote import RemoteDesk
from pictact_actors.errors import NotAStore, OutcomeUnknown, Rejected, StoreClosed

GONE_S = 30.0
"""How long a store that is closed may take to come back."""
_ANSWER_S = 5.0
_GONE = (Rejected, OutcomeUnknown)
"""Its process has closed it, ended, hangs, or has more callers than it answers."""


@command(
    "top",
    examples=["pictact top", "pictact top --data /srv/game-data --interval 5", "pictact top --once --json"],
)
@option(
    "--interval",
    "interval_s",
    type=FloatRange(0.1, 3_600),
    default=1,
    show_default=True,
    metavar="S",
    help="Seconds between two pictures.",
)
@option("--once", is_flag=True, help="Show one picture and end.")
def top(interval_s: float, once: bool, data: str, as_json: bool) -> int:  # noqa: FBT001 - options
    """Watch a store that another process has open: what it does each second, how long that takes, and what waits.

    A store that is closed has 30 s to be opened again; then, or if nobody has it open to begin with, this exits 1.
    Ctrl-C ends it.
    """
    if not Path(data).is_dir():
        raise NotAStore(data, "there is none; check the path")
    unanswered = StoreClosed(f"nobody who has {data} open answers: open the store (with console=True), then look again")
    desk = RemoteDesk(data, unanswered, _ANSWER_S)
    before: Figures = desk.stats()
    with _viewer(data, as_json=as_json, once=once) as view:
        while True:
            threading.Event().wait(interval_s)
            now = desk.stats() if once else _found_again(desk, interval_s, view.tell)
            view.show(Look(before, now))
            if once:
                return OK
            before = now


def _found_again(desk: RemoteDesk, interval_s: float, tell: Callable[[str], None]) -> Figures:
    """Return the figures; of a store that is gone, when it is back. Raises what it met last after `GONE_S`."""
    since = monotonic()
    while True:
        try:
            return desk.stats()
        except _GONE:
            gone_s = monotonic() - since
            if gone_s > GONE_S:
                raise
            tell(f"the store is closed or gone; waiting {duration(GONE_S - gone_s)} for it to come back")
            threading.Event().wait(interval_s)


@contextmanager
def _viewer(data: str, *, as_json: bool, once: bool) -> Iterator[_Lines | _Live]:
    """Yield what shows looks, and tells that there is none."""
    if as_json:
        yield _Lines(lambda look: print_json(look.to_dict()))
    elif once or not terminal.is_shown():
        yield _Lines(lambda look: terminal.print_parts(headline(data, look), picture(look)))
    else:
        with terminal.Panel() as panel:
            yield _Live(data, panel)


class _Lines:
    """One look below the other."""

    def __init__(self, draw: Callable[[Look], None]) -> None:
        self._draw = draw
        self._told = False

    def show(self, look: Look) -> None:
        """Print a look."""
        self._told = False
        self._draw(look)
        sys.stdout.flush()

    def tell(self, line: str) -> None:
        """Say that there is none, once."""
        if not self._told:
            complain(line)
        self._told = True


class _Live:
    """One look in the place of the other."""

    def __init__(self, data: str, panel: terminal.Panel) -> None:
        self._data = data
        self._panel = panel
        self._latest: Look | None = None

    def show(self, look: Look) -> None:
        """Draw a look."""
        self._latest = look
        self._panel.show(headline(self._data, look), picture(look))

    def tell(self, line: str) -> None:
        """Say above the latest look that there is no newer one."""
        self._panel.show(line, [] if self._latest is None else picture(self._latest), is_stale=True)
