"""Which groups of a shard are locked, by whom, and who waits. Used by the shard's own thread only.

A crossing takes all its groups of a shard at once and in order of arrival, and goes through shards in one order;
so crossings cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictact_actors.runtime.crossing import Crossing
    from pictact_actors.runtime.reply import Call


class LockTable:
    """Exclusive locks on groups, first come first served."""

    def __init__(self) -> None:
        self._holders: dict[str, Crossing] = {}
        self._held: dict[Crossing, list[str]] = {}
        self._missing: dict[Crossing, int] = {}
        self._waiting: dict[str, deque[Call | Crossing]] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def hold_up(self, group: str, call: Call) -> bool:
        """Let a call wait if its group is locked; say whether it does."""
        if group not in self._holders:
            return False
        self._waiting.setdefault(group, deque()).append(call)
        return True

    def acquire(self, crossing: Crossing, groups: Iterable[str]) -> bool:
        """Lock groups for a crossing, or queue for those that others hold; say whether it has all of them."""
        missing = 0
        for group in groups:
            holder = self._holders.get(group)
            if holder is None:
                self._grant(group, crossing)
            elif holder is not crossing:
                self._waiting.setdefault(group, deque()).append(crossing)
                missing += 1
        if missing:
            self._missing[crossing] = missing
        return not missing

    def release(self, crossing: Crossing) -> tuple[list[Crossing], list[Call]]:
        """Unlock what a crossing holds; return the crossings that have all they need now, and the freed calls."""
        ready: list[Crossing] = []
        calls: list[Call] = []
        for group in self._held.pop(crossing, ()):
            del self._holders[group]
            self._pass_on(group, ready, calls)
        return ready, calls

    def waiting_calls(self) -> list[Call]:
        """Return all calls that wait for a lock."""
        return [item for queue in self._waiting.values() for item in queue if not _is_crossing(item)]  # type: ignore[misc]  # told apart below

    def _grant(self, group: str, crossing: Crossing) -> None:
        self._holders[group] = crossing
        self._held.setdefault(crossing, []).append(group)

    def _pass_on(self, group: str, ready: list[Crossing], calls: list[Call]) -> None:
        queue = self._waiting.pop(group, None)
        while queue:
            item = queue.popleft()
            if not _is_crossing(item):
                calls.append(item)  # type: ignore[arg-type]  # not a crossing, so a call
                continue
            self._grant(group, item)  # type: ignore[arg-type]  # a crossing
            self._missing[item] -= 1  # type: ignore[index]  # the same
            if not self._missing[item]:  # type: ignore[index]  # the same
                del self._missing[item]  # type: ignore[arg-type]  # the same
                ready.append(item)  # type: ignore[arg-type]  # the same
            if queue:
                self._waiting[group] = queue
            return


def _is_crossing(item: Call | Crossing) -> bool:
    return hasattr(item, "epochs")
