"""The way through one journal segment: which commits it holds after which of its frames.

A segment can be cut at every stop: what is before it is whole, and says nothing of what comes behind. Between two stops
lie the commits of one group; a cut there takes the frame to pieces and packs the first of them again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pictact_actors.errors import StoreDamaged
from pictact_actors.model import codec
from pictact_actors.storage.truth.body import Body
from pictact_actors.storage.truth.segment import HEADER_BYTES, Header, SegmentFile, pack_frame


class Stop(NamedTuple):
    """A place where a journal may end: the last commit before it, its time, the byte, and the chain value there."""

    seq: int
    ts: float
    end: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class Track:
    """A segment and its stops in order; the first one is behind its header."""

    path: Path
    header: Header
    stops: list[Stop]

    @property
    def last(self) -> Stop:
        """Where its whole frames end."""
        return self.stops[-1]

    def before(self, seq: int) -> Stop:
        """Return the last stop at which no commit behind `seq` is in it."""
        return self.stops[bisect_right(self.stops, seq, key=_seq_of) - 1]

    def rest(self, seq: int) -> bytes:
        """Return the frame that makes the commits from the stop before `seq` up to it whole; empty if that is one."""
        stop = self.before(seq)
        if stop.seq == seq:
            return b""
        with closing(SegmentFile(self.path)) as segment:
            frame = segment.frame(stop.end, stop.chain)
        if frame is None:
            raise StoreDamaged(f"{self.path} has changed at byte {stop.end} while it was read")
        body = Body(frame.body)
        kept = [[at.cause, at.request_id, at.changes] for at in islice(body.entries(), seq - stop.seq)]
        return pack_frame(codec.dumps_in_pieces([body.first_seq, body.ts, body.mark, kept]), stop.chain)


def tracked(path: Path, to_seq: int | None = None) -> Generator[None, None, Track]:
    """Follow the whole frames of a segment, step by step, as far as `to_seq` if it is given. Raises `StoreDamaged`."""
    with closing(SegmentFile(path)) as segment:
        header = segment.header()
        at = Stop(header.first_seq - 1, header.ts, HEADER_BYTES, header.chain)
        stops = [at]
        for frame in segment.frames(header.chain):
            if to_seq is not None and at.seq >= to_seq:
                break
            body = Body(frame.body)
            if body.first_seq != at.seq + 1:
                raise StoreDamaged(f"{path} jumps from sequence number {at.seq} to {body.first_seq}")
            at = Stop(at.seq + body.count, body.ts, frame.end, frame.chain)
            stops.append(at)
            yield
    return Track(path, header, stops)


def _seq_of(stop: Stop) -> int:
    return stop.seq
