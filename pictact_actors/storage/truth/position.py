"""A position in the journal: behind which commit, and where that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self


class Position(NamedTuple):
    """The end of a commit group: the last commit's seq, time (epoch s) and mark, and the `chain` behind its frame.

    The frame ends at byte `offset` of the segment `number`.
    """

    seq: int
    ts: float
    mark: float
    chain: bytes
    number: int
    offset: int

    def packed(self) -> list[Any]:
        """Return it in plain values."""
        return list(self)

    @classmethod
    def unpacked(cls, values: Sequence[Any] | None) -> Self | None:
        """Return what was packed. Raises `ValueError`, `TypeError`."""
        if values is None:
            return None
        seq, ts, mark, chain, number, offset = values
        return cls(int(seq), float(ts), float(mark), bytes(chain), int(number), int(offset))
