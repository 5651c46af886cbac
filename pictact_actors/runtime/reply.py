"""A message on its way and its one answer.

A `Reply` is what the sender holds; a `Call` is the same object as the runtime sees it. Who waits does so on one lock,
made for the purpose and held until the answer is there: several times cheaper than a condition, and enough for an
answer that comes once. Most of many messages sent together are answered before anybody waits for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from threading import Lock
from typing import Generic, NamedTuple, Protocol, TypeVar

from pictact_actors.clock import monotonic
from pictact_actors.errors import RequestTimeout
from pictact_actors.model.commands import Command
from pictact_actors.model.updating import FunctionFailed
from pictact_actors.threads import HERE, would_wait_for_itself

T = TypeVar("T")
_MAKING = Lock()
"""Held by waiters while they make the lock of a reply, so that there is one."""


def _make_anew() -> None:
    """Replace the lock in a forked child: whoever held it is not there."""
    global _MAKING  # noqa: PLW0603 - a lock cannot be mended, only replaced
    _MAKING = Lock()


os.register_at_fork(after_in_child=_make_anew)


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
            raise _bare(self._error)
        return self._answer  # type: ignore[return-value]  # what the command answers

    def _wait(self, timeout: float | None) -> None:
        if HERE.in_actor:
            raise would_wait_for_itself()
        with _MAKING:
            lock = self._lock
            if lock is None:
                lock = Lock()
                lock.acquire()
                self._lock = lock  # now: who is interrupted here (Ctrl-C) must not leave one that is not held
        if self._done:  # before the lock was there, so nobody may ever release it
            return
        wait_s = self.deadline - monotonic() if timeout is None else timeout
        if lock.acquire(timeout=max(wait_s, 0.0)):
            lock.release()
        elif not self._done:  # somebody else who waited may have been interrupted while holding the lock
            raise RequestTimeout(self.timeout_s if timeout is None else timeout)


def _bare(error: Exception) -> Exception:
    """Return an error as it is raised: with the trace of the caller's own function, or with none.

    Each time anew, or it would grow with every call.
    """
    if isinstance(error, FunctionFailed):
        return error.error.with_traceback(error.trace)
    return error.with_traceback(None)


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

    def fail(self, error: Exception) -> None:
        """Answer with an error."""
        answer_all([_Failed(self, None, error)])

    def outcome(self) -> tuple[object, Exception | None]:
        """Return the answer and the error of a call that is done."""
        return (None, _bare(self._error)) if self._error is not None else (self._answer, None)


class Answered(Protocol):
    """A call and what it gets: a result, or an error."""

    @property
    def call(self) -> Call:
        """Who is answered."""
        ...

    @property
    def answer(self) -> object:
        """The result."""
        ...

    @property
    def error(self) -> Exception | None:
        """The error, which goes before the result."""
        ...


class _Failed(NamedTuple):
    call: Call
    answer: object
    error: Exception | None


def answer_all(answers: Iterable[Answered]) -> None:
    """Answer calls, each with a result or an error; the first answer of a call counts.

    Who waits is woken at the end, in one go: a thread that wakes up may take the processor from this one while it holds
    the interpreter lock. Every event loop is woken once.
    """
    waited: list[Lock] = []
    ports: set[Port] = set()
    for item in answers:
        call = item.call
        if call._done:  # noqa: SLF001 - this is where a call is answered
            continue
        call._answer = item.answer  # noqa: SLF001
        call._error = item.error  # noqa: SLF001
        call._done = True  # noqa: SLF001 - then the lock: a waiter makes the lock first, then looks here
        lock = call._lock  # noqa: SLF001
        if lock is not None:
            waited.append(lock)
        if call.port is not None:
            call.port.answered(call)
            ports.add(call.port)
    for lock in waited:
        lock.release()
    for port in ports:
        port.wake()
