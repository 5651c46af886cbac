r"""What the state says of itself: which commits are in it, and that nothing is missing that was written to it.

    LevelDB key = "\0applied"           CBOR { "seq": last commit in it, "store": store id, "batch": N, "since": M,
                                               "position": [ seq, ts, mark, chain, number, offset ] or null }
                | "\0batch:" number     empty; there for every batch from M to N

Both go with the records, in the same batch. LevelDB skips a part of its log that was not written, or the last files
that it should know of, without a word (`design.md`: what a power cut or a damaged manifest leaves). Later batches would
then stand on a hole. So each one leaves its number, and a missing one shows. Those that are in tables for certain are
dropped, all but the last: if it is gone, so is the table. After a hole the state is worth nothing and built anew:
bringing it forward from further back would mend its records, but not what is counted (`counted.py`).
"""

from __future__ import annotations

from pictact_actors.errors import StoreDamaged
from pictact_actors.model import codec
from pictact_actors.storage.state.leveldb import Database
from pictact_actors.storage.truth.position import Position

APPLIED = b"\0applied"
_BATCH = b"\0batch:"
_NUMBER_BYTES = 8
_UNSETTLED_MAX = 256
"""Batches whose numbers are kept; then LevelDB is told to write a table."""


class Trail:
    """What one handle has written. The writing thread's; any thread may call `settled`."""

    def __init__(self, database: Database, store_id: bytes) -> None:
        """Read it. Raises `StoreDamaged` if the state is another store's, or something is missing."""
        self._store_id = store_id
        self.seq, self.position, self.number, self._since = _read(database, store_id)
        self._settled = self.number  # LevelDB has just written out what was in its log
        kept = {int.from_bytes(key[len(_BATCH) :], "big") for key, _ in database.cursor(_BATCH)}
        for number in range(self._since, self.number + 1):
            if number not in kept:
                raise StoreDamaged(f"the state lost what was written to it (batch {number} of {self.number})")

    @property
    def is_long(self) -> bool:
        """Whether LevelDB should settle."""
        return self.number - self._settled >= _UNSETTLED_MAX

    def settled(self, number: int) -> None:
        """Note that the batches up to a number are in tables."""
        self._settled = max(self._settled, number)

    def next(self, seq: int, position: Position | None) -> dict[bytes, bytes | None]:
        """Return what goes with the next batch, which leads up to a commit. It must be written, or the handle given up.

        `position` is None while that is in the middle of a commit group.
        """
        pairs: dict[bytes, bytes | None] = {_key(gone): None for gone in range(self._since, self._settled)}
        self._since = max(self._since, self._settled)
        self.number += 1
        self.seq, self.position = seq, position
        pairs[_key(self.number)] = b""
        pairs[APPLIED] = codec.dumps(
            {
                "seq": seq,
                "store": self._store_id,
                "batch": self.number,
                "since": self._since,
                "position": None if position is None else position.packed(),
            }
        )
        return pairs


def _read(database: Database, store_id: bytes) -> tuple[int, Position | None, int, int]:
    value = database.get(APPLIED)
    if value is None:
        return 0, None, 0, 1
    try:
        applied = codec.loads(value)
        seq, owner = int(applied["seq"]), applied["store"]
        number, since = int(applied.get("batch", 0)), int(applied.get("since", 1))
        position = Position.unpacked(applied.get("position"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreDamaged(f"the state does not say what is in it: {error}") from error
    if owner != store_id:
        raise StoreDamaged("the state belongs to another store")
    return seq, position, number, since


def _key(number: int) -> bytes:
    return _BATCH + number.to_bytes(_NUMBER_BYTES, "big")
