"""From a base to a moment: which segments lead there, in which of their files, and where the last one is cut."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from pictact_actors.errors import BackupInvalid, StoreDamaged
from pictact_actors.storage.backup.source import Source, header_of
from pictact_actors.storage.truth.segment import SegmentFile
from pictact_actors.storage.truth.track import Stop, Track, tracked


@dataclass(frozen=True, slots=True)
class Route:
    """The segments up to the moment after commit `seq`, at `ts` (epoch s)."""

    tracks: Sequence[Track]
    seq: int
    ts: float


def routed(source: Source, to_seq: int | None, to_time: float | None) -> Generator[None, None, Route]:
    """Find the way to a moment, step by step: a commit, the last one at a time, or as far as it goes.

    A backup is its own moment unless another one is asked for. Raises `BackupInvalid` if it does not lead there.
    """
    if to_seq is None and to_time is None and source.manifest is not None:
        to_seq = source.manifest.seq
    _require_behind_base(source, to_seq, to_time)
    tracks, breaks_off = yield from _followed(source, to_seq, to_time)
    if not tracks:
        raise BackupInvalid(str(source.path), f"the journal behind its base is missing: {breaks_off}")
    end = tracks[-1].last
    if to_time is not None:
        to_seq, reached = max(_at(track.stops, to_time) for track in tracks), end.ts > to_time or not breaks_off
    elif to_seq is None:
        to_seq, reached = end.seq, not breaks_off
    else:
        reached = to_seq <= end.seq
    if not reached:
        reason = breaks_off or "there it ends"
        raise BackupInvalid(
            str(source.path), f"it leads to commit {end.seq} and no further ({reason}); give to_seq={end.seq}, or less"
        )
    return _cut(tracks, to_seq)


def _cut(tracks: Sequence[Track], seq: int) -> Route:
    kept = [track for track in tracks if track.header.first_seq <= seq + 1]
    stop = kept[-1].before(seq)
    later = next((at for at in kept[-1].stops if at.seq >= seq), stop)
    return Route(kept, seq, later.ts)


def _at(stops: Sequence[Stop], to_time: float) -> int:
    return max((stop.seq for stop in stops if stop.ts <= to_time), default=0)


def _require_behind_base(source: Source, to_seq: int | None, to_time: float | None) -> None:
    base_seq, base_ts = source.stack.seq, source.begin_ts()
    if (to_seq is not None and to_seq < base_seq) or (to_time is not None and to_time < base_ts):
        raise BackupInvalid(
            str(source.path),
            f"it does not reach back so far; the oldest moment is commit {base_seq}, at {base_ts} epoch s",
        )


def _followed(
    source: Source, to_seq: int | None, to_time: float | None
) -> Generator[None, None, tuple[list[Track], str]]:
    """Follow the segments to the moment or the end; return also why it breaks off, if it does."""
    tracks: list[Track] = []
    number, first_seq, link = source.begin()
    while True:
        found, reason = yield from _fitting(source, number, first_seq, link)
        if not found:
            more = any(later >= number for later in source.segments)
            return tracks, reason if more or not tracks else _torn(tracks[-1])
        track = found[-1]
        tracks.append(track)
        fork = _fork(source, found)
        if fork is not None and not _reaches(fork, to_seq, to_time):
            raise BackupInvalid(
                str(source.path), f"two histories go on from it after commit {fork.seq}; name the backup that you mean"
            )
        if _reaches(track.last, to_seq, to_time):
            return tracks, ""
        number, first_seq, link = number + 1, track.last.seq + 1, track.last.chain


def _torn(track: Track) -> str:
    """Return what is wrong behind the last whole frame of a journal; a torn write is not."""
    with closing(SegmentFile(track.path)) as segment:
        try:
            segment.tail(track.header.chain)
        except StoreDamaged as damage:
            return damage.what
    return ""


def _fitting(
    source: Source, number: int, first_seq: int, link: bytes
) -> Generator[None, None, tuple[list[Track], str]]:
    """Return the files of a segment that go on from there, the longest last, or why there is none."""
    found: list[Track] = []
    reason = f"segment {number} of the journal is missing"
    for path in source.segments.get(number, []):
        try:
            track = yield from tracked(path)
        except (StoreDamaged, OSError) as error:
            reason = error.what if isinstance(error, StoreDamaged) else f"{path} cannot be read: {error.strerror}"
            continue
        if track.header.store_id != source.store_id:
            reason = f"{path} belongs to another store"
        elif (track.header.first_seq, track.header.chain) != (first_seq, link):
            reason = f"{path} does not go on after commit {first_seq - 1}"
        else:
            found.append(track)
    found.reverse()  # of equal ones the first comes last: it is from the pool, where nothing goes
    return sorted(found, key=lambda track: track.last.seq), reason


def _fork(source: Source, found: Sequence[Track]) -> Stop | None:
    """Return where the files of a segment part, or another segment follows before its end: after a restore, perhaps."""
    stops = found[-1].stops
    parting = [_common(shorter.stops, stops) for shorter in found[:-1] if shorter.last not in stops]
    following = [header_of(path) for path in source.segments.get(found[-1].header.number + 1, [])]
    begun = {(header.first_seq - 1, header.chain) for header in following if header is not None}
    parting += [stop for stop in stops[:-1] if (stop.seq, stop.chain) in begun]
    return min(parting, default=None)


def _common(stops: Sequence[Stop], others: Sequence[Stop]) -> Stop:
    return max(set(stops) & set(others))


def _reaches(stop: Stop, to_seq: int | None, to_time: float | None) -> bool:
    """Whether a moment is at a stop, or before it."""
    return (to_seq is not None and stop.seq >= to_seq) or (to_time is not None and stop.ts > to_time)
