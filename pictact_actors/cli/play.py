"""`pictact play`: a simulated evening of live matches on an embedded store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from pictact_actors.cli import terminal
from pictact_actors.cli.command import FOUND, OK, FloatRange, IntRange, command, option
from pictact_actors.cli.evening import Evening
from pictact_actors.cli.leaderboard import BOARD
from pictact_actors.cli.opening import opened
from pictact_actors.cli.party import Party
from pictact_actors.cli.report import Report
from pictact_actors.clock import SystemClock
from pictact_actors.errors import NotFound
from pictact_actors.store import Store

_PLAIN_S = 5.0
_SEED_MAX = 2**31 - 1


@command(
    "play",
    examples=[
        "pictact play",
        "pictact play --seconds 60 --hosts 8 --matches 40 --players 5000",
        "pictact play --seed 7 --data /tmp/evening --json",
    ],
)
@option("--seconds", type=FloatRange(0, 86_400), default=15, show_default=True, metavar="S", help="How long to play.")
@option("--matches", type=IntRange(1, 10_000), default=8, show_default=True, metavar="N", help="Matches at a time.")
@option(
    "--players", type=IntRange(1, 1_000_000), default=300, show_default=True, metavar="N", help="Players who guess."
)
@option("--hosts", type=IntRange(1, 256), default=4, show_default=True, metavar="N", help="Threads that lead matches.")
@option("--seed", type=IntRange(0, _SEED_MAX), metavar="N", help="The same seed plays the same evening.")
def play(seconds: float, matches: int, players: int, hosts: int, seed: int | None, data: str, as_json: bool) -> int:  # noqa: FBT001 - an option
    """Play a simulated evening of live matches.

    Hosts lead several matches at once on one store: players guess and are mostly wrong, look at their scores and
    at the boards, rounds close, winners get points, matches are completed with trophies. At the end come the
    latencies against the limits of the game (95 % of reads within 100 ms, of writes within 200 ms), the
    leaderboard of the busiest match, and the result of a check of the store.

    Exits 1 if a limit was missed or the check found a problem.
    """
    chosen = random.randrange(_SEED_MAX) if seed is None else seed  # noqa: S311 - a game, no secrets
    with opened(data, create=True) as store:
        party = Party(store, _new_evening(store, chosen, min(hosts, matches), matches, players), seconds)
        report = Report(party, as_json=as_json)
        try:
            with _viewer(as_json=as_json) as look:
                party.run(look)
        except KeyboardInterrupt:
            report.tell_played()
            report.tell_checked(None)
            raise
        report.tell_played()
        problems = store.check()
        report.tell_checked(problems)
    return FOUND if problems or report.missed else OK


def _new_evening(store: Store, seed: int, hosts: int, matches: int, players: int) -> Evening:
    """Return an evening whose matches the store has not seen."""
    started_at = SystemClock().now()
    evenings = (Evening(seed, f"{seed}-{turn}", started_at, hosts, matches, players) for turn in count())
    return next(evening for evening in evenings if not _was_played(store, evening))


def _was_played(store: Store, evening: Evening) -> bool:
    return any(_exists(store, evening.post_id(slot, 0)) for slot in range(evening.matches))


def _exists(store: Store, post_id: str) -> bool:
    try:
        store.match(post_id)
    except NotFound:
        return False
    return True


@contextmanager
def _viewer(*, as_json: bool) -> Iterator[Callable[[Party], None]]:
    if as_json and not terminal.is_watched():
        yield lambda _party: None
    elif terminal.is_watched():
        with terminal.Screen() as screen:
            yield lambda party: _draw(screen, party)
    else:
        yield _Plain().look


def _draw(screen: terminal.Screen, party: Party) -> None:
    post_id = party.busiest_now()
    rows = [(at.rank, at.user, at.points, at.wins) for at in party.board(post_id)]
    share = party.elapsed_s / party.seconds if party.seconds else 1.0
    screen.show(share, _now(party), BOARD, rows, title=f"The busiest match: {post_id}" if post_id else "Matches begin")


class _Plain:
    """A line every few seconds, for logs."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def look(self, party: Party) -> None:
        if party.elapsed_s < self._next_s:
            return
        evening = party.evening
        begun = f"evening {evening.seed} begins: {evening.hosts} hosts, {evening.matches} matches at a time"
        terminal.note(_now(party) if self._next_s else begun)
        self._next_s += _PLAIN_S


def _now(party: Party) -> str:
    done = party.reads + party.writes
    rate = done / party.elapsed_s if party.elapsed_s else 0.0
    return (
        f"{party.elapsed_s:.0f} s of {party.seconds:g} s: {party.completed} matches completed, "
        f"{done:,} operations, {rate:,.0f}/s"
    )
