"""What actors hand to the committer: decided commands, in the order they were decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pictact_actors.model.records import Record

if TYPE_CHECKING:
    from pictact_actors.runtime.holder import Holder
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.reply import Call

RECORD_OVERHEAD_BYTES = 16
"""What a record takes in a commit beyond its key and value, about."""
Records = Mapping[str, Record | None]


class Staged(NamedTuple):
    """A decided command: what it writes, and the answer its caller gets once that is durable.

    `records` are the decoded values of `changes` for the cache, or None where they were too many to carry along.
    """

    call: Call
    cause: str
    request_id: str | None
    changes: Mapping[str, bytes | None]
    records: Records | None
    answer: object
    error: Exception | None


class Batch(NamedTuple):
    """Commands that one shard decided in one go. `number` counts the shard's batches, 0 for the work of a `holder`.

    A batch of an `epoch` that its shard has left is refused. What a holder did depends on all its shards. Of the
    others it is known when (monotonic) their shard `began` to decide and had `decided`, and if they `waited` for locks.
    """

    link: ShardLink
    epoch: int
    number: int
    staged: Sequence[Staged]
    size_bytes: int
    mark: float
    holder: Holder | None = None
    began: float = 0.0
    decided: float = 0.0
    waited: bool = False

    def is_current(self) -> bool:
        """Whether what it was decided on still stands."""
        if self.holder is not None:
            return self.holder.is_current()
        return self.epoch == self.link.epoch


def staged(call: Call, changes: Mapping[str, bytes | None], records: Records, answer: object) -> Staged:
    """Return a decision that writes. Made for every write, so past the constructor: 0.12 us instead of 0.37."""
    command = call.command
    return tuple.__new__(Staged, (call, command.NAME, command.request_id, changes, records, answer, None))


NOTHING: Mapping[str, bytes | None] = {}


def rejected(call: Call, error: Exception) -> Staged:
    """Return a decision that writes nothing and answers with an error."""
    return Staged(call, call.command.NAME, None, NOTHING, None, None, error)
