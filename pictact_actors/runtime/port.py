"""The way between one event loop and the shards: many messages in one hand-over, many answers in one wake-up."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from pictact_actors.clock import monotonic
from pictact_actors.errors import RequestTimeout, StoreError
from pictact_actors.runtime.reply import Call

if TYPE_CHECKING:
    from pictact_actors.model.commands import Command
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.runtime import Runtime
    from pictact_actors.runtime.transaction import Errand


class Flight(Call):
    """A call whose answer an event loop waits for."""

    __slots__ = ("admitted", "future", "link")

    future: asyncio.Future[object]
    admitted: bool
    link: ShardLink


class LoopPort:
    """The way from one event loop to the shards and back. All but `answered` and `wake` runs in the loop's thread."""

    def __init__(self, runtime: Runtime, loop: asyncio.AbstractEventLoop) -> None:
        self._runtime = runtime
        self._loop = loop
        self._outbox: dict[ShardLink, list[Flight]] = {}
        self._answered: deque[Flight] = deque()
        self._deadlines: deque[Flight] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf
        """When it goes off (monotonic)."""

    def send(self, command: Command, timeout_s: float | None) -> asyncio.Future[object]:
        """Send a command with the others of this turn of the loop. Raises what is wrong with it."""
        timeout_s = self._runtime.timeout_of(command, timeout_s)
        command = command.checked()
        self._runtime.require_open()
        return self._line_up(self._runtime.link_of(command.group), command, timeout_s)

    def run(self, errand: Errand, timeout_s: float) -> asyncio.Future[object]:
        """Send a transaction's message to a shard, like a command."""
        self._runtime.require_open()
        return self._line_up(errand.link, errand.command, timeout_s)

    def answered(self, call: Call) -> None:
        """Take a call that has its answer. Any thread's."""
        self._answered.append(call)  # type: ignore[arg-type]  # it made the call itself

    def wake(self) -> None:
        """Let the loop collect the answers. Any thread's."""
        try:
            self._loop.call_soon_threadsafe(self._collect)
        except RuntimeError:
            self._answered.clear()  # the loop is closed, nobody waits any more

    def _line_up(self, link: ShardLink, command: Command, timeout_s: float) -> asyncio.Future[object]:
        call = Flight(command, timeout_s, monotonic() + timeout_s, self)
        call.future = future = self._loop.create_future()
        call.admitted = False
        call.link = link
        outbox = self._outbox
        if not outbox:
            self._loop.call_soon(self._hand_over)
        if link in outbox:
            outbox[link].append(call)
        else:
            outbox[link] = [call]
        self._deadlines.append(call)
        if call.deadline < self._due:
            self._watch(call)
        return future

    def _hand_over(self) -> None:
        outbox, self._outbox = self._outbox, {}
        for link, calls in outbox.items():
            self._admit(link, calls)

    def _admit(self, link: ShardLink, calls: list[Flight]) -> None:
        """Hand over what the gate takes; the rest tries again when there is room, until its deadline."""
        try:
            room = self._runtime.admit_some(link, len(calls))
        except StoreError as error:
            for call in calls:
                call.fail(error)
            self._collect()
            return
        for call in calls[:room]:
            call.admitted = True
        if room:
            link.post(calls[:room])
        if room < len(calls):
            link.gate.when_room(partial(self._retry, link, calls[room:]))

    def _retry(self, link: ShardLink, calls: list[Flight]) -> None:
        """Come back to the loop with calls that found no room. Any thread's."""
        try:
            self._loop.call_soon_threadsafe(self._admit_late, link, calls)
        except RuntimeError:
            return  # the loop is closed, nobody waits any more

    def _admit_late(self, link: ShardLink, calls: list[Flight]) -> None:
        waiting = [call for call in calls if not call.future.done()]
        if waiting:
            self._admit(link, waiting)

    def _collect(self) -> None:
        answered = self._answered
        while answered:
            call = answered.popleft()
            future = call.future
            if not future.done():
                value, error = call.outcome()
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(_settable(error))
        while self._deadlines and self._deadlines[0].future.done():
            self._deadlines.popleft()

    def _watch(self, call: Flight) -> None:
        """Let the one timer for all deadlines go off at this one, which is before all others."""
        if self._timer is not None:
            self._timer.cancel()
        self._due = call.deadline
        self._timer = self._loop.call_later(call.timeout_s, self._expire)

    def _expire(self) -> None:
        self._timer, self._due = None, inf
        now = monotonic()
        kept: deque[Flight] = deque()
        for call in self._deadlines:
            if call.future.done():
                continue
            if call.deadline <= now:
                call.future.set_exception(self._late(call))
            else:
                kept.append(call)
        self._deadlines = kept
        if kept:
            self._due = min(call.deadline for call in kept)
            self._timer = self._loop.call_later(self._due - now, self._expire)

    def _late(self, call: Flight) -> StoreError:
        """Return what a caller learns at its deadline: what found no room was not applied for certain."""
        if call.admitted:
            return RequestTimeout(call.timeout_s)
        return call.link.overloaded()


def _settable(error: Exception) -> Exception:
    """Return an error that a future takes: a function may raise `StopIteration`, and no coroutine can."""
    if not isinstance(error, StopIteration):
        return error
    refused = RuntimeError("the function raised StopIteration")
    refused.__cause__ = error
    return refused
