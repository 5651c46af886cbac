"""What people see: tables, progress bars, live views. The only importer of rich.

Tables go to stdout, progress to stderr and only if that is a terminal, so stdout stays clean for pipes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pictact_actors.cli.text import shown

_UNBROKEN = 10_000
"""Columns of an output that is no terminal: a pipe gets each row on one line."""
_PROSE = 24
"""Columns that prose is folded to at the least."""
_GAP = 3


class Column(NamedTuple):
    """The head of a column. Figures stand on the right; prose is folded when the terminal is narrow."""

    name: str
    figures: bool = False
    prose: bool = False


class Part(NamedTuple):
    """A table of a larger picture."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]


def _console(*, err: bool = False) -> Console:
    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else _UNBROKEN
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def is_watched() -> bool:
    """Whether somebody looks at stderr: only then is progress shown."""
    return sys.stderr.isatty()


def is_shown() -> bool:
    """Whether somebody looks at stdout: only then is it drawn anew."""
    return sys.stdout.isatty()


def print_parts(headline: str, parts: Iterable[Part]) -> None:
    """Print several tables to stdout, one below the other."""
    sys.stdout.write(f"{shown(headline)}\n")
    for part in parts:
        print_table(part.columns, part.rows, title=part.title)
    sys.stdout.write("\n")


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table to stdout, set apart by a blank line if it has a title."""
    cells = [[shown(cell) for cell in row] for row in rows]
    console = _console()
    # On a terminal that is too narrow the lines wrap: that reads badly, but nothing is cut off.
    console.width = max(console.width, _width_min(columns, cells))
    with console.capture() as drawn:
        if title:
            console.print(Text(f"\n{shown(title)}", style="bold"))
        console.print(_table(columns, cells))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def _width_min(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> int:
    widths = [max(map(cell_len, texts)) for texts in zip([column.name for column in columns], *cells, strict=True)]
    folded = [min(width, _PROSE) if column.prose else width for column, width in zip(columns, widths, strict=True)]
    return sum(folded) + _GAP * (len(columns) - 1)


def note(line: str) -> None:
    """Print one line of text to stderr."""
    _console(err=True).print(Text(shown(line)), soft_wrap=True)


def _table(columns: Sequence[Column], cells: Iterable[Sequence[str]]) -> Table:
    is_headed = any(column.name for column in columns)
    table = Table(box=box.SIMPLE_HEAD if is_headed else None, show_edge=False, pad_edge=False, show_header=is_headed)
    for column in columns:
        justify: JustifyMethod = "right" if column.figures else "left"
        table.add_column(column.name, justify=justify, no_wrap=not column.prose, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


class Screen:
    """A bar, a line and a table on stderr, drawn anew by `show`; gone when the block ends."""

    def __init__(self) -> None:
        self._live = Live(console=_console(err=True), transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._live.stop()

    def show(
        self, share: float, line: str, columns: Sequence[Column], rows: Iterable[Sequence[object]], *, title: str
    ) -> None:
        """Draw; `share` (0 to 1) is how much of the bar is full."""
        picture = Table.grid()
        picture.add_row(ProgressBar(total=1.0, completed=min(share, 1.0), width=60))
        picture.add_row(Text(shown(line)))
        picture.add_row(Text(f"\n{shown(title)}", style="bold"))
        picture.add_row(_table(columns, [[shown(cell) for cell in row] for row in rows]))
        self._live.update(picture, refresh=True)


class Panel:
    """The whole terminal, drawn anew by `show`; as it was before when the block ends."""

    def __init__(self) -> None:
        self._live = Live(console=_console(), screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._live.stop()

    def show(self, headline: str, parts: Iterable[Part], *, is_stale: bool = False) -> None:
        """Draw several tables; what is below the end of the terminal is not seen."""
        picture = Table.grid()
        picture.add_row(Text(shown(headline), style="bold red" if is_stale else "bold"))
        for part in parts:
            if part.title:
                picture.add_row(Text(f"\n{shown(part.title)}", style="bold"))
            picture.add_row(_table(part.columns, [[shown(cell) for cell in row] for row in part.rows]))
        self._live.update(picture, refresh=True)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs; call what is yielded with the total done so far.

    Where nobody knows the total (None), the count is shown.
    """
    if not is_watched():
        yield lambda _done: None
        return
    share = TextColumn("{task.completed:,.0f}") if total is None else TaskProgressColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), share, TimeElapsedColumn())
    with Progress(*columns, console=_console(err=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
