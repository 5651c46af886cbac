"""A message on its way and its one answer.

A `Reply` is what the sender holds; a `Call` is the same object as the runtime sees it. Who waits does so on one lock,
made for the purpose and held until the answer is there: several times cheaper than a condition, and enough for an
answer that comes once. Most of many messages sent together are answered before anybody waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Generic, Protocol, TypeVar

from pictact_actors.clock import monotonic
from pictact_actors.errors import RequestTimeout
from pictact_actors.model.commands import Command

T = TypeVar("T")
_MAKING = Lock()
"""Held by waiters while they make the lock of a reply, so that there is one."""


class Port(Protocol):
    """Where answers for one event loop gather; `wake` tells the loop once for all of them."""

    def answered(self, call: Call) -> None:
        """Take a call that has its answer now."""
        ...

    def wake(self) -> None:
        """Let the loop collect what was answered."""
        ...


class Reply(Generic[T]):
    """The one answer to a message. Any thread may wait for it, any number of times."""

    __slots__ = ("_answer", "_done", "_error", "_lock", "deadline", "timeout_s")

    def __init__(self, timeout_s: float, deadline: float) -> None:
        self._lock: Lock | None = None
        self._done = False
        self._answer: object = None
        self._error: Exception | None = None
        self.timeout_s = timeout_s
        self.deadline = deadline

    def done(self) -> bool:
        """Whether the answer is there."""
        return self._done

    def get(self, timeout: float | None = None) -> T:
        """Return the answer, waiting at most `timeout` seconds (by default until the message's own deadline).

        Raises what the command raised, or `RequestTimeout` if there is no answer in time.
        """
        if not self._done:
            self._wait(timeout)
        if self._error is not None:
            raise self._error.with_traceback(None)  # each time anew, or it would grow with every call
        return self._answer  # type: ignore[return-value]  # what the command answers

    def _wait(self, timeout: float | None) -> None:
        with _MAKING:
            lock = self._lock
            if lock is None:
                lock = self._lock = Lock()
                lock.acquire()
        if self._done:  # before the lock was there, so nobody may ever release it
            return
        wait_s = self.deadline - monotonic() if timeout is None else timeout
        if not lock.acquire(timeout=max(wait_s, 0.0)):
            raise RequestTimeout(self.timeout_s if timeout is None else timeout)
        lock.release()


class Call(Reply[object]):
    """A command in flight. The runtime answers it exactly once."""

    __slots__ = ("command", "port")

    def __init__(self, command: Command, timeout_s: float, deadline: float, port: Port | None = None) -> None:
        # Spelled out, not super().__init__(): one of these is made for every message.
        self._lock = None
        self._done = False
        self._error = None
        self.timeout_s = timeout_s
        self.deadline = deadline
        self.command = command
        self.port = port

    def answer(self, value: object) -> None:
        """Answer with the command's result; the first answer counts."""
        if not self._done:
            self._answer = value
            self._finish()

    def fail(self, error: Exception) -> None:
        """Answer with an error; the first answer counts."""
        if not self._done:
            self._error = error
            self._finish()

    def _finish(self) -> None:
        self._done = True  # first, then the lock: a waiter makes the lock first, then looks here
        lock = self._lock
        if lock is not None:
            lock.release()
        if self.port is not None:
            self.port.answered(self)

    def outcome(self) -> tuple[object, Exception | None]:
        """Return the answer and the error of a call that is done."""
        return (None, self._error) if self._error is not None else (self._answer, None)


def wake_ports(calls: Iterable[Call]) -> None:
    """Tell every event loop that waits for some of these answered calls, once each."""
    for port in {call.port for call in calls if call.port is not None}:
        port.wake()
