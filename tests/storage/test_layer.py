"""A layer of the base: what was written comes back, and what is not whole is refused with its place."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TypeVar

import pytest
from commits import KEYS, VALUES
from faulty import BROKEN, FULL, FaultyOs, faulty_os
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictact_actors import StoreDamaged
from pictact_actors.storage.truth import layer as layer_module
from pictact_actors.storage.truth import segment
from pictact_actors.storage.truth.layer import (
    HEADER_BYTES,
    Covers,
    Layer,
    LayerWriter,
    Next,
    Pair,
    layer_name,
    read_layer,
)

T = TypeVar("T")
STORE_ID = b"store id 16 long"
FOLLOWS = Next(3, 8, 5.5, 6.5, b"chain value 16 b")
COVERS = Covers(1, FOLLOWS)
PAIRS = {f"k{number:04}": None if number % 7 == 0 else b"%d" % number * 40 for number in range(900)}
"""Enough for a few frames."""


def run(steps: Generator[None, None, T]) -> T:
    """Do all steps and return what they lead to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def write(directory: Path, pairs: Iterable[Pair], covers: Covers = COVERS, store_id: bytes = STORE_ID) -> Layer:
    writer = LayerWriter(directory, 1, store_id)
    try:
        for pair in pairs:
            writer.add(*pair)
        return run(writer.finish(covers))
    finally:
        writer.abandon()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a layer that holds `PAIRS`."""
    return write(tmp_path, PAIRS.items()).path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.dictionaries(KEYS, VALUES | st.none(), max_size=40))
def test_what_was_written_comes_back_in_order(tmp_path: Path, pairs: dict[str, bytes | None]) -> None:
    ordered = [(key, pairs[key]) for key in sorted(pairs)]
    assert list(write(tmp_path, ordered).pairs()) == ordered
    layer = read_layer(tmp_path / layer_name(1), STORE_ID)
    assert list(layer.pairs()) == ordered
    assert (layer.count, layer.covers) == (len(ordered), COVERS)


def test_a_header_says_what_is_in_it(path: Path) -> None:
    layer = read_layer(path, STORE_ID)
    assert (layer.first_seq, layer.last_seq, layer.covers.next) == (1, 7, FOLLOWS)
    assert layer.value_bytes == sum(len(value) for value in PAIRS.values() if value is not None)
    assert layer.size_bytes == path.stat().st_size


def test_a_range_of_keys_is_kept(tmp_path: Path) -> None:
    covers = Covers(4, FOLLOWS, "b", "c\0")
    layer = write(tmp_path, [("b", b"1"), ("c", None)], covers)
    assert (layer.covers, list(layer.pairs())) == (covers, [("b", b"1"), ("c", None)])


def read(path: Path) -> None:
    for _ in read_layer(path, STORE_ID).pairs():
        pass


def test_a_flipped_bit_anywhere_is_found(path: Path) -> None:
    """Every byte of the header, and places all over the rest."""
    data = path.read_bytes()
    for at in [*range(400), *range(400, len(data), 97)]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        with pytest.raises(StoreDamaged, match=path.name):
            read(path)
    path.write_bytes(data)
    read(path)


def test_a_torn_file_is_found_by_its_size(path: Path) -> None:
    data = path.read_bytes()
    for size in (0, 1, 11, HEADER_BYTES - 1, HEADER_BYTES, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(StoreDamaged, match=path.name):
            read_layer(path, STORE_ID)
    path.write_bytes(data + b"\0")
    with pytest.raises(StoreDamaged, match="its header says"):
        read_layer(path, STORE_ID)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_frame_that_was_zeroed_or_left_out_is_found(path: Path, lost: int) -> None:
    data = path.read_bytes()
    starts = [at for at in range(HEADER_BYTES, len(data)) if data[at : at + 4] == b"PTFR"]
    start, end = starts[lost], starts[lost + 1]
    for harmed in (data[:start] + bytes(end - start) + data[end:], data[:start] + data[end:]):
        path.write_bytes(harmed)
        with pytest.raises(StoreDamaged, match=path.name):
            read(path)


def test_a_layer_of_another_store_or_place_is_refused(tmp_path: Path, path: Path) -> None:
    with pytest.raises(StoreDamaged, match="another store"):
        read_layer(path, b"another store id")
    other = tmp_path / layer_name(2)
    shutil.copy(path, other)
    with pytest.raises(StoreDamaged, match="another store or place"):
        read_layer(other, STORE_ID)
    other.write_bytes(segment.pack_header(segment.Header(1, STORE_ID, 2, 1, 0.0, 0.0, STORE_ID)).ljust(9000, b"\0"))
    with pytest.raises(StoreDamaged, match="does not begin as a layer"):
        read_layer(other, STORE_ID)


def test_a_layer_of_a_newer_version_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(layer_module, "FORMAT_VERSION", 2)
        path = write(tmp_path, PAIRS.items()).path
    with pytest.raises(StoreDamaged, match="newer version"):
        read_layer(path, STORE_ID)


@pytest.mark.parametrize(
    ("pairs", "covers"),
    [
        ([("b", b""), ("a", b"")], COVERS),
        ([("a", b"x" * 40_000), ("a", b"")], COVERS),
        ([("b", b"x" * 40_000), ("a", b"")], COVERS),
        ([("a", b"")], Covers(1, FOLLOWS, "b", None)),
        ([("b", b"")], Covers(1, FOLLOWS, "", "b")),
    ],
    ids=["in a frame", "twice", "from frame to frame", "below", "above"],
)
def test_keys_out_of_order_or_range_are_found(tmp_path: Path, pairs: list[Pair], covers: Covers) -> None:
    layer = write(tmp_path, pairs, covers)
    with pytest.raises(StoreDamaged, match="not in order"):
        list(layer.pairs())


def harm_after_sync(path: Path) -> Callable[..., None]:
    def harm(*_: object) -> None:
        data = bytearray(path.read_bytes())
        data[HEADER_BYTES + 100] ^= 1
        path.write_bytes(data)

    return harm


def test_what_is_not_on_the_disk_as_it_was_written_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.posix_fadvise", harm_after_sync((tmp_path / layer_name(1)).with_suffix(".new")))
    with pytest.raises(StoreDamaged, match="broken at byte"):
        write(tmp_path, PAIRS.items())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [FULL, BROKEN])
@pytest.mark.parametrize(("module", "call"), [(layer_module, "open"), (segment, "pwrite"), (layer_module, "fsync")])
def test_a_failing_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, call: str, code: int
) -> None:
    disk: FaultyOs = faulty_os(monkeypatch, module)
    disk.fail(call, code)
    with pytest.raises(OSError, match=r"\[Errno"):
        write(tmp_path, PAIRS.items())
    disk.heal()
    assert list(tmp_path.iterdir()) == []
    assert dict(write(tmp_path, PAIRS.items()).pairs()) == PAIRS
