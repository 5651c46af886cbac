"""Which groups of a shard are locked, by whom, and who waits. Used by the shard's own thread only.

A crossing takes all its groups of a shard at once and in order of arrival, and goes through shards in one order;
so crossings cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pictact_actors.model.commands import CompleteMatch, PutMany

if TYPE_CHECKING:
    from pictact_actors.runtime.crossing import Crossing
    from pictact_actors.runtime.reply import Call


class LockTable:
    """Exclusive locks on groups, first come first served."""

    def __init__(self) -> None:
        self.holders: dict[str, Crossing] = {}
        self._held: dict[Crossing, list[str]] = {}
        self._missing: dict[Crossing, int] = {}
        self._waiting: dict[str, deque[Call | Crossing]] = {}

    def __len__(self) -> int:
        return len(self.holders)

    def hold_up(self, group: str, call: Call) -> bool:
        """Let a call wait if its group is locked; say whether it does. What is sure to cross waits as a crossing."""
        if group not in self.holders or isinstance(call.command, PutMany):
            return False
        self._waiting.setdefault(group, deque()).append(call)
        return True

    def acquire(self, crossing: Crossing, groups: Iterable[str]) -> bool:
        """Lock groups for a crossing, or queue for those that others hold; say whether it has all of them."""
        missing = 0
        for group in groups:
            holder = self.holders.get(group)
            if holder is None:
                self._grant(group, crossing)
            elif holder is not crossing:
                self._waiting.setdefault(group, deque()).append(crossing)
                missing += 1
        if missing:
            self._missing[crossing] = missing
        return not missing

    def release(self, crossing: Crossing) -> list[str]:
        """Unlock what a crossing holds; return the groups, to be passed on."""
        groups = self._held.pop(crossing, [])
        for group in groups:
            del self.holders[group]
        return groups

    def pass_on(self, groups: Iterable[str]) -> tuple[list[Call], list[Crossing], list[str]]:
        """Give free groups to who waited first for each.

        Returns the calls to be decided now, the crossings that have all they need now, and the groups to be passed on
        again after that: a call that may lock its group itself is the last to be freed.
        """
        calls: list[Call] = []
        ready: list[Crossing] = []
        again: list[str] = []
        for group in groups:
            queue = self._waiting.pop(group, None)
            if queue and group not in self.holders and self._free(group, queue, calls, ready):
                again.append(group)
            if queue:
                self._waiting[group] = queue
        return calls, ready, again

    def waiting_calls(self) -> list[Call]:
        """Return all calls that wait for a lock."""
        return [item for queue in self._waiting.values() for item in queue if not _is_crossing(item)]  # type: ignore[misc]  # told apart below

    def _grant(self, group: str, crossing: Crossing) -> None:
        self.holders[group] = crossing
        self._held.setdefault(crossing, []).append(group)

    def _free(self, group: str, queue: deque[Call | Crossing], calls: list[Call], ready: list[Crossing]) -> bool:
        """Free the calls before the first crossing, and let that one in; say whether a call may come between."""
        while queue:
            item = queue.popleft()
            if not _is_crossing(item):
                calls.append(item)  # type: ignore[arg-type]  # not a crossing, so a call
                if isinstance(calls[-1].command, CompleteMatch):
                    return True
                continue
            self._grant(group, item)  # type: ignore[arg-type]  # a crossing
            self._missing[item] -= 1  # type: ignore[index]  # the same
            if not self._missing[item]:  # type: ignore[index]  # the same
                del self._missing[item]  # type: ignore[arg-type]  # the same
                ready.append(item)  # type: ignore[arg-type]  # the same
            return False
        return False


def _is_crossing(item: Call | Crossing) -> bool:
    return hasattr(item, "epochs")
