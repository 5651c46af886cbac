"""Alarms: an event when a limit of the game is missed, with what was slow; at most one of a kind in a while.

    looks every LOOK_S ──▶ what was slow since (`runtime/meter.py`), what does not move ──▶ one event ──▶ alarm_pause_s

Writers and readers only leave word of what was slow; all else is done here, on a thread of its own. How late this
thread wakes up is what any thread of the host may expect: `wake_lag_s`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.runtime.meter import Slow
from pictact_actors.runtime.runtime import Runtime

LOOK_S: Final = 0.25
"""How often it looks."""
PERIOD_S: Final = 5.0
"""How long a period of what is recent takes."""
_STOP_S = 1.0


@dataclass(slots=True)
class Missed:
    """What missed one limit and was not told yet: how many, and the slowest."""

    count: int = 0
    slowest: Slow | None = None
    told_at: float = float("-inf")

    def add(self, slow: Slow) -> None:
        """Add what was slow."""
        self.count += slow.calls
        if self.slowest is None or slow.seconds > self.slowest.seconds:
            self.slowest = slow

    def due(self, now: float, pause_s: float) -> Slow | None:
        """Return the slowest if it is time to tell of it."""
        return self.slowest if now - self.told_at >= pause_s else None

    def tell(self, now: float) -> None:
        """Begin anew: everything was told."""
        self.count, self.slowest, self.told_at = 0, None, now


class Alarms:
    """Looks at the limits of one store. `told` events so far; all fields are its own thread's, others read them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._config = config = runtime.config
        self._limits_s = {
            "read": config.read_alarm_s,
            "write": config.write_alarm_s,
            "stall": config.stall_alarm_s,
        }
        self._missed = {kind: Missed() for kind in self._limits_s}
        self._lags: deque[float] = deque([0.0], maxlen=round(2 * PERIOD_S / LOOK_S))
        self._turn_at = monotonic() + PERIOD_S
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pictact-alarms", daemon=True)
        self.told = 0

    @property
    def wake_lag_s(self) -> float:
        """How late it woke up, the longest of the last periods, in seconds."""
        return max(tuple(self._lags))

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, after a last look."""
        self._stopping.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            due = monotonic() + LOOK_S
            self._stopping.wait(LOOK_S)
            try:
                self._look(max(0.0, monotonic() - due))
            except Exception as error:  # noqa: BLE001 - nobody else would look
                log.error(log.ALARMS_FAILED, cause=repr(error), exc_info=error)

    def _look(self, lag_s: float) -> None:
        """Look at everything once; this thread woke up so late, in seconds."""
        now, runtime = monotonic(), self._runtime
        runtime.committer.meter.add_up()
        self._lags.append(lag_s)
        for kind, slow in (("read", runtime.reads.slow), ("write", runtime.committer.meter.slow)):
            while slow:
                self._missed[kind].add(slow.popleft())
        self._missed["stall"].count, self._missed["stall"].slowest = 0, None  # a state, not something that happened
        for stalled in self._stalls(now):
            self._missed["stall"].add(stalled)
        for kind, missed in self._missed.items():
            slowest = missed.due(now, self._config.alarm_pause_s)
            if slowest is not None:
                self._tell(kind, missed.count, slowest)
                missed.tell(now)
        if now >= self._turn_at:
            self._turn_at = now + PERIOD_S
            runtime.committer.meter.turn()
            runtime.reads.turn()

    def _stalls(self, now: float) -> Iterator[Slow]:
        """Yield the oldest write of each shard that is too old, and waits for locks that are, with what is slow."""
        limit_s, committer = self._limits_s["stall"], self._runtime.committer
        for wait in self._runtime.waits.current():
            if now - wait.since >= limit_s:
                yield Slow(1, now - wait.since, wait.waiter.title, wait.groups[0], {"locks": now - wait.since})
        for link in self._runtime.links:
            call, age_s = link.oldest(), link.queue_age_s()
            if call is None or age_s < limit_s:
                continue
            if committer.committing:
                phases = {"sync": now - committer.began}
            elif link.actor.busy:
                phases = {"deciding": age_s}
            else:
                phases = {"queue": age_s}
            yield Slow(1, age_s, call.command.NAME, call.command.group, phases)

    def _tell(self, kind: str, count: int, slowest: Slow) -> None:
        self.told += 1
        fields: dict[str, object] = {
            "kind": kind,
            "limit_s": self._limits_s[kind],
            "count": count,
            "seconds": round(slowest.seconds, 3),
            "what": slowest.name,
            "group": slowest.group,
            "slow": max(slowest.phases, key=slowest.phases.__getitem__, default=None),
            "phases": {phase: round(seconds, 3) for phase, seconds in slowest.phases.items()},
            "wake_lag_s": round(self.wake_lag_s, 3),
        }
        if kind == "stall":
            waits = [wait.waiter for wait in self._runtime.waits.statistics()]
            log.error(log.STALLED, **fields, waiting=waits)
        else:
            log.warning(log.LIMIT_MISSED, **fields)
