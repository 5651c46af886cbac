"""The scrubber: reads all that is stored again, at a set rate, to find damage before somebody needs what is lost.

    waits scrub_interval_s ──▶ reads on at scrub_bytes_per_s ──▶ says what it found ──▶ waits again

Damage is healed while the store goes on: of the state from base and journal (`storage/recovery/mending.py`), of those
from the state (`storage/restating.py`).
"""

from __future__ import annotations

import threading

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.errors import EntriesGone, StoreClosed, StoreError
from pictact_actors.runtime.runtime import Runtime
from pictact_actors.storage.engine import Problem

_STOP_S = 5.0
_STEP_S = 0.01
"""It reads for about so long between two pauses."""
_FOUND_MAX = 100
"""Problems of a pass that are kept; more of them are only counted."""


class Scrubber:
    """Reads everything now and then, on a thread of its own. `found` is what the last whole pass came upon."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._config = runtime.config
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pictact-scrubber", daemon=True)
        self.found: tuple[Problem, ...] = ()
        self.passes = 0

    def start(self) -> None:
        """Begin; the first pass is one interval from now."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    def scrub(self) -> list[Problem]:
        """Read everything once, and say what is wrong. Raises `StoreClosed`, `EntriesGone`."""
        began, pace = monotonic(), _Pace(self._config.scrub_bytes_per_s, self._stopping)
        found: list[Problem] = []
        for problem in self._runtime.engine.scrub(pace.spend):
            log.error(log.SCRUB_FOUND, **problem.to_dict())
            if len(found) < _FOUND_MAX:
                found.append(problem)
        self.passes += 1
        self.found = tuple(found)
        log.info(log.SCRUBBED, size_bytes=pace.spent_bytes, problems=len(found), seconds=monotonic() - began)
        return found

    def _run(self) -> None:
        while not self._stopping.wait(self._config.scrub_interval_s):
            try:
                self.scrub()
            except StoreClosed:  # for good, then it is stopping; or only what it was reading from
                continue
            except EntriesGone as error:  # more was written than it could read: next time
                log.info(log.SCRUB_FAILED, cause=str(error))
            except (StoreError, OSError) as error:
                log.warning(log.SCRUB_FAILED, cause=str(error))
            except Exception as error:  # noqa: BLE001 - nobody else would look
                log.error(log.SCRUB_FAILED, cause=repr(error), exc_info=error)


class _Pace:
    """Spends a budget of bytes per second."""

    def __init__(self, bytes_per_s: float, stopping: threading.Event) -> None:
        self._bytes_per_s = bytes_per_s
        self._stopping = stopping
        self._since = monotonic()
        self._due_s = 0.0
        self.spent_bytes = 0

    def spend(self, size_bytes: int) -> None:
        """Wait until so much more may be read. Raises `StoreClosed` when nothing may be any more."""
        self.spent_bytes += size_bytes
        self._due_s += size_bytes / self._bytes_per_s
        early_s = self._due_s - (monotonic() - self._since)
        if early_s > _STEP_S and self._stopping.wait(early_s):
            raise StoreClosed
        if early_s < 0:  # what was not read in time is not caught up with
            self._due_s -= early_s
