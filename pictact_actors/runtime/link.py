"""What the rest of the runtime holds of a shard: its door, its mailbox, and how far its work has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from pictact_actors.runtime.gate import Gate
    from pictact_actors.runtime.reply import Call
    from pictact_actors.runtime.shard import ShardActor


class ShardMessage(Protocol):
    """A message to a shard other than a list of calls."""

    def apply(self, shard: ShardActor) -> None:
        """Do what the message says, in the shard's thread."""
        ...


class Mailbox(Protocol):
    """Where messages to an actor are left."""

    def tell(self, message: object) -> None:
        """Leave a message."""
        ...

    def stop(self, *, block: Literal[False]) -> object:
        """End the actor after the messages that are there."""
        ...


class ShardLink:
    """One shard as seen from outside. `epoch` and `published` are written by the committer only."""

    __slots__ = ("epoch", "gate", "index", "mailbox", "published")

    def __init__(self, index: int, gate: Gate) -> None:
        self.index = index
        self.gate = gate
        self.mailbox: Mailbox
        self.epoch = 0
        self.published = 0

    def tell(self, message: list[Call] | ShardMessage) -> None:
        """Leave a message in the shard's mailbox."""
        self.mailbox.tell(message)

    def stop(self) -> None:
        """End the shard's actor, without waiting for it."""
        self.mailbox.stop(block=False)
