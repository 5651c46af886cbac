"""What the rest of the runtime holds of a shard: its door, its mailbox, and how far its work has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pictact_actors.clock import monotonic
from pictact_actors.errors import Overloaded
from pictact_actors.runtime.messages import BELL
from pictact_actors.runtime.statistics import COUNTED, ShardStatistics
from pictact_actors.runtime.tally import Tally

if TYPE_CHECKING:
    from pictact_actors.errors import ShardFailed
    from pictact_actors.runtime.actor import Mailbox
    from pictact_actors.runtime.gate import Gate
    from pictact_actors.runtime.incarnation import Incarnation
    from pictact_actors.runtime.reply import Call
    from pictact_actors.runtime.shard import ShardActor


class ShardMessage(Protocol):
    """A message to a shard."""

    def apply(self, shard: ShardActor) -> None:
        """Do what the message says, in the shard's thread."""
        ...


class ShardLink:
    """One shard as seen from outside.

    The committer alone writes `epoch`, `published` and, when an actor takes another one's place, `mailbox` and `actor`.
    Calls do not go through the mailbox one by one: they line up on the link, and the bell is rung for the first of
    them. What lines up before the actor gets to it is decided in one go, and wakes nobody.
    """

    __slots__ = (
        "_calls",
        "_first",
        "_rung",
        "actor",
        "epoch",
        "failure",
        "gate",
        "index",
        "mailbox",
        "published",
        "tally",
    )

    def __init__(self, index: int, gate: Gate) -> None:
        self.index = index
        self.gate = gate
        self.mailbox: Mailbox
        self.actor: Incarnation
        self.failure: ShardFailed | None = None
        self.epoch = 0
        self.published = 0
        self.tally = Tally()
        self._calls: deque[Call] = deque()
        self._first: Call | None = None
        self._rung = False

    def post(self, calls: Sequence[Call]) -> None:
        """Line calls up for the shard. Any thread's."""
        self._calls.extend(calls)
        if not self._rung:
            self._rung = True
            self.mailbox.tell(BELL)

    def post_again(self, calls: Sequence[Call]) -> None:
        """Line calls up before all others, for the actor that has just begun."""
        self._calls.extendleft(reversed(calls))
        self._rung = True
        self.mailbox.tell(BELL)

    def hush(self) -> None:
        """Let nobody ring until calls are lined up again: who comes now is behind those."""
        self._rung = True

    def take(self, count_max: int) -> list[Call]:
        """Take the calls that are there, but not too many; once there are none, the next one rings again. The actor's.

        What is taken is decided in one go and committed in one group.
        """
        calls = self._calls
        if not calls:
            self._rung = False
            if not calls:  # still: one that came in between saw the bell rung, and is taken now
                return []
            self._rung = True
        taken = [calls.popleft() for _ in range(min(len(calls), count_max))]
        if self._first is None or self._first.done():
            self._first = taken[0]
        return taken

    def queued(self) -> int:
        """Return how many calls the actor has not taken yet."""
        return len(self._calls)

    def oldest(self) -> Call | None:
        """Return the oldest known of the calls in flight.

        It looks at the head of the line and at one call that was taken: the first one, then, once that is answered, the
        first of the next batch. So it is exact as soon as nothing moves, and costs nothing while everything does.
        """
        try:
            head = self._calls[0]
        except IndexError:
            head = None
        waiting = [call for call in (self._first, head) if call is not None and not call.done()]
        return min(waiting, key=_sent_at, default=None)

    def queue_age_s(self) -> float:
        """Return for how long the oldest known of the calls in flight has been here, in seconds."""
        call = self.oldest()
        return 0.0 if call is None else monotonic() - _sent_at(call)

    def overloaded(self) -> Overloaded:
        """Return what a sender learns for whom there is no room."""
        return Overloaded(self.index, self.gate.in_flight, self.queue_age_s())

    def statistics(self) -> ShardStatistics:
        """Return what the shard is doing and what it has seen."""
        counts = {name: self.tally[name] for name in COUNTED}
        return ShardStatistics(self.index, self.gate.in_flight, self.epoch, self.queued(), self.queue_age_s(), **counts)

    def tell(self, message: ShardMessage) -> None:
        """Leave a message in the shard's mailbox."""
        self.mailbox.tell(message)

    def stop(self) -> None:
        """End the shard's actor, without waiting for it."""
        self.mailbox.stop()


def _sent_at(call: Call) -> float:
    """Return when a call was sent (monotonic)."""
    return call.deadline - call.timeout_s
