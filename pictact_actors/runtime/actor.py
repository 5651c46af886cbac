"""The base of our actors: the only importer of pykka, with its traps closed.

- The thread is a daemon, so a host that forgets to close can exit; durability does not depend on `on_stop`.
- Any exception ends in `on_fault`, never in pykka: there a `SystemExit` would stop every actor of the host.
- The actor leaves pykka's registry at once: a host's `stop_all()` stops the host's actors, not the store's.
"""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import Any

import pykka

from pictact_actors.threads import HERE, let_others_finish


class Mailbox:
    """Where messages to an actor are left. What comes after its end is dropped: its successor knows all it has to."""

    __slots__ = ("_ref",)

    def __init__(self, ref: pykka.ActorRef[Any]) -> None:
        self._ref = ref

    def tell(self, message: object) -> None:
        """Leave a message."""
        with suppress(pykka.ActorDeadError):
            self._ref.tell(message)

    def stop(self) -> None:
        """End the actor after the messages that are there."""
        with suppress(pykka.ActorDeadError):
            self._ref.stop(block=False)


class Actor(pykka.ThreadingActor):
    """An actor that handles one message after the other and survives its own mistakes."""

    use_daemon_thread = True

    @staticmethod
    def _create_actor_inbox() -> Any:
        return queue.SimpleQueue()

    @classmethod
    def launch(cls, *args: object) -> Mailbox:
        """Start the actor, out of the reach of the host's registry."""
        try:
            return Mailbox(cls.start(*args))
        finally:
            for ref in pykka.ActorRegistry.get_by_class(cls):  # also one that found no thread to run in
                pykka.ActorRegistry.unregister(ref)

    def on_start(self) -> None:
        """Begin in the actor's own thread."""
        HERE.in_actor = True
        let_others_finish()

    def on_receive(self, message: Any) -> None:
        """Handle a message; whatever goes wrong stays here."""
        try:
            self.handle(message)
        except BaseException as error:  # noqa: BLE001 - see above
            self.on_fault(message, error)

    def handle(self, message: Any) -> None:
        """Do what the message says."""
        raise NotImplementedError

    def on_fault(self, message: Any, error: BaseException) -> None:
        """Answer everybody that the failed message leaves waiting."""
        raise NotImplementedError
