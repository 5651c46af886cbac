"""A file of a data directory that a crash left is harmed: it is healed, or the store says why not. It never guesses.

What becomes of one at rest is in `test_recovery.py`. Here there is no seal to tell where the journal ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from games import POST
from images import ACKNOWLEDGED, Image, ended, opened

from pictact_actors import NotFound, StoreDamaged, StoreError
from pictact_actors.storage.recovery import seal

Harm = Callable[[Path], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The state has everything, but nothing says that the journal ended there."""
    image = ended(tmp_path_factory.mktemp("ended") / "game-data")
    seal.remove(image.path)
    return image


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


@pytest.mark.parametrize("harm", [delete, empty, halve, zero])
def test_a_journal_of_which_nobody_knows_where_it_ended_is_refused_and_left_as_it_is(image: Image, harm: Harm) -> None:
    harmed(image, "journal/*.journal", harm)
    before = image.files()
    assert outcome(image) == "refused"
    assert image.files() == before


def test_a_journal_that_is_only_damaged_where_the_state_has_it_is_written_anew(image: Image) -> None:
    for at in spread(image.end(), 12):
        damaged = image.copy(image.path.with_name("damaged"))
        damaged.flip(at)
        assert outcome(damaged) == "whole", f"byte {at}"


@each_harm
@pytest.mark.parametrize("pattern", ["state/CURRENT", "state/MANIFEST-*", "state/*.ldb"])
def test_a_harmed_state_is_built_anew(image: Image, pattern: str, harm: Harm) -> None:
    harmed(image, pattern, harm)
    before = image.files()
    assert outcome(image) == "whole"
    assert image.files() == before


@each_harm
@pytest.mark.parametrize("pattern", ["state/CURRENT", "state/MANIFEST-*", "state/*.ldb"])
def test_a_harmed_state_beside_a_harmed_journal_is_refused(image: Image, pattern: str, harm: Harm) -> None:
    harmed(image, pattern, harm)
    image.flip(image.end() // 2)
    before = image.files()
    assert outcome(image) == "refused"
    assert image.files() == before


@each_harm
def test_a_harmed_identity_is_found_out_from_the_journal(image: Image, harm: Harm) -> None:
    harmed(image, "STORE", harm)
    assert [outcome(image) for _ in range(2)] == ["whole", "whole"]


@pytest.mark.parametrize("name", ["LOCK", "state/LOCK", "state/LOG"])
@pytest.mark.parametrize("harm", [delete, empty])
def test_files_that_hold_nothing_can_go(image: Image, name: str, harm: Harm) -> None:
    harm(image.path / name)
    assert outcome(image) == "whole"


@pytest.mark.parametrize(("name", "expected"), [("journal", "refused"), ("state", "whole")])
def test_a_whole_side_that_is_missing_comes_back_only_if_its_end_is_known(
    image: Image, name: str, expected: str
) -> None:
    (image.path / name).rename(image.path.parent / name)
    assert outcome(image) == expected
    assert (image.path / name).exists() is (expected == "whole")


def test_every_flipped_byte_of_a_state_table_is_healed(finished: Image, tmp_path: Path) -> None:
    (table,) = (finished.path / "state").glob("*.ldb")
    for at in spread(table.stat().st_size, 40):
        image = finished.copy(tmp_path / "game-data")
        harmed(image, "state/*.ldb", lambda path, at=at: path.write_bytes(flipped(path, at)))
        assert outcome(image) == "whole", f"byte {at}"


def spread(size: int, count: int) -> Iterator[int]:
    """Places all over a file."""
    return (number * (size - 1) // (count - 1) for number in range(count))


def flipped(path: Path, at: int) -> bytes:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    return bytes(data)


@pytest.mark.parametrize(("sealed", "expected"), [(True, "whole"), (False, "refused")], ids=["closed", "killed"])
def test_an_older_copy_of_the_journal_is_never_believed(
    image: Image,
    tmp_path: Path,
    sealed: object,
    expected: str,
) -> None:
    older = image.copy(tmp_path / "older")
    with opened(image.path) as store:
        store.award_points(POST, "ann", 1)
    image.segment.write_bytes(older.segment.read_bytes())
    if not sealed:
        seal.remove(image.path)
    assert outcome(image) == expected


def test_a_refused_directory_says_which_files_and_what_to_do(image: Image) -> None:
    delete(image.path / "state" / "CURRENT")
    image.flip(image.end() // 2)
    with pytest.raises(StoreError) as refused:
        opened(image.path)
    for part in (
        "0000000001.journal is broken at byte",
        "state has no CURRENT file",
        "there is no backup in",
        "keep a",
    ):
        assert part in str(refused.value)
    assert isinstance(refused.value, StoreDamaged)
