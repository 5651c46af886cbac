"""`export` and `import` of any size: in constant memory, each record on its way before the next one is read."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import pytest
from ran import Run, Start
from waiting import until

from pictact_actors import Lifetime, Store, StoreConfig

MIB = 1024 * 1024
LOOK_S = 0.002


def fill(data: Path, count: int, text_bytes: int) -> None:
    """Write players with a lot to say."""
    with Store.open(data, config=StoreConfig(crossing_timeout_s=600)) as store:
        for start in range(0, count, 500):
            users = [f"u{number:06}" for number in range(start, min(count, start + 500))]
            store.put_many({f"lifetime:{user}": Lifetime(user, unknown={"x": "y" * text_bytes}) for user in users})


def line(number: int, text_bytes: int = 10) -> str:
    return json.dumps({"key": f"lifetime:u{number:06}", "record": {"x": "y" * text_bytes}}) + "\n"


def peak_bytes(child: subprocess.Popen[str]) -> int:
    """Return how much memory of its own a child has at the most until it ends (files that it maps do not count)."""
    peak = 0
    while child.poll() is None:
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            break
        anonymous = [row.split()[1] for row in status.splitlines() if row.startswith("RssAnon")]
        peak = max([peak, *(1024 * int(kib) for kib in anonymous)])
        threading.Event().wait(LOOK_S)
    assert child.wait() == 0
    return peak


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="NOT CHECKED: nobody tells here how much memory")
def test_an_export_takes_as_much_memory_for_many_records_as_for_few(start: Start, tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    fill(few, 600, 8_000)
    fill(many, 9_000, 8_000)
    peaks = [peak_bytes(start("export", str(tmp_path / "out.jsonl"), "--data", str(data))) for data in (few, many)]
    assert (tmp_path / "out.jsonl").stat().st_size > 64 * MIB
    assert peaks[1] - peaks[0] < 24 * MIB


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_half_a_gigabyte_goes_in_and_out_in_constant_memory(start: Start, tmp_path: Path) -> None:
    peaks = {}
    for name, count in (("some", 12_000), ("many", 60_000)):
        source, data = tmp_path / f"{name}.jsonl", str(tmp_path / name)
        with source.open("w") as file:
            file.writelines(line(number, 8_000) for number in range(count))
        peaks[f"import {name}"] = peak_bytes(start("import", str(source), "--data", data))
        source.unlink()
        peaks[f"export {name}"] = peak_bytes(start("export", str(source), "--data", data))
    assert peaks["export many"] - peaks["export some"] < 32 * MIB, peaks
    assert peaks["import many"] - peaks["import some"] < 96 * MIB, peaks


def test_an_export_writes_while_it_reads(start: Start, tmp_path: Path) -> None:
    fill(tmp_path / "many", 2_000, 2_000)
    child = start("export", "--data", str(tmp_path / "many"))
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["key"] == "lifetime:u000000"
    assert child.poll() is None
    assert sum(1 for _ in child.stdout) == 1_999
    assert child.wait() == 0


def test_an_import_writes_while_it_reads(start: Start, data: Path) -> None:
    child = start("import", "-", "--json", stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.writelines(line(number) for number in range(1_000))
    child.stdin.flush()

    def arrived() -> bool:
        return any(b"lifetime:u000000" in path.read_bytes() for path in (data / "journal").glob("*.journal"))

    until(lambda: (data / "STORE").exists() and arrived())
    assert child.poll() is None
    out, _ = child.communicate(line(1_000))
    assert json.loads(out) == {"imported": 1_001, "skipped": 0}


def test_a_line_of_an_export_can_be_as_long_as_a_record(run: Run, data: Path, tmp_path: Path) -> None:
    with Store.open(data) as store:
        store.put_many({"lifetime:ann": Lifetime("ann", unknown={"x": ["y" * 60_000] * 40})})
    assert run("export", str(tmp_path / "out.jsonl"), "--json").json["exported"] == 1
    assert (tmp_path / "out.jsonl").stat().st_size > 2 * MIB
    assert run("import", str(tmp_path / "out.jsonl"), "--data", str(tmp_path / "copy"), "--json").json["imported"] == 1
