"""One picture of all cases: how many times as fast as the store everybody is, on a logarithmic scale."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.report import COLUMNS, STORE, cases, rows
from bench.series import Series

COLOURS = {
    "bare parts": "#9e9e9e",
    "bare parts, in bulk": "#c7c7c7",
    "plyvel, striped locks": "#1b9e77",
    "SQLite FULL": "#7570b3",
    "LMDB": "#e6ab02",
    "diskcache FULL": "#a6761d",
    "Redis always": "#d6272b",
}
MARKERS = dict(zip(COLOURS, "||os^Dv", strict=True))
INCHES_A_CASE = 0.27


def draw(series: Series, path: Path) -> None:
    """Write the picture as SVG or PNG, by the path's suffix. Raises `OSError`, `ValueError` for another suffix."""
    shown = [(case, found) for case in cases(series) if STORE in (found := rows(series, case))]
    with mpl.rc_context({"svg.hashsalt": "peers", "font.size": 9}):
        figure = Figure(figsize=(10, 1.6 + INCHES_A_CASE * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(1, color="#1f4e9c", linewidth=2, label=f"{COLUMNS[STORE]} (1x)")
        for title, colour in COLOURS.items():
            points = [
                (found[title].times(found[STORE], case), at) for at, (case, found) in enumerate(shown) if title in found
            ]
            if points:
                across, down = zip(*points, strict=True)
                axes.scatter(across, down, color=colour, marker=MARKERS[title], s=36, label=COLUMNS[title], zorder=3)
        axes.set_xscale("log")
        axes.set_yticks(range(len(shown)), [case.title for case, _ in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(visible=True, color="#e5e5e5")
        axes.set_axisbelow(True)
        axes.set_xlabel("times as fast as the store: left of the line is slower, right is faster")
        figure.legend(loc="outside upper center", ncols=len(COLOURS) + 1, frameon=False, fontsize=8)
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
