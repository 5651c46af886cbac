"""Openings are measured, and everything is there after each."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import recovery


def test_each_case_is_measured_and_heals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recovery.main(["--records", "300", "--dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert all(case in shown for case in ("killed", "closed", "state lost", "state damaged", "journal damaged"))
    assert not list(tmp_path.glob(".bench-*"))
