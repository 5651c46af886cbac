"""The rest of a damaged journal: what follows the commits that the state has, if that can be told at all.

What comes before does not matter any more then: the state has it. But it must be certain that nothing was acknowledged
behind what still reads. So the place where the state's commits end has to be there and to look as if it was written,
and from there on every frame and every segment has to follow the one before, up to where nothing was written yet.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.engine import Entry
from pictact_actors.storage.truth.body import Body, entries_of
from pictact_actors.storage.truth.position import Position
from pictact_actors.storage.truth.segment import HEADER_BYTES, SegmentFile, segment_name

_SEGMENTS = "[0-9]" * 10 + ".journal"


def rest_behind(journal: Path, store_id: bytes, position: Position) -> tuple[list[Entry], Position]:
    """Return the commits behind a position, and where they end. Raises `StoreDamaged` if that cannot be told."""
    numbers = sorted(int(path.stem) for path in journal.glob(_SEGMENTS))
    numbers = [number for number in numbers if number >= position.number]
    if numbers != list(range(position.number, position.number + len(numbers))) or not numbers:
        raise StoreDamaged(f"{journal} lacks segments behind commit {position.seq}")
    rest = _Rest(position)
    for number in numbers:
        with closing(SegmentFile(journal / segment_name(number))) as segment:
            if number == position.number:
                rest.begin(segment, store_id, is_last=number == numbers[-1])
            else:
                rest.go_on(segment, store_id)
    return rest.entries, rest.end


class _Rest:
    """What was read so far, and where that ends."""

    def __init__(self, position: Position) -> None:
        self.entries: list[Entry] = []
        self.end = position

    def begin(self, segment: SegmentFile, store_id: bytes, *, is_last: bool) -> None:
        """Read on in the segment in which the state's commits end; the next one, if any, bears witness to its end."""
        start = self.end
        if segment.size < start.offset:
            raise StoreDamaged(f"{segment.path} ends before byte {start.offset}, where commit {start.seq} ended")
        self._read(segment)
        if self.end == start and is_last and not segment.is_written_before(start.offset):
            header = segment.header()
            if start.offset > HEADER_BYTES or (header.store_id, header.chain) != (store_id, start.chain):
                raise StoreDamaged(f"{segment.path} has lost what was before byte {start.offset}, or is an older copy")

    def go_on(self, segment: SegmentFile, store_id: bytes) -> None:
        """Read a segment that has to follow."""
        header, end = segment.header(), self.end
        if (header.store_id, header.number, header.first_seq, header.chain) != (
            store_id,
            end.number + 1,
            end.seq + 1,
            end.chain,
        ):
            raise StoreDamaged(f"{segment.path} does not follow commit {end.seq}, the last one before it that reads")
        self.end = end._replace(number=header.number, offset=HEADER_BYTES)
        self._read(segment)

    def _read(self, segment: SegmentFile) -> None:
        for frame in segment.frames(self.end.chain, self.end.offset):
            self.entries += entries_of(frame.body, self.end.seq + 1)
            body = Body(frame.body)
            self.end = Position(body.last_seq, body.ts, body.mark, frame.chain, self.end.number, frame.end)
        segment.require_no_frame_behind(self.end.offset)
