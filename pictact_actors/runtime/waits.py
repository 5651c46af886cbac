"""Who waits for whom: a cycle is found when it forms, and one transaction in it has to give way.

Shards report each wait with everybody who is in the way of it: who has the groups, and who asked for them before. A
wait never gets new ones later (everything is first come, first served), and who is over waits for nobody; so it is
enough to look for a cycle once, when a wait is reported. Only waits come here: the way of a command or a transaction
that finds its groups free never does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from pictact_actors.clock import monotonic
from pictact_actors.errors import DeadlockAborted
from pictact_actors.runtime.statistics import WaitStatistics

if TYPE_CHECKING:
    from pictact_actors.runtime.holder import Holder

_SHOWN = 5
"""Groups of one holder that a message names."""
_TOLD = 100
"""Waits that statistics tell of."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One holder's wait: for which groups, since when (monotonic), and behind whom."""

    waiter: Holder
    groups: tuple[str, ...]
    since: float
    behind: frozenset[Holder]


class WaitGraph:
    """The waits of all shards. Any thread may report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[Holder, Wait] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def begin(self, waiter: Holder, groups: tuple[str, ...], behind: AbstractSet[Holder]) -> int:
        """Note a wait, and break the cycles that it closes; return how many."""
        victims: list[tuple[Holder, DeadlockAborted]] = []
        with self._lock:
            before = self._waits.get(waiter)
            self._waits[waiter] = (
                Wait(waiter, groups, monotonic(), frozenset(behind))
                if before is None
                else Wait(waiter, groups, before.since, before.behind | behind)
            )
            while waiter in self._waits and (cycle := self._cycle(waiter)):
                victim = max((wait.waiter for wait in cycle if wait.waiter.gives_way), key=_number, default=None)
                if victim is None:
                    break
                victims.append((victim, DeadlockAborted(_described(cycle, victim))))
                del self._waits[victim]
            if waiter.over:  # since a moment ago: it has ended its wait, and would never end this one
                self._waits.pop(waiter, None)
        for victim, error in victims:
            victim.abort(error)
        return len(victims)

    def end(self, waiter: Holder) -> None:
        """Forget the wait of somebody who has what it waited for, or gave up."""
        if waiter in self._waits:
            with self._lock:
                self._waits.pop(waiter, None)

    def current(self) -> list[Wait]:
        """Return all waits there are."""
        with self._lock:
            return list(self._waits.values())

    def statistics(self) -> tuple[WaitStatistics, ...]:
        """Return who waits for whom, for people: those who have waited longest, first."""
        now = monotonic()
        oldest = sorted(self.current(), key=lambda wait: wait.since)[:_TOLD]
        return tuple(
            WaitStatistics(
                wait.waiter.title,
                wait.groups[:_SHOWN],
                tuple(holder.title for holder in islice(wait.behind, _SHOWN)),
                now - wait.since,
            )
            for wait in oldest
        )

    def _cycle(self, start: Holder) -> list[Wait]:
        """Return the waits of a cycle through `start`, in order, or nothing."""
        came: dict[Holder, Wait] = {}
        pending = [start]
        while pending:
            wait = self._waits.get(pending.pop())
            for blocker in wait.behind if wait is not None else ():
                if blocker is start:
                    return _way_back(came, wait, start)
                if blocker not in came:
                    came[blocker] = wait  # type: ignore[assignment]  # there is one: it has a blocker
                    pending.append(blocker)
        return []


def _number(holder: Holder) -> int:
    return holder.number


def _way_back(came: dict[Holder, Wait], last: Wait | None, start: Holder) -> list[Wait]:
    cycle: list[Wait] = []
    wait = last
    while wait is not None:
        cycle.append(wait)
        wait = None if wait.waiter is start else came[wait.waiter]
    return cycle[::-1]


def _described(cycle: Iterable[Wait], victim: Holder) -> str:
    """Say who has and wants what, for how long, ending with who gives way."""
    now = monotonic()
    steps = (
        f"{wait.waiter.title} holds {_shown(wait.waiter.groups_held())} and wants {_shown(wait.groups)} "
        f"since {now - wait.since:.3f} s"
        for wait in cycle
    )
    return f"{'; '.join(steps)}; {victim.title} is the youngest and gives way"


def _shown(groups: Iterable[str]) -> str:
    listed = list(groups)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return (", ".join(listed[:_SHOWN]) or "nothing") + more
