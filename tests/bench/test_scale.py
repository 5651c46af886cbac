"""The boards of many players: measured by another process, checked, and held against their limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from bench import scale
from bench.scale import SIZES, Cost, Figures
from pictact_actors import Store


def figures(players: int = 5_000_000, **others: float) -> Figures:
    costs = {name: Cost(999.0, 99_999.0, 99_999.0) for name in scale.TITLES}
    found = Figures(players, costs, opening_s=4.9, memory_mb=363.0, disk_mb=12_345.6, building_s=1_234.5)
    return found._replace(**others)


def test_the_command_measures_and_writes_its_figures_as_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "figures.json"
    missed = scale.main(["--players", "300", "--calls", "20", "--dir", str(tmp_path), "--json", str(data)])
    (found,) = json.loads(data.read_text())
    assert (found["players"], set(found["costs"])) == (300, set(scale.TITLES))
    assert all(0 < cost["p50"] <= cost["p95"] <= cost["p99"] for cost in found["costs"].values())
    assert found["memory_mb"] > 10
    assert "a player's rank" in capsys.readouterr().out
    assert missed in {0, 1}
    assert not list(tmp_path.glob(".bench-*"))


def test_players_have_names_of_their_own_and_the_same_totals_in_every_run() -> None:
    assert len({scale.name_of(number) for number in range(10_000)}) == 10_000
    assert scale.player(7) == scale.player(7)


def test_a_store_grows_from_size_to_size(tmp_path: Path) -> None:
    told: list[int] = []
    with Store.open(tmp_path / "store") as store:
        scale.grow(store, range(4_500), told.append)
        scale.grow(store, range(4_500, 5_000))
        assert store.lifetime_leaderboard(offset=4_999)[0].rank > 3_000
        assert store.lifetime_leaderboard(offset=5_000) == []
    assert told == [4_000, 500]


@pytest.mark.parametrize(
    ("others", "missed"),
    [({}, 0), ({"opening_s": 5.1}, 1), ({"memory_mb": 365.0}, 1)],
)
def test_what_is_beyond_its_limit_is_named(others: dict[str, float], missed: int) -> None:
    assert len(list(figures(**others).misses())) == missed


def test_the_table_fits_a_terminal_of_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    scale._show([figures(size) for size in SIZES], Console(width=100))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert not any("…" in line for line in lines)


def test_what_takes_more_than_twice_as_long_among_the_most_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    few, many = figures(1_000), figures()
    slower = many._replace(costs={**many.costs, "standing": Cost(2_100.0, 9_999.0, 9_999.0)})
    scale._show([few, slower], Console(width=100))
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("NOT REACHED")]
    assert told == ["NOT REACHED   a player's rank: 2.1 times as long, the aim is 2"]
