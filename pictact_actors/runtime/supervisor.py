"""The supervisor: looks after everybody who may hold others up. A thread of its own, which waits for nobody.

It watches progress, not pings: an actor that is busy with the same thing for too long is wedged, one that met a mistake
of ours says so itself. Either is fenced and replaced (`fence.py`), unless the disk is what everybody waits for.
A message that stops its actor twice is quarantined; a shard that cannot be kept running is given up.

Its own thread has all of its fields but `_reports`, which any actor adds to.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections import deque
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.errors import Quarantined, ShardFailed
from pictact_actors.model.updating import Update
from pictact_actors.runtime.fence import Fence
from pictact_actors.runtime.shard import ShardActor

if TYPE_CHECKING:
    from pictact_actors.runtime.incarnation import Incarnation
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.reply import Call
    from pictact_actors.runtime.transactions import Transactions
    from pictact_actors.runtime.workplace import Workplace

LOOK_S = 0.1
"""How often it looks."""
_STOP_S = 1.0
_DISK = ("pictact_actors.storage", "pictact_actors.runtime.committed")
"""Who is in there waits for the disk, or for somebody who does; another actor would wait at the same place."""


class _Report(NamedTuple):
    """An actor that needs a successor, why, and the message to blame for it."""

    actor: Incarnation
    cause: str
    message: Call | None


class Sight:
    """What a shard's actor was doing at the last look, and for how many looks it has."""

    def __init__(self) -> None:
        self.looks = 0
        self._doing: object = None

    def look(self, actor: Incarnation) -> int:
        """Look again; return for how many looks nothing has changed."""
        doing = (actor, actor.turn, actor.in_hand)
        self.looks = self.looks + 1 if actor.busy and doing == self._doing else 0
        self._doing = doing
        return self.looks


class Supervisor:
    """Launches the shards' actors, replaces those that do not go on, and ends transactions that last too long."""

    def __init__(self, workplace: Workplace, transactions: Transactions) -> None:
        self.quarantine: deque[Quarantined] = deque(maxlen=workplace.config.quarantine_max)
        self._workplace = workplace
        self._config = workplace.config
        self._transactions = transactions
        self._sights = {link: Sight() for link in workplace.links}
        self._restarts: dict[ShardLink, deque[float]] = {link: deque() for link in workplace.links}
        self._killed_once: set[Call] = set()
        self._reports: deque[_Report] = deque()
        self._fences: list[Fence] = []
        self._groups = 0
        self._called = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="pictact-supervisor", daemon=True)

    def start(self) -> None:
        """Launch the actors and begin to look."""
        for link in self._workplace.links:
            self.launch(link)
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Waits for the end of the look that it is taking."""
        self._stopping = True
        self._called.set()
        self._thread.join(_STOP_S)

    def launch(self, link: ShardLink) -> None:
        """Give a shard a new actor."""
        link.mailbox = ShardActor.launch(link, self._workplace, self.report)

    def report(self, actor: Incarnation, cause: str) -> None:
        """Take note of an actor that cannot go on and has fenced itself. Any thread's."""
        self._reports.append(_Report(actor, cause, actor.in_hand))
        self._called.set()

    def restart(self, link: ShardLink, cause: str) -> None:
        """Replace a shard's actor whatever it does, and blame nobody. Any thread's."""
        actor = link.actor
        if actor.fence():
            self._reports.append(_Report(actor, cause, None))
            self._called.set()

    def _run(self) -> None:
        due = monotonic() + LOOK_S
        while not self._stopping:
            self._called.wait(max(0.0, due - monotonic()))
            self._called.clear()
            try:
                while self._reports:
                    self._replace(self._reports.popleft())
                if monotonic() >= due:  # looks are counted, so they come at their time only
                    due = monotonic() + LOOK_S
                    self._look()
            except Exception as error:  # noqa: BLE001 - nobody else would look on
                log.error(log.SUPERVISOR_FAILED, cause=repr(error), exc_info=error)

    def _look(self) -> None:
        self._transactions.expire()
        self._try_again()
        if not self._disk_is_slow():
            for link, sight in self._sights.items():
                self._look_at(link.actor, sight)

    def _try_again(self) -> None:
        """Replace those whose successor could not begin the last time: there was no thread to be had."""
        self._fences = [fence for fence in self._fences if not fence.done]
        for fence in self._fences:
            if fence.failed:
                fence.failed = False
                self._workplace.committer.put(fence)

    def _disk_is_slow(self) -> bool:
        """Whether the committer has been in the same commit since the last look: then nobody is to blame."""
        committer = self._workplace.committer
        before, self._groups = self._groups, committer.groups
        return committer.committing and before == self._groups

    def _look_at(self, actor: Incarnation, sight: Sight) -> None:
        if actor.fenced or actor.thread is None:
            return
        if not actor.thread.is_alive():
            cause = "its thread died"
        elif sight.look(actor) * LOOK_S < self._config.wedged_after_s or _waits_for_disk(actor.thread):
            return
        else:
            cause = f"no progress for {self._config.wedged_after_s:g} s"
        if actor.fence():
            log.error(log.SHARD_WEDGED, shard=actor.link.index, cause=cause, stacks=_stacks())
            self._replace(_Report(actor, cause, actor.in_hand))

    def _replace(self, report: _Report) -> None:
        """Have a fenced actor replaced, in the order of commits."""
        actor, cause, message = report
        link = actor.link
        log.error(log.SHARD_RESTARTED, shard=link.index, cause=cause, message=_named(message))
        link.tally.add(restarts=1)
        if message is None or not isinstance(message.command, Update):  # a caller's function is not the shard's fault
            self._count(link, cause)
        refusals = {} if message is None else self._judged(message, link, cause)
        fence = Fence(actor, self.launch, cause, refusals)
        self._fences.append(fence)
        self._workplace.committer.put(fence)

    def _judged(self, message: Call, link: ShardLink, cause: str) -> dict[Call, Exception]:
        """Remember the message that was being decided; refuse it if that has happened before."""
        self._killed_once = {call for call in self._killed_once if not call.done()}
        if message not in self._killed_once:
            self._killed_once.add(message)
            return {}
        error = Quarantined(message.command, cause)
        self.quarantine.append(error)
        link.tally.add(quarantined=1)
        log.error(log.MESSAGE_QUARANTINED, shard=link.index, message=_named(message), cause=cause)
        return {message: error}

    def _count(self, link: ShardLink, cause: str) -> None:
        """Give a shard up that was restarted too often."""
        now, restarts = monotonic(), self._restarts[link]
        while restarts and restarts[0] < now - self._config.restart_window_s:
            restarts.popleft()
        restarts.append(now)
        if len(restarts) > self._config.restarts_max and link.failure is None:
            link.failure = ShardFailed(link.index, cause)
            log.error(log.SHARD_FAILED, shard=link.index, cause=cause)


def _named(message: Call | None) -> str | None:
    """Return what a message is, for the log: it may be large."""
    return None if message is None else f"{message.command.NAME} {message.command.group}"


def _waits_for_disk(thread: threading.Thread) -> bool:
    """Whether a thread is inside the storage."""
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - there is no other way
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_DISK):
            return True
        frame = frame.f_back
    return False


def _stacks() -> dict[str, list[str]]:
    """Return where every thread is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 - there is no other way
    return {names.get(ident, str(ident)): traceback.format_stack(frame) for ident, frame in frames.items()}
