"""What is told at the end of an evening, to people or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from pictact_actors.cli import terminal
from pictact_actors.cli.check import tell_problems
from pictact_actors.cli.latency import Latency
from pictact_actors.cli.leaderboard import BOARD
from pictact_actors.cli.party import Party
from pictact_actors.cli.terminal import Column
from pictact_actors.cli.text import print_json, print_line
from pictact_actors.model.records import Standing
from pictact_actors.storage.engine import Problem

_COLUMNS = (
    Column("operation"),
    *(Column(name, figures=True) for name in ("count", "p50", "p95", "p99", "max", "limit")),
    Column("kept"),
)


class Report:
    """The figures of a party, taken when it is over."""

    def __init__(self, party: Party, *, as_json: bool) -> None:
        self._party = party
        self._as_json = as_json
        self._latencies: Sequence[Latency] = ()
        self._post_id = ""
        self._board: Sequence[Standing] = ()

    @property
    def missed(self) -> list[str]:
        """The operations that missed their limit."""
        return [latency.operation for latency in self._latencies if not latency.is_kept]

    def tell_played(self) -> None:
        """Tell how it went, except for the check."""
        party = self._party
        self._latencies = party.latencies()
        self._post_id = party.busiest_ever()
        self._board = party.board(self._post_id)
        if self._as_json:
            return
        for headline in _headlines(party):
            print_line(headline)
        terminal.print_table(
            _COLUMNS, [_row(latency) for latency in self._latencies], title="Latency in ms; p95 is to keep the limit"
        )
        if self._board:
            rows = [(at.rank, at.user, at.points, at.wins) for at in self._board]
            terminal.print_table(BOARD, rows, title=f"Leaderboard of {self._post_id}")

    def tell_checked(self, problems: Sequence[Problem] | None) -> None:
        """Tell what the check found; None if there was none."""
        if self._as_json:
            print_json(self._to_dict(problems))
            return
        print_line("")
        if self.missed:
            print_line(f"limit missed: {', '.join(self.missed)}")
        if problems is None:
            print_line("stopped before the end, the store was not checked")
        else:
            tell_problems([problem.to_dict() for problem in problems])

    def _to_dict(self, problems: Sequence[Problem] | None) -> dict[str, object]:
        party, evening = self._party, self._party.evening
        return {
            "seed": evening.seed,
            "hosts": evening.hosts,
            "matches": evening.matches,
            "players": evening.players,
            "seconds": round(party.elapsed_s, 3),
            "completed": party.completed,
            "reads": party.reads,
            "writes": party.writes,
            "repeated": party.repeated,
            "perS": round(_rate(party), 1),
            "latencies": [latency.to_dict() for latency in self._latencies],
            "missed": self.missed,
            "postId": self._post_id,
            "leaderboard": [standing.to_dict() for standing in self._board],
            "checked": problems is not None,
            "problems": [problem.to_dict() for problem in problems or ()],
        }


def _rate(party: Party) -> float:
    return (party.reads + party.writes) / party.elapsed_s if party.elapsed_s else 0.0


def _headlines(party: Party) -> tuple[str, str]:
    evening = party.evening
    who = f"{evening.hosts} hosts, {evening.matches} matches at a time, {evening.players:,} players"
    what = f"{party.reads:,} reads, {party.writes:,} writes ({party.repeated} repeated)"
    return (
        f"Evening {evening.seed}: {who}, {party.elapsed_s:.1f} s",
        f"{party.completed} matches completed, {what}, {_rate(party):,.0f} operations/s",
    )


def _row(latency: Latency) -> tuple[object, ...]:
    figures = (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms)
    verdict = "yes" if latency.is_kept else "NO"
    return (latency.operation, latency.count, *(f"{ms:,.3f}" for ms in figures), f"{latency.limit_ms:g}", verdict)
