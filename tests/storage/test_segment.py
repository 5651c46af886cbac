"""One file of the journal: what is written is read, and what is not whole is not a frame."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from faulty import FULL, faulty_os
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictact_actors import StoreDamaged
from pictact_actors.storage.truth import segment
from pictact_actors.storage.truth.segment import (
    CHAIN_BYTES,
    FORMAT_VERSION,
    FRAME_BYTES,
    HEADER_BYTES,
    Header,
    SegmentFile,
    chain_of,
    pack_frame,
    pack_header,
    write_all,
)

STORE_ID = b"store id 16 long"
HEADER = Header(FORMAT_VERSION, STORE_ID, 7, 42, 1_700_000_000.5, 1_700_000_001.25, b"c" * CHAIN_BYTES)
SIZE = 4096
BODIES = st.lists(st.binary(max_size=40), min_size=1, max_size=6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0000000007.journal"


def written(path: Path, *bodies: bytes) -> list[int]:
    """Write a segment with these frames; return where each ends."""
    path.unlink(missing_ok=True)
    at, chain, ends = HEADER_BYTES, HEADER.chain, []
    with closing(SegmentFile.create(path, HEADER, SIZE)) as file:
        for body in bodies:
            frame = pack_frame(body, chain)
            file.write(frame, at)
            at, chain = at + len(frame), chain_of(frame)
            ends.append(at)
    return ends


def bodies_in(path: Path) -> list[bytes]:
    with closing(SegmentFile(path)) as file:
        return [frame.body for frame in file.frames(HEADER.chain)]


def header_of(path: Path) -> Header:
    with closing(SegmentFile(path)) as file:
        return file.header()


def tail_of(path: Path) -> tuple[int, int]:
    """Where the whole frames end, and how many torn bytes follow."""
    with closing(SegmentFile(path)) as file:
        tail, _ = file.tail(HEADER.chain)
        return tail.end, tail.torn_bytes


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def flip(path: Path, bit: int) -> None:
    at, shift = divmod(bit, 8)
    overwrite(path, at, bytes([path.read_bytes()[at] ^ 1 << shift]))


def test_a_header_says_what_was_written_in_it(path: Path) -> None:
    written(path)
    assert header_of(path) == HEADER


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES)
def test_frames_come_back_in_order_and_whole(path: Path, bodies: list[bytes]) -> None:
    ends = written(path, *bodies)
    assert bodies_in(path) == bodies
    assert tail_of(path) == (ends[-1], 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES, st.data())
def test_a_flipped_bit_ends_the_whole_frames_before_it(path: Path, bodies: list[bytes], data: st.DataObject) -> None:
    ends = written(path, *bodies)
    struck = data.draw(st.integers(0, len(bodies) - 1), label="frame")
    start = ends[struck - 1] if struck else HEADER_BYTES
    flip(path, data.draw(st.integers(start * 8, ends[struck] * 8 - 1), label="bit"))
    assert bodies_in(path) == bodies[:struck]


def test_a_header_with_any_byte_changed_is_damage(path: Path) -> None:
    for at in range(HEADER_BYTES):
        written(path)
        flip(path, at * 8)
        with pytest.raises(StoreDamaged, match=path.name):
            header_of(path)


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES - 1])
def test_a_header_that_is_not_all_there_is_damage(path: Path, size: int) -> None:
    written(path)
    os.truncate(path, size)
    with pytest.raises(StoreDamaged, match=path.name):
        header_of(path)


def test_a_segment_of_a_newer_version_is_left_alone(path: Path) -> None:
    written(path)
    overwrite(path, 0, pack_header(HEADER._replace(version=FORMAT_VERSION + 1)))
    with pytest.raises(StoreDamaged, match="newer version"):
        header_of(path)


def test_a_frame_of_another_chain_is_not_taken(path: Path) -> None:
    (end,) = written(path, b"ours")
    overwrite(path, end, pack_frame(b"from another store", b"x" * CHAIN_BYTES))
    assert bodies_in(path) == [b"ours"]


def test_a_frame_cannot_be_left_out(path: Path) -> None:
    first, second, third = written(path, b"first", b"other", b"third")
    data = path.read_bytes()
    overwrite(path, first, data[second:third] + bytes(second - first))
    assert bodies_in(path) == [b"first"]


def test_a_frame_that_was_written_in_part_is_a_torn_tail(path: Path) -> None:
    for length in range(1, FRAME_BYTES + len(b"torn!")):
        (end,) = written(path, b"whole")
        torn = pack_frame(b"torn!", chain_of(pack_frame(b"whole", HEADER.chain)))[:length]
        overwrite(path, end, torn)
        assert tail_of(path) == (end, len(torn.rstrip(b"\0")))


def test_a_torn_frame_whose_first_sector_never_arrived_is_a_torn_tail(path: Path) -> None:
    (end,) = written(path, b"whole")
    overwrite(path, end + 512, b"the rest of a frame")
    assert tail_of(path) == (end, 512 + len(b"the rest of a frame"))


def test_garbage_that_looks_like_frames_is_a_torn_tail(path: Path) -> None:
    (end,) = written(path, b"whole")
    garbage = b"?" + b"PTFR" * 20 + b"?"
    overwrite(path, end, garbage)
    assert tail_of(path) == (end, len(garbage))


def test_a_whole_frame_behind_a_broken_one_is_damage_with_its_place(path: Path) -> None:
    first, _, _ = written(path, b"first", b"second", b"third")
    flip(path, (first + FRAME_BYTES) * 8)
    with pytest.raises(StoreDamaged, match=rf"{path.name} is broken at byte {first}\b"):
        tail_of(path)


def test_a_new_segment_has_its_room_already(path: Path) -> None:
    written(path)
    status = path.stat()
    assert (status.st_size, status.st_blocks * 512 >= SIZE) == (SIZE, True)


@pytest.mark.parametrize("call", ["open", "posix_fallocate", "pwrite", "fsync"])
def test_a_segment_that_finds_no_room_leaves_nothing_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    disk = faulty_os(monkeypatch, segment)
    disk.fail(call, FULL)
    with pytest.raises(OSError, match="No space"):
        SegmentFile.create(path, HEADER, SIZE)
    assert list(path.parent.iterdir()) == []


def test_a_segment_gets_its_name_when_it_is_durable_and_not_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = faulty_os(monkeypatch, segment)
    synced_at_rename: list[bool] = []
    rename = Path.rename

    def recorded(aside: Path, target: Path) -> Path:
        synced_at_rename.append(disk.calls[-1] == "fsync")
        return rename(aside, target)

    monkeypatch.setattr(Path, "rename", recorded)
    SegmentFile.create(path, HEADER, SIZE).close()
    assert synced_at_rename == [True]


def test_a_short_write_goes_on_where_it_stopped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = faulty_os(monkeypatch, segment)
    monkeypatch.setattr(disk, "pwrite", lambda fd, data, at: os.pwrite(fd, bytes(data)[:3], at), raising=False)
    written(path, b"a body of several writes")
    assert bodies_in(path) == [b"a body of several writes"]


def test_a_disk_that_takes_no_more_bytes_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    disk = faulty_os(monkeypatch, segment)
    monkeypatch.setattr(disk, "pwrite", lambda *_: 0, raising=False)
    with path.open("r+b") as file, pytest.raises(OSError, match="no more bytes"):
        write_all(file.fileno(), b"data", 0)


def test_closing_twice_is_fine(path: Path) -> None:
    written(path)
    file = SegmentFile(path)
    file.close()
    file.close()
