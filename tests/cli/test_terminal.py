"""What a person at a terminal sees. The child's terminal is a pty of a chosen width."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from ran import Start

from pictact_actors.cli.terminal import Column, print_table


class Terminal:
    """The other end of a terminal that children write to."""

    def __init__(self, columns: int, rows: int = 40) -> None:
        self._master, self.end = os.openpty()
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def shown(self, child: subprocess.Popen[str]) -> str:
        """Return everything that the child shows until it ends."""
        os.close(self.end)
        parts = []
        try:
            while part := os.read(self._master, 65_536):
                parts.append(part)
        except OSError:  # the child has gone, and its end with it
            pass
        os.close(self._master)
        child.wait()
        return b"".join(parts).decode()


def test_columns_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Column("player"), Column("points", figures=True)], [("ann", 7), ("bartholomew", 1_000)], title="Board")
    assert capsys.readouterr().out.splitlines() == [
        "",
        "Board",
        "player        points",
        "────────────────────",
        "ann                7",
        "bartholomew    1,000",
    ]


def test_nothing_in_a_cell_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Column("value")], [("\x1b[2J[bold]:smile:",)])
    assert "\\x1b[2J[bold]:smile:" in capsys.readouterr().out


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_a_narrow_terminal_cuts_nothing_off(start: Start, columns: int) -> None:
    terminal = Terminal(columns)
    shown = terminal.shown(start("player", "bob", stdout=terminal.end, env={"TERM": "xterm"}))
    for text in ("t3_done", "sunsets", "Z ", "best"):
        assert text in shown


def test_a_live_board_goes_to_the_terminal_and_the_report_to_stdout(start: Start) -> None:
    terminal = Terminal(100)
    child = start("play", "--seconds", "1", stderr=terminal.end)
    live = terminal.shown(child)
    assert child.stdout is not None
    report = child.stdout.read()
    assert "The busiest match: t3_" in live
    assert "━" in live
    assert "p95" in report
    assert "\x1b" not in report


def test_a_replay_shows_a_bar_and_complaints_above_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("hello\n" * 3)
    terminal = Terminal(100)
    child = start("replay", str(tmp_path / "log.jsonl"), stderr=terminal.end)
    shown = terminal.shown(child)
    assert "replaying" in shown
    assert [f"line {n} skipped" in shown for n in (1, 2, 3)] == [True] * 3
