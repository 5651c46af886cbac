"""A file of a data directory at rest is harmed: the store says so. It neither guesses nor creates anything anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from games import POST
from images import ACKNOWLEDGED, Image, ended, opened

from pictact_actors import NotFound, StoreDamaged, StoreError

Harm = Callable[[Path], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return ended(tmp_path_factory.mktemp("ended") / "game-data")


@pytest.fixture
def image(finished: Image, tmp_path: Path) -> Image:
    return finished.copy(tmp_path / "game-data")


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[: len(data) // 2])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip_bits(path: Path) -> None:
    """Turn bits over all over the file."""
    data = bytearray(path.read_bytes())
    for at in range(7, len(data), 61):
        data[at] ^= 16
    path.write_bytes(data)


HARMS: list[Harm] = [delete, empty, halve, zero, flip_bits]
each_harm = pytest.mark.parametrize("harm", HARMS)


def harmed(image: Image, pattern: str, harm: Harm) -> None:
    (path,) = [path for path in image.path.glob(pattern) if path.stat().st_size]
    harm(path)


def outcome(image: Image) -> str:
    """What becomes of a harmed directory: `refused`, `told` (by reads or by the check), `whole`, or `lost`."""
    try:
        store = opened(image.path)
    except StoreDamaged:
        return "refused"
    with store:
        reads = [_read(lambda user=user: store.score(POST, user).points) for user in ACKNOWLEDGED]
        if store.check():
            return "told"
        return "whole" if reads == list(ACKNOWLEDGED.values()) else "lost"


def _read(read: Callable[[], object]) -> object:
    try:
        return read()
    except (StoreDamaged, NotFound) as error:
        return type(error)


@each_harm
def test_a_harmed_journal_is_refused_and_left_as_it_is(image: Image, harm: Harm) -> None:
    harmed(image, "journal/*.journal", harm)
    before = image.files()
    assert outcome(image) == "refused"
    assert image.files() == before


@each_harm
@pytest.mark.parametrize("pattern", ["state/CURRENT", "state/MANIFEST-*", "state/*.ldb"])
def test_a_harmed_state_is_never_a_silent_loss(image: Image, pattern: str, harm: Harm) -> None:
    harmed(image, pattern, harm)
    before = image.files()
    assert outcome(image) != "lost"
    assert image.files() == before


@pytest.mark.parametrize("harm", [delete, empty, halve, zero])
def test_a_harmed_identity_is_refused_and_nothing_is_created_in_its_place(image: Image, harm: Harm) -> None:
    harmed(image, "STORE", harm)
    before = image.files()
    for _ in range(2):
        assert outcome(image) == "refused"
    assert image.files() == before


@pytest.mark.parametrize("name", ["LOCK", "state/LOCK", "state/LOG"])
@pytest.mark.parametrize("harm", [delete, empty])
def test_files_that_hold_nothing_can_go(image: Image, name: str, harm: Harm) -> None:
    harm(image.path / name)
    assert outcome(image) == "whole"


@pytest.mark.parametrize("name", ["journal", "state"])
def test_a_whole_part_that_is_missing_is_refused(image: Image, name: str) -> None:
    (image.path / name).rename(image.path.parent / name)
    assert outcome(image) == "refused"
    assert not (image.path / name).exists()


def test_every_flipped_byte_of_a_state_table_is_told_or_harmless(finished: Image, tmp_path: Path) -> None:
    (table,) = (finished.path / "state").glob("*.ldb")
    for at in spread(table.stat().st_size, 40):
        image = finished.copy(tmp_path / "game-data")
        harmed(image, "state/*.ldb", lambda path, at=at: path.write_bytes(flipped(path, at)))
        assert outcome(image) != "lost", f"byte {at}"


def spread(size: int, count: int) -> Iterator[int]:
    """Places all over a file."""
    return (number * (size - 1) // (count - 1) for number in range(count))


def flipped(path: Path, at: int) -> bytes:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    return bytes(data)


def test_an_older_copy_of_the_journal_is_refused(image: Image, tmp_path: Path) -> None:
    older = image.copy(tmp_path / "older")
    with opened(image.path) as store:
        store.award_points(POST, "ann", 1)
    image.segment.write_bytes(older.segment.read_bytes())
    assert outcome(image) == "refused"


def test_a_refused_directory_says_which_file_and_what_to_do(image: Image) -> None:
    delete(image.path / "state" / "CURRENT")
    with pytest.raises(StoreError, match=r"state has no CURRENT file; keep a copy") as refused:
        opened(image.path)
    assert isinstance(refused.value, StoreDamaged)
