"""What is kept of damaged things: the latest, and what was done about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulty import FULL, faulty_os

from pictact_actors.storage.recovery.aside import KEPT_MAX, REPORTS_MAX, Aside, Recovery
from pictact_actors.storage.truth import segment


@pytest.fixture
def aside(tmp_path: Path) -> Aside:
    return Aside(tmp_path)


def recovery(number: int) -> Recovery:
    return Recovery(float(number), "state damaged", f"number {number}", "built anew")


def test_files_and_directories_are_kept_under_a_number_and_their_name(aside: Aside, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "CURRENT").write_bytes(b"?")
    (tmp_path / "STORE").write_bytes(b"!")
    aside.keep(tmp_path / "state")
    aside.keep(tmp_path / "STORE")
    assert (tmp_path / "damaged" / "000001-state" / "CURRENT").read_bytes() == b"?"
    assert (tmp_path / "damaged" / "000002-STORE").read_bytes() == b"!"
    assert aside.size_bytes() > 1


def test_only_the_latest_are_kept(aside: Aside, tmp_path: Path) -> None:
    for _ in range(KEPT_MAX + 5):
        (tmp_path / "state").mkdir()
        aside.keep(tmp_path / "state")
    names = sorted(path.name for path in (tmp_path / "damaged").iterdir())
    assert (len(names), names[0], names[-1]) == (KEPT_MAX, "000006-state", f"{KEPT_MAX + 5:06}-state")


def test_the_latest_recoveries_are_told(aside: Aside) -> None:
    for number in range(REPORTS_MAX + 3):
        aside.report(recovery(number))
    told = aside.recoveries()
    assert (len(told), told[0], told[-1]) == (REPORTS_MAX, recovery(3), recovery(REPORTS_MAX + 2))


def test_a_line_that_does_not_read_hides_no_other(aside: Aside, tmp_path: Path) -> None:
    aside.report(recovery(1))
    with (tmp_path / "damaged" / "recoveries.jsonl").open("ab") as file:
        file.write(b'{"ts": 1}\n\xff\n')
    aside.report(recovery(2))
    assert aside.recoveries() == (recovery(1), recovery(2))


def test_a_full_disk_keeps_nobody_from_opening(aside: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty_os(monkeypatch, segment).fail("fsync", FULL)
    aside.report(recovery(1))
    assert aside.recoveries() == ()
