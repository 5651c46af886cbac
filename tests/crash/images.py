"""Data directories as a crash or a clean end leaves them, to be harmed and opened again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from copying import copy_of
from games import begin, play, points_of

from pictact_actors import Store, StoreConfig

CONFIG = StoreConfig(journal_segment_bytes=16384, state_buffer_bytes=64 * 1024, state_cache_bytes=64 * 1024)
ACKNOWLEDGED = {f"player{number}": number for number in range(1, 21)}


def opened(path: Path) -> Store:
    """Open a directory that must be there."""
    return Store.open(path, config=CONFIG, create=False)


@dataclass(frozen=True)
class Image:
    """A directory with a match in which `ACKNOWLEDGED` have their points."""

    path: Path

    @property
    def segment(self) -> Path:
        """The last segment of its journal."""
        return max((self.path / "journal").glob("*.journal"))

    def copy(self, path: Path) -> Image:
        """The same directory once more."""
        copy_of(self.path, path)
        return Image(path)

    def end(self) -> int:
        """Where the last frame ends, in bytes of the segment (no frame ends in a zero)."""
        return len(self.segment.read_bytes().rstrip(b"\0"))

    def overwrite(self, at: int, data: bytes) -> None:
        """Put bytes into the last segment."""
        with self.segment.open("r+b") as file:
            file.seek(at)
            file.write(data)

    def flip(self, at: int, bit: int = 0) -> None:
        """Turn one bit of the last segment over."""
        self.overwrite(at, bytes([self.segment.read_bytes()[at] ^ 1 << bit]))

    def files(self) -> dict[str, bytes]:
        """Every file of identity and journal, with its contents."""
        names = [self.path / "STORE", *(self.path / "journal").rglob("*")]
        return {str(path): path.read_bytes() for path in names if path.is_file()}


def ended(path: Path) -> Image:
    """A directory after a clean end."""
    with Store.open(path, config=CONFIG) as store:
        _play(store)
    return Image(path)


def crashed(path: Path) -> tuple[Image, bytes]:
    """A directory that a crash left, and the frame that was to be written next."""
    with Store.open(path, config=CONFIG) as store:
        _play(store)
        image = Image(path).copy(path.with_suffix(".crashed"))
        play(store, {"late": 1})
        frame = Image(path).segment.read_bytes()[image.end() : Image(path).end()]
    return image, frame


def _play(store: Store) -> None:
    begin(store)
    for user, points in ACKNOWLEDGED.items():
        play(store, {user: points})
    assert points_of(store) == ACKNOWLEDGED
