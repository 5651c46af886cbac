"""Mending: a state that is found to be damaged while the store runs is built anew beside it, and takes its place.

    found ──▶ built from base and journal, while everything goes on ──▶ put in place ──▶ what came meanwhile follows

Until then what reads from the damaged place waits a little or gets `StoreDamaged`; everything else is served.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pictact_actors import log
from pictact_actors.errors import StoreClosed, StoreError
from pictact_actors.storage.engine import Entry
from pictact_actors.storage.recovery.aside import Aside, Recovery
from pictact_actors.storage.state import rebuilding
from pictact_actors.storage.state.handle import Replay
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.truth import Truth

_SWAP_S = 60.0
_STOP_S = 5.0


class Mending:
    """Mends the state of one open store. Any thread may `begin`."""

    def __init__(self, path: Path, open_state: Callable[[Path, Replay], State], aside: Aside) -> None:
        self._path = path
        self._open_state = open_state
        self._aside = aside
        self._sides: tuple[Truth, State] | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def watch(self, truth: Truth, state: State) -> None:
        """Mend from now on: before, damage is found and healed by who opens the store."""
        self._sides = (truth, state)

    def begin(self) -> None:
        """Build the state anew, unless that is being done."""
        with self._lock:
            if self._sides is None or self._thread is not None or self._stopping:
                return
            self._thread = threading.Thread(target=self._mend, args=self._sides, name="pictact-mending", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Give up what is not finished."""
        with self._lock:
            self._stopping = True
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP_S)

    def _mend(self, truth: Truth, state: State) -> None:
        log.warning(log.STATE_DAMAGED, path=str(self._path))
        try:
            seq = rebuilding.build(self._path, lambda path: self._open_state(path, self._replay_of(truth)), None)
            if state.replace(lambda: rebuilding.put_in_place(self._path, self._aside.keep), seq, _SWAP_S):
                found = "a read of the state failed its checksum while the store was open"
                done = f"the state was built anew from base and journal, up to commit {seq}"
                self._aside.report(Recovery(truth.journal.ts, "state damaged while running", found, done))
        except StoreClosed:
            return
        except (StoreError, OSError) as error:
            log.error(log.STATE_NOT_MENDED, cause=str(error))
        finally:
            with self._lock:
                self._thread = None

    def _replay_of(self, truth: Truth) -> Replay:
        def replay(from_seq: int) -> Iterator[Entry]:
            for entry in truth.since(from_seq):
                if self._stopping:
                    raise StoreClosed
                yield entry

        return replay
