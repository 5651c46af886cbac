"""Messages to a shard other than calls. Each says what the shard does when it gets to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictact_actors.runtime.crossing import Crossing
    from pictact_actors.runtime.holder import Holder
    from pictact_actors.runtime.shard import ShardActor


@dataclass(frozen=True, slots=True)
class Bell:
    """Calls are waiting on the link."""

    def apply(self, shard: ShardActor) -> None:
        """Decide all that are there, and what comes meanwhile; after a while other messages have their turn."""
        rings = True
        try:
            for _ in range(_ROUNDS):
                calls = shard.take()
                if not calls:
                    rings = False
                    return
                shard.decide(calls)
        finally:
            if rings:  # also after a mistake: nobody else rings for the calls that are there
                shard.link.tell(self)


BELL = Bell()
_ROUNDS = 16


@dataclass(frozen=True, slots=True)
class Arrive:
    """A crossing comes to this shard, to lock and to work."""

    crossing: Crossing

    def apply(self, shard: ShardActor) -> None:
        """Let it in, or let it wait for its locks."""
        shard.arrive(self.crossing)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A holder is about to end; if it waits for locks here, it does so no longer."""

    holder: Holder

    def apply(self, shard: ShardActor) -> None:
        """Answer what it asked for."""
        shard.give_up(self.holder)


@dataclass(frozen=True, slots=True)
class Release:
    """A holder is over; what it locked here is free."""

    holder: Holder

    def apply(self, shard: ShardActor) -> None:
        """Unlock."""
        shard.release(self.holder)


@dataclass(frozen=True, slots=True)
class Reset:
    """What this shard staged was refused by the committer, which from now on takes `epoch` only."""

    epoch: int

    def apply(self, shard: ShardActor) -> None:
        """Decide again."""
        shard.reset(self.epoch)


@dataclass(frozen=True, slots=True)
class Step:
    """Go on with the first job, after whoever was here before."""

    def apply(self, shard: ShardActor) -> None:
        """Do one step."""
        shard.step()


STEP = Step()
