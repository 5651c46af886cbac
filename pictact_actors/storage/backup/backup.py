"""Taking a backup: one moment of a store, copied into a place while the store goes on, and compared with the store.

    copy       layers of the base, segments of the journal up to the moment, files of the archive: what is missing
    compare    everything is read back; what the copies lead to has the digest of what the store shows at that moment
    declare    the manifest is written

All of it goes in steps of a few milliseconds; who runs it decides how long to pause between them. Left at any step, by
a crash too, it is no backup.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pictact_actors.errors import BackupInvalid, StorageFull, StoreDamaged
from pictact_actors.storage.archive import PENDING
from pictact_actors.storage.backup.digest import Latest, Summary, digest_of, file_digest, summary
from pictact_actors.storage.backup.manifest import BackupInfo, Manifest, Piece, info_of, read_manifest
from pictact_actors.storage.backup.place import Place
from pictact_actors.storage.backup.snapshot import Snapshot, created_at
from pictact_actors.storage.truth import layer as layers
from pictact_actors.storage.truth.body import Body
from pictact_actors.storage.truth.journal import Closed
from pictact_actors.storage.truth.layer import Layer, read_layer
from pictact_actors.storage.truth.segment import HEADER_BYTES, NO_ROOM, SegmentFile, segment_name, sync_directory
from pictact_actors.storage.truth.stack import stacked
from pictact_actors.storage.truth.track import Track, tracked

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that a backup needs: its place in a data directory, its name in the pool, and where it is."""

    name: str
    pooled: str
    source: Path
    size_bytes: int
    digest: bytes | None = None


def taken(snapshot: Snapshot, place: Place, now: float, room_bytes: float) -> Generator[None, None, BackupInfo]:
    """Copy a moment into a place, step by step. `now` is epoch s, `room_bytes` is what may be added there.

    Raises `StorageFull`, `BackupInvalid` if the place cannot be used, `StoreDamaged` if what was copied is not what
    the store shows. Nothing is left behind then.
    """
    try:
        with place.writing():
            return (yield from _taken(snapshot, place, now, room_bytes))
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StorageFull(f"{place.path}: {error.strerror}") from error
        raise BackupInvalid(str(place.path), f"it cannot be written: {error}") from error


def _taken(snapshot: Snapshot, place: Place, now: float, room_bytes: float) -> Generator[None, None, BackupInfo]:
    known = {
        piece.pooled: piece.digest for manifest in place.require_own(snapshot.store_id) for piece in manifest.pieces
    }
    tracks = yield from _tracks(snapshot)
    end = tracks[-1].before(snapshot.seq)
    wanted = [*_layers(snapshot), *_segments(tracks, snapshot.seq), *(yield from _archived(snapshot))]
    _require_room(place, wanted, room_bytes)
    pieces = []
    for file in wanted:
        digest = file.digest or known.get(file.pooled)
        pieces.append((yield from place.put(file.name, file.pooled, file.source, file.size_bytes, digest)))
    follows = snapshot.stack.next
    snapshot.release()
    shown = yield from summary(snapshot.pairs)
    copies = yield from contents(place, pieces, snapshot.store_id)
    if shown != copies:
        raise StoreDamaged(
            f"at commit {snapshot.seq} the state shows {shown.records} records, "
            f"base and journal lead to {copies.records}, or to others; run `check`"
        )
    manifest = Manifest(
        store_id=snapshot.store_id,
        store_created_at=created_at(snapshot.path),
        seq=snapshot.seq,
        ts=end.ts,
        chain=end.chain,
        records=shown.records,
        digest=shown.digest,
        taken_at=now,
        source=str(snapshot.path),
        base_seq=snapshot.stack.seq,
        base_ts=0.0 if follows is None else follows.ts,
        pieces=tuple(pieces),
    )
    place.declare(manifest)
    return info_of(manifest, place.path, place.copied_bytes)


def kept(place: Place, closed: Closed, path: Path) -> Generator[None, None, None]:
    """Have a full segment in the pool, because the journal is about to give it up. Raises `OSError`."""
    header, following, _ = closed
    pooled = _segment_pooled(header.number, following.chain)
    if (place.pool / pooled).exists():
        return
    track = yield from tracked(path)
    if track.last.chain != following.chain:
        raise StoreDamaged(f"{path} breaks off at byte {track.last.end}")
    yield from place.put(f"journal/{segment_name(header.number)}", pooled, path, track.last.end)
    sync_directory(place.pool)


def contents(place: Place, pieces: Sequence[Piece], store_id: bytes) -> Generator[None, None, Summary]:
    """Sum up what the files of a backup lead to, each checked against its own chain. Raises `StoreDamaged`."""
    whole = [read_layer(place.pool / piece.pooled, store_id, renamed=True) for piece in pieces if piece.is_layer]
    stack, latest = stacked(whole), Latest()
    segments = sorted((piece for piece in pieces if piece.is_segment), key=lambda piece: piece.number)
    follows = stack.next
    at = (1, 1, store_id) if follows is None else (follows.number, follows.first_seq, follows.chain)
    for piece in segments:
        at = yield from _followed(place.pool / piece.pooled, at, latest)
    return (yield from latest.summary(stack.pairs()))


def _followed(path: Path, at: tuple[int, int, bytes], latest: Latest) -> Generator[None, None, tuple[int, int, bytes]]:
    """Take in the commits of a segment; return what the next one must begin with."""
    segment = SegmentFile(path)
    try:
        header = segment.header()
        if (header.number, header.first_seq, header.chain) != at:
            raise StoreDamaged(f"{path} does not go on where the one before it ends")
        seq, link, end = header.first_seq, header.chain, HEADER_BYTES
        for frame in segment.frames(link):
            body = Body(frame.body)
            yield from latest.take(body.changes())
            seq, link, end = seq + body.count, frame.chain, frame.end
        if end != segment.size:
            raise StoreDamaged(f"{path} is broken at byte {end}")
    finally:
        segment.close()
    return header.number + 1, seq, link


def verified(place: Place, path: Path) -> Generator[None, None, BackupInfo]:
    """Read a backup, all of it, and compare it with itself. Raises `BackupInvalid`."""
    manifest = read_manifest(path)
    try:
        for piece in manifest.pieces:
            yield from require_whole(place, piece)
        found = yield from contents(place, manifest.pieces, manifest.store_id)
    except StoreDamaged as damage:
        raise BackupInvalid(str(path), damage.what) from damage
    if found != (manifest.records, manifest.digest):
        raise BackupInvalid(str(path), f"its files hold {found.records} records, or others than it says")
    return info_of(manifest, place.path)


def verdicts(path: Path) -> Iterator[tuple[Path, BackupInfo | BackupInvalid]]:
    """Verify every backup in a place, or one that is named; yield what each is, or what is wrong with it.

    Raises `BackupInvalid` if there is none.
    """
    place = Place(path.parent if path.is_file() else path)
    paths = [path] if path.is_file() else place.manifest_paths()
    if not paths:
        raise BackupInvalid(str(path), "there is no backup in it; check the path")
    for named in paths:
        try:
            yield named, finished(verified(place, named))
        except BackupInvalid as error:
            yield named, error


def finished(steps: Generator[None, None, T]) -> T:
    """Go all steps without a pause; return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returns


def require_whole(place: Place, piece: Piece) -> Generator[None, None, None]:
    """Compare a file of the pool with what a manifest says of it. Raises `BackupInvalid`."""
    path = place.pool / piece.pooled
    try:
        size_bytes = path.stat().st_size
        if size_bytes != piece.size_bytes:
            raise BackupInvalid(str(path), f"it has {size_bytes:,} bytes instead of {piece.size_bytes:,}")
        if (yield from file_digest(path)) != piece.digest:
            raise BackupInvalid(str(path), "it is damaged: what is in it fails its checksum")
    except FileNotFoundError:
        raise BackupInvalid(str(path), "it is missing, and a backup needs it") from None
    except OSError as error:
        raise BackupInvalid(str(path), f"it cannot be read: {error}") from error


# -- what is wanted


def _tracks(snapshot: Snapshot) -> Generator[None, None, list[Track]]:
    """Follow the journal from the end of the base to the moment. Raises `StoreDamaged`."""
    found: list[Track] = []
    number = snapshot.first_number
    while not found or found[-1].last.seq < snapshot.seq:
        path = snapshot.path / "journal" / segment_name(number)
        if not path.exists():
            raise StoreDamaged(f"{path} is missing, or the segment before it breaks off")
        track = yield from tracked(path, snapshot.seq)
        if found and (track.header.first_seq, track.header.chain) != (found[-1].last.seq + 1, found[-1].last.chain):
            raise StoreDamaged(f"{found[-1].path} breaks off at byte {found[-1].last.end}")
        found.append(track)
        number += 1
    return found


def _layers(snapshot: Snapshot) -> Iterator[_Wanted]:
    for layer in snapshot.stack.layers():
        yield _Wanted(f"base/{layer.path.name}", _layer_pooled(layer), layer.path, layer.size_bytes)


def _segments(tracks: Sequence[Track], seq: int) -> Iterator[_Wanted]:
    for track in tracks:
        end, name = track.before(seq), segment_name(track.header.number)
        yield _Wanted(f"journal/{name}", _segment_pooled(track.header.number, end.chain), track.path, end.end)


def _archived(snapshot: Snapshot) -> Generator[None, None, list[_Wanted]]:
    found: list[_Wanted] = []
    for name in snapshot.archived:
        path = snapshot.path / "archive" / name
        if not path.exists():  # finished meanwhile: the same file under its other name
            path = path.with_name(name.removesuffix(PENDING))
        digest = yield from file_digest(path)
        found.append(_Wanted(f"archive/{name}", f"{digest.hex()}.archive", path, path.stat().st_size, digest))
    return found


def _layer_pooled(layer: Layer) -> str:
    with layer.path.open("rb") as file:
        return f"{layer.number:010d}-{digest_of(file.read(layers.HEADER_BYTES)).hex()}.layer"


def _segment_pooled(number: int, link: bytes) -> str:
    return f"{number:010d}-{link.hex()}.journal"


def _require_room(place: Place, wanted: Sequence[_Wanted], room_bytes: float) -> None:
    """Raise `StorageFull` before anything is copied if there is too little room."""
    there = {path.name for path in os.scandir(place.pool)}
    needed = sum(file.size_bytes for file in wanted if file.pooled not in there)
    if needed > room_bytes:
        raise StorageFull(f"a backup in {place.path} needs {needed:,} bytes, there is room for {max(0, room_bytes):,}")
