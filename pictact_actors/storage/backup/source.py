"""What a store can be restored from: a backup, a place with backups, or a data directory, even without its state.

All of them amount to the same: layers of the base, and segments of the journal behind them. Of a segment there may be
several files: each backup has it as long as it was then. They tell the same story, one of them goes on longest.
A data directory is only read, and nobody is kept from writing to it: what counts are whole frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pictact_actors.errors import BackupInvalid, StoreDamaged
from pictact_actors.storage.archive import PENDING
from pictact_actors.storage.backup.manifest import Manifest, read_manifest
from pictact_actors.storage.backup.place import POOL, Place
from pictact_actors.storage.identity import identity_of
from pictact_actors.storage.truth.layer import Layer, read_layer
from pictact_actors.storage.truth.segment import Header, SegmentFile
from pictact_actors.storage.truth.stack import Stack, stacked
from pictact_actors.storage.twins import COPIES

_SEGMENTS = "[0-9]" * 10 + "*.journal"
_LAYERS = "[0-9]" * 10 + ".layer"
_ARCHIVED = "details-*.jsonl.gz*"
_UNFINISHED = (".new", ".damaged")


@dataclass(frozen=True, slots=True)
class Archived:
    """A file of an archive: its name there, and where it is."""

    name: str
    path: Path


@dataclass(slots=True)
class Source:
    """Something to restore from. `manifest` is that of a backup; `segments` has the files of each number."""

    path: Path
    store_id: bytes
    created_at: float
    stack: Stack
    manifest: Manifest | None = None
    segments: dict[int, list[Path]] = field(default_factory=lambda: defaultdict(list))
    archived: list[Archived] = field(default_factory=list)

    def begin(self) -> tuple[int, int, bytes]:
        """Return the number, the first commit and the chain of the segment that follows the base."""
        follows = self.stack.next
        return (1, 1, self.store_id) if follows is None else (follows.number, follows.first_seq, follows.chain)

    def begin_ts(self) -> float:
        """Return the time of the last commit in the base."""
        return 0.0 if self.stack.next is None else self.stack.next.ts


def sources(path: Path, to_seq: int | None, to_time: float | None) -> Iterator[Source]:
    """Iterate what `path` has for a moment, the best first. Raises `BackupInvalid`, naming what is wrong with it."""
    if not path.exists():
        raise BackupInvalid(str(path), "there is nothing of that name; check the path")
    if path.is_file():
        yield _of_backup(path, extended=to_seq is not None or to_time is not None)
    elif (path / "journal").is_dir():
        yield _of_directory(path)
    elif manifests := Place(path).manifest_paths():
        yield from _of_place(path, manifests, to_seq, to_time)
    elif (path / POOL).is_dir():
        raise BackupInvalid(str(path), "it holds no complete backup, only files of an interrupted one")
    else:
        raise BackupInvalid(str(path), "it holds neither backups nor the journal of a store")


def _of_place(path: Path, manifests: list[Path], to_seq: int | None, to_time: float | None) -> Iterator[Source]:
    """Iterate the backups of a place from which a moment can be reached, latest first; without one, the latest only."""
    place = Place(path)
    if len({manifest.store_id for manifest in place.manifests()}) > 1:
        raise BackupInvalid(str(path), "it holds backups of several stores; name one of the .backup files in it")
    if to_seq is None and to_time is None:
        yield _of_backup(manifests[-1], extended=False)
        return
    refused: BackupInvalid | None = None
    found = False
    for manifest_path in reversed(manifests):
        try:
            manifest = read_manifest(manifest_path)
            reaches_back = manifest.base_ts <= to_time if to_time is not None else manifest.base_seq <= (to_seq or 0)
            if reaches_back:
                yield _of_backup(manifest_path, extended=True)
                found = True
        except BackupInvalid as error:
            refused = refused or error
    if not found:
        raise refused or BackupInvalid(str(path), _too_old(place.manifests()))


def _too_old(manifests: list[Manifest]) -> str:
    oldest = min(manifests, key=lambda manifest: manifest.base_seq)
    return f"it does not reach back so far; the oldest moment is commit {oldest.base_seq}, at {oldest.base_ts} epoch s"


def _of_backup(path: Path, *, extended: bool) -> Source:
    """Return a backup; `extended`: and what else there is of the journal, here and in the store that it is of."""
    manifest = read_manifest(path)
    place = Place(path.parent)
    layers = [place.pool / piece.pooled for piece in manifest.pieces if piece.is_layer]
    source = Source(
        path, manifest.store_id, manifest.store_created_at, _stack(path, layers, manifest.store_id), manifest
    )
    for piece in manifest.pieces:
        if piece.is_segment:
            source.segments[piece.number].append(place.pool / piece.pooled)
        elif not piece.is_layer:
            source.archived.append(Archived(Path(piece.name).name, place.pool / piece.pooled))
    if extended:
        _extend(source, place)
    return source


def _extend(source: Source, place: Place) -> None:
    """Add the segments that lead on from a backup, and files that were archived later."""
    manifest = source.manifest
    last = max(source.segments)
    directory = None if manifest is None else Path(manifest.source)
    for path in [*_segments_in(place.pool), *(_segments_in(directory / "journal") if directory else ())]:
        number = int(path.name[:10])
        if number >= last and path not in source.segments[number]:
            source.segments[number].append(path)
    names = {archived.name.removesuffix(PENDING) for archived in source.archived}
    later = [
        Archived(Path(piece.name).name, place.pool / piece.pooled)
        for other in place.manifests()
        if other.store_id == source.store_id
        for piece in other.pieces
        if piece.name.startswith("archive/")
    ]
    for archived in [*later, *(_archived_in(directory / "archive") if directory else ())]:
        name = archived.name.removesuffix(PENDING)
        if name not in names:
            names.add(name)
            source.archived.append(archived)


def _of_directory(path: Path) -> Source:
    """Return a data directory, of which only base, journal and archive are looked at."""
    try:
        store_id, created_at, _ = identity_of(path, None)
    except StoreDamaged as damage:
        raise BackupInvalid(str(path), damage.what) from damage
    source = Source(path, store_id, created_at, _stack(path, sorted((path / "base").glob(_LAYERS)), store_id))
    for segment in _segments_in(path / "journal"):
        source.segments[int(segment.stem)].append(segment)
    source.archived = list(_archived_in(path / "archive"))
    return source


def _stack(path: Path, layers: list[Path], store_id: bytes) -> Stack:
    try:
        return stacked([_layer(layer, store_id) for layer in layers])
    except StoreDamaged as damage:
        raise BackupInvalid(str(path), damage.what) from damage


def _layer(path: Path, store_id: bytes) -> Layer:
    try:
        return read_layer(path, store_id, renamed=True)
    except FileNotFoundError:
        raise BackupInvalid(str(path), "it is missing, and a backup needs it") from None


def header_of(path: Path) -> Header | None:
    """Return the header of a segment, if it reads."""
    with suppress(OSError, StoreDamaged):
        segment = SegmentFile(path)
        try:
            return segment.header()
        finally:
            segment.close()
    return None


def _segments_in(directory: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(directory.glob(_SEGMENTS))
    return []


def _archived_in(directory: Path) -> Iterator[Archived]:
    """Iterate the files of an archive; of those that are missing there the copies."""
    found: set[str] = set()
    for place in (directory, directory / COPIES):
        with suppress(OSError):
            for path in sorted(place.glob(_ARCHIVED)):
                done = path.name.removesuffix(PENDING)
                if not path.name.endswith(_UNFINISHED) and done not in found:
                    found.add(done)
                    yield Archived(path.name, path)
