"""`python -m bench hosts`: with wrk and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest

from bench.hosts import drive, harness
from bench.hosts.crowd import Lost

FEW = ["--seconds", "1", "--connections", "4", "--awards", "40"]


@pytest.mark.parametrize("tool", ["wrk", "our own client"])
def test_a_host_is_driven_killed_and_found_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    if tool != "wrk":
        monkeypatch.setattr(drive.shutil, "which", lambda _name: None)
    elif drive.wrk() is None:
        pytest.skip("NOT CHECKED: wrk is not installed here")
    figures = tmp_path / "figures.json"
    host = "bot" if tool == "wrk" else "web"
    assert harness.main([*FEW, "--only", host, "--dir", str(tmp_path), "--json", str(figures)]) == 0
    (found,) = json.loads(figures.read_text())
    assert all(0 < side["p50"] <= side["p95"] <= side["p99"] for side in found["figures"].values())
    assert all(side["calls"] > 10 and not side["failed"] for side in found["figures"].values())
    assert found["aftermath"]["acknowledged"] >= 40
    shown = capsys.readouterr().out
    assert f"By {tool}" in shown
    assert ("not installed" in shown) == (tool != "wrk")
    assert not list(tmp_path.glob(".bench-*"))


def test_what_is_lost_ends_the_command_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(*_arguments: object) -> NoReturn:
        raise Lost("ann has 1 points, 2 were acknowledged")

    monkeypatch.setattr(harness, "live", losing)
    assert harness.main([*FEW, "--dir", str(tmp_path)]) == 1
    assert "2 were acknowledged" in capsys.readouterr().out
