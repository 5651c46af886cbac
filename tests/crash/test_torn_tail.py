"""The end of the journal after a crash: what is torn is cut, what was whole is not guessed at."""

from __future__ import annotations

import logging
import random
import re
from pathlib import Path

import pytest
from games import play, points_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from images import ACKNOWLEDGED, CONFIG, Image, crashed, ended, opened

from pictact_actors import Store
from pictact_actors.storage.truth.segment import FRAME_BYTES, HEADER_BYTES

once_more = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Image, bytes]:
    """What a crash left, and the frame that was to be written next."""
    return crashed(tmp_path_factory.mktemp("crashed") / "game-data")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return ended(tmp_path_factory.mktemp("ended") / "game-data")


@pytest.fixture
def image(left: tuple[Image, bytes], tmp_path: Path) -> Image:
    return left[0].copy(tmp_path / "game-data")


@pytest.fixture
def frame(left: tuple[Image, bytes]) -> bytes:
    return left[1]


def points_in(image: Image) -> dict[str, int]:
    """Open, look at everything, and check it."""
    with opened(image.path) as store:
        assert store.check() == []
        return points_of(store)


def test_a_frame_written_in_part_is_cut_whatever_its_length(image: Image, frame: bytes, tmp_path: Path) -> None:
    for length in {*range(0, len(frame), 10), len(frame) - 1}:
        torn = image.copy(tmp_path / "torn")
        torn.overwrite(torn.end(), frame[:length])
        assert points_in(torn) == ACKNOWLEDGED, f"{length} of {len(frame)} bytes"


def test_a_frame_that_is_whole_is_taken_although_nobody_was_told(image: Image, frame: bytes) -> None:
    image.overwrite(image.end(), frame)
    assert points_in(image) == {**ACKNOWLEDGED, "late": 1}


def test_a_cut_tail_does_not_come_back_behind_a_shorter_frame(image: Image) -> None:
    end = image.end()
    image.overwrite(end, b"PTFR" + bytes(range(1, 256)) * 8)
    with opened(image.path) as store:
        play(store, {"late": 1})
    assert points_in(image) == {**ACKNOWLEDGED, "late": 1}
    assert image.end() < end + 2_000


def test_cutting_is_reported_with_its_place(image: Image, frame: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "pictact_actors")
    end = image.end()
    image.overwrite(end, frame[:-1])
    points_in(image)
    (report,) = caplog.messages
    for part in ("torn_tail_cut", f"byte {end}", image.segment.name, f'"torn_bytes": {len(frame) - 1}'):
        assert part in report


@once_more
@given(st.binary(min_size=1, max_size=600), st.integers(0, 1_500))
def test_garbage_behind_the_last_frame_is_cut(image: Image, tmp_path: Path, garbage: bytes, gap: int) -> None:
    torn = image.copy(tmp_path / "torn")
    torn.overwrite(torn.end() + gap, garbage)
    assert points_in(torn) == ACKNOWLEDGED


@once_more
@given(st.data())
def test_sectors_of_a_frame_that_arrived_in_any_order_are_cut(
    image: Image, tmp_path: Path, data: st.DataObject
) -> None:
    """A power cut keeps some sectors of what was not synced, and not others."""
    with opened(image.copy(tmp_path / "whole").path) as store:
        play(store, {f"late{number}": number for number in range(30)})
    whole = Image(tmp_path / "whole").segment.read_bytes()
    torn = image.copy(tmp_path / "torn")
    start, end = torn.end(), Image(tmp_path / "whole").end()
    sectors = range(start // 512, end // 512 + 1)
    kept = data.draw(st.sets(st.sampled_from(sectors), max_size=len(sectors) - 1), label="sectors that arrived")
    for sector in kept:
        torn.overwrite(max(start, sector * 512), whole[max(start, sector * 512) : (sector + 1) * 512])
    found = points_in(torn)
    assert {user: found.pop(user) for user in ACKNOWLEDGED} == ACKNOWLEDGED
    assert set(found) <= {f"late{number}" for number in range(30)}


def test_a_broken_frame_before_whole_ones_is_no_torn_tail(finished: Image, tmp_path: Path) -> None:
    rng = random.Random(20)
    for _ in range(20):
        image = finished.copy(tmp_path / "game-data")
        image.flip(rng.randrange(HEADER_BYTES, image.end() // 2), rng.randrange(8))
        healed(image, rf"{image.segment} is broken at byte \d+")


def test_a_last_frame_that_was_changed_after_a_clean_end_is_no_torn_tail(finished: Image, tmp_path: Path) -> None:
    for back in (1, 20, FRAME_BYTES):
        image = finished.copy(tmp_path / "game-data")
        image.flip(image.end() - back)
        healed(image, rf"only \d+ up to byte \d+ of {image.segment}")


def test_a_last_frame_that_was_cut_off_after_a_clean_end_is_no_torn_tail(finished: Image, tmp_path: Path) -> None:
    for length in (finished.end() - 1, finished.end() // 2, HEADER_BYTES):
        image = finished.copy(tmp_path / "game-data")
        with image.segment.open("r+b") as file:
            file.truncate(length)
        healed(image, rf"only \d+ up to byte \d+ of {image.segment}")


def healed(image: Image, found: str) -> None:
    """Open it: nothing is missing, and it says what it found."""
    with opened(image.path) as store:
        assert store.check() == []
        assert points_of(store) == ACKNOWLEDGED
        (recovery,) = store.statistics().recoveries
        assert re.search(found, recovery.found)


def test_a_segment_that_lost_its_spare_room_goes_on(finished: Image, tmp_path: Path) -> None:
    image = finished.copy(tmp_path / "game-data")
    with image.segment.open("r+b") as file:
        file.truncate(image.end())
    with opened(image.path) as store:
        play(store, {"late": 1})
    assert points_in(image) == {**ACKNOWLEDGED, "late": 1}


def test_a_torn_tail_in_a_new_segment_is_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "game-data"
    image = ended(path)
    with Store.open(path, config=CONFIG) as store:
        for number in range(200):
            play(store, {"ann": number})
            if len(list((path / "journal").iterdir())) > 1:
                break
        rolled = image.copy(tmp_path / "rolled")
        points = points_of(store)
    rolled.overwrite(rolled.end(), b"PTFR and the beginning of a frame")
    assert points_in(rolled) == points
