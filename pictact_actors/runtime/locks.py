"""Which groups of a shard are locked, by whom, and who waits. Used by the shard's own thread only.

Everything is first come, first served. A holder asks for all it needs in a shard at once; somebody who needs the whole
shard waits for all who were there before, and whoever comes later lines up behind. Crossings go through shards in one
order and cannot wait for each other in a circle; transactions can, so each wait is reported with all who are in the
way of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from pictact_actors.model.commands import CompleteMatch
from pictact_actors.runtime.reply import Call

if TYPE_CHECKING:
    from pictact_actors.runtime.holder import Holder

WHOLE = "*"
"""Stands for all groups of a shard, also those that do not exist yet. No group has this name."""

Report = Callable[["Holder", tuple[str, ...], AbstractSet["Holder"]], None]
"""Told of each wait: who, for which groups, and behind whom."""


@dataclass(slots=True, eq=False)
class Request:
    """A holder's wait for groups."""

    holder: Holder
    groups: tuple[str, ...]
    missing: int = 0


class LockTable:
    """Exclusive locks on groups.

    `holders` says who has a group. Who waits stands in the queue of each group it needs, or, once somebody asked for
    the whole shard, in the line behind that one.
    """

    def __init__(self, report: Report) -> None:
        self.holders: dict[str, Holder] = {}
        self._report = report
        self._held: dict[Holder, list[str]] = {}
        self._requests: dict[Holder, Request] = {}
        self._queues: dict[str, deque[Call | Request]] = {}
        self._line: deque[Call | Request] = deque()
        self._freed: set[str] = set()

    def __len__(self) -> int:
        return len(self.holders)

    def hold_up(self, group: str, call: Call) -> bool:
        """Let a call wait if its group is locked; say whether it does."""
        if self._line or WHOLE in self.holders:
            self._line.append(call)
        elif group in self.holders:
            self._queues.setdefault(group, deque()).append(call)
        else:
            return False
        return True

    def acquire(self, holder: Holder, groups: Iterable[str]) -> bool:
        """Lock groups for a holder, or let it wait for those that others have; say whether it has all of them."""
        request = Request(holder, tuple(groups))
        if self.holders.get(WHOLE) is holder or all(self.holders.get(group) is holder for group in request.groups):
            return True
        if self._freed.issuperset(request.groups):  # it is the turn of the call that this one comes from
            self._report_overtaken(request)
            return self._ask(request)
        if self._line or WHOLE in self.holders or (WHOLE in request.groups and not self._is_all(holder)):
            ahead = self._ahead_in_line(request)
            self._line.append(request)
            self._wait(request, ahead)
            return False
        return self._ask(request)

    def release(self, holder: Holder) -> list[str]:
        """Take back what a holder has and what it asked for; return the groups, to be passed on."""
        groups = self._held.pop(holder, [])
        for group in groups:
            del self.holders[group]
        return groups + self.withdraw(holder)

    def withdraw(self, holder: Holder) -> list[str]:
        """Take back what a holder asked for and does not have; return the groups, to be passed on."""
        request = self._requests.pop(holder, None)
        if request is None:
            return []
        for queue in (self._line, *(self._queues.get(group) for group in request.groups)):
            if queue is not None and request in queue:
                queue.remove(request)
        return list(request.groups)

    def pass_on(self, groups: Iterable[str]) -> tuple[list[Call], list[Holder], list[str]]:
        """Give free groups to who waited first for each.

        Returns the calls to be decided now, the holders that have all they asked for now, and the groups to be passed
        on again after that: a call that may lock its group itself is the last to be freed.
        """
        calls: list[Call] = []
        ready: list[Holder] = []
        again: list[str] = []
        self._freed.clear()
        for group in dict.fromkeys(groups):
            queue = self._queues.pop(group, None)
            if queue:
                if group not in self.holders and self._free(group, queue, calls, ready):
                    again.append(group)
                if queue:
                    self._queues[group] = queue
        if not again and self._line and self._move_up(calls, ready):
            again.append(WHOLE)
        return calls, ready, again

    def holds(self, holder: Holder) -> bool:
        """Whether a holder has any group here."""
        return holder in self._held

    def waits(self, holder: Holder) -> bool:
        """Whether a holder waits here."""
        return holder in self._requests

    def waiting_calls(self) -> list[Call]:
        """Return all calls that wait for a lock. Other threads may ask for it when the shard's own is stuck."""
        return [item for item in self.in_order() if isinstance(item, Call)]

    def in_order(self) -> list[Call | Holder]:
        """Return who has groups and who waits for them, for each group in order. Other threads may ask, as above."""
        found: dict[Call | Holder, None] = {}
        for group, queue in tuple(self._queues.items()):
            owner = self.holders.get(group)
            found.update(dict.fromkeys([] if owner is None else [owner]))
            found.update(dict.fromkeys(map(_who, tuple(queue))))
        found.update(dict.fromkeys([*map(_who, tuple(self._line)), *tuple(self._held)]))
        return list(found)

    # -- asking

    def _ask(self, request: Request) -> bool:
        """Take the groups that are free, and queue for the others."""
        holder = request.holder
        behind: set[Holder] = set()
        for group in request.groups:
            owner = self.holders.get(group)
            if owner is None:
                self._grant(group, holder)
            elif owner is not holder:
                queue = self._queues.setdefault(group, deque())
                behind.add(owner)
                behind.update(item.holder for item in queue if isinstance(item, Request))
                queue.append(request)
                request.missing += 1
        if request.missing:
            self._wait(request, behind - {holder})
        return not request.missing

    def _wait(self, request: Request, behind: AbstractSet[Holder]) -> None:
        self._requests[request.holder] = request
        self._report(request.holder, request.groups, behind)

    def _report_overtaken(self, request: Request) -> None:
        """Report to whom a call that waited before them is in the way now, as a holder."""
        wanted = {WHOLE, *request.groups}
        queues = (self._line, *(self._queues.get(group, ()) for group in request.groups))
        for item in chain.from_iterable(queues):
            if isinstance(item, Request) and not wanted.isdisjoint(item.groups):
                self._report(item.holder, item.groups, {request.holder})

    def _is_all(self, holder: Holder) -> bool:
        """Whether nobody else has anything here."""
        return all(owner is holder for owner in self.holders.values())

    def _ahead_in_line(self, request: Request) -> AbstractSet[Holder]:
        """Return who must be done before the end of the line gets what it asks for."""
        if WHOLE in request.groups:
            return ({*self.holders.values()} | self._requests.keys()) - {request.holder}
        ahead = {self.holders[group] for group in (WHOLE, *request.groups) if group in self.holders}
        queues = (self._line, *(self._queues.get(group, ()) for group in request.groups))
        wanted = {WHOLE, *request.groups}
        for item in chain.from_iterable(queues):
            if isinstance(item, Request) and not wanted.isdisjoint(item.groups):
                ahead.add(item.holder)
        return ahead - {request.holder}

    def _grant(self, group: str, holder: Holder) -> None:
        self.holders[group] = holder
        self._held.setdefault(holder, []).append(group)

    # -- freeing

    def _free(self, group: str, queue: deque[Call | Request], calls: list[Call], ready: list[Holder]) -> bool:
        """Free the calls before the first request, and serve that one; say whether a call may come between."""
        while queue:
            item = queue.popleft()
            if not isinstance(item, Request):
                calls.append(item)
                if isinstance(item.command, CompleteMatch):
                    self._freed.add(group)
                    return True
                continue
            self._grant(group, item.holder)
            item.missing -= 1
            if not item.missing:
                del self._requests[item.holder]
                ready.append(item.holder)
            return False
        return False

    def _move_up(self, calls: list[Call], ready: list[Holder]) -> bool:
        """Let the line go on until somebody in it needs the whole shard; say whether a call may come between."""
        while self._line and WHOLE not in self.holders:
            item = self._line[0]
            if isinstance(item, Request) and WHOLE in item.groups and not self._is_all(item.holder):
                return False
            self._line.popleft()
            if isinstance(item, Request):
                if self._ask(item):
                    del self._requests[item.holder]
                    ready.append(item.holder)
            elif item.command.group in self.holders:
                self._queues.setdefault(item.command.group, deque()).append(item)
            else:
                calls.append(item)
                if isinstance(item.command, CompleteMatch):
                    self._freed.add(item.command.group)
                    return True
        return False


def _who(item: Call | Request) -> Call | Holder:
    return item.holder if isinstance(item, Request) else item
