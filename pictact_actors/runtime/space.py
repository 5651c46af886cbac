"""How much room there is, and giving back what nobody needs, on a thread of its own.

    plenty ──80 % of the limit──▶ tight: clean up at once, then give space back
       ▲                            │
       │                     no room for a segment (of the limit, or on the disk)
       │                            ▼
       └── room for ballast ──── full: writes get `StorageFull`; reads, deletes and cleanup go on, in the room of the
              and a segment      ballast, and what they free is given back

Giving back happens in steps of a few milliseconds with pauses between them, so that nobody notices; the less room, the
shorter the pauses. `full` is read by the committer without a lock; it and this thread change it under one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.config import StoreConfig
from pictact_actors.errors import CommitFailed, StorageFull, StoreClosed
from pictact_actors.model.chores import Discard, Expire, Forget, Strike
from pictact_actors.runtime.staging import Staged
from pictact_actors.storage.engine import Engine
from pictact_actors.storage.folding import FLOOR_PARTS
from pictact_actors.storage.truth.segment import NO_ROOM
from pictact_actors.storage.usage import Usage
from pictact_actors.threads import let_others_finish

TIGHT_SHARE = 0.8
CHORES: Final = frozenset({Discard, Expire, Forget, Strike})
"""What cleanup asks for: it may write a little in order to remove more."""
_LOOK_S = 1.0
_LOOK_FULL_S = 0.25
_STEP_S = 0.002
_PAUSE_S = 0.008
_SHORT_PAUSE_S = 0.002
_BEHIND = 3
"""A journal so many times as long as it should be shortens the pauses."""
_AGAIN_SHARE = 16
"""While space is tight, all of it is given back again when this part of the limit was written."""
_GROWTH = 1.5
_ROLL_S = 1.0
_STOP_S = 5.0
_REST_S = 30.0
"""Pause after giving back has failed for another reason than room."""


def _nobody() -> None:
    """Clean up nothing."""


def _drop(_notice: Roll) -> None:
    """Roll nothing."""


class Roll:
    """A notice for the committer: between two commits, let all that is committed be given back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.done = threading.Event()

    def take_effect(self) -> None:
        """Do it; without room it is done the next time."""
        try:
            with suppress(StorageFull, CommitFailed):  # the journal takes no more then, as the next write will learn
                self._engine.roll()
        finally:
            self.done.set()


class Space:
    """Watches the room of one engine, and has it give back what it can."""

    def __init__(self, engine: Engine, config: StoreConfig) -> None:
        self._engine = engine
        self._limit = config.storage_bytes_max
        self._segment_bytes = config.segment_bytes
        self._ballast_bytes = config.ballast_bytes
        self._journal_bytes_max = config.kept_journal_bytes
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._work: Iterator[None] | None = None
        self._wanted = False
        self._seq_then = -1
        self._size_then = 0
        self._dropped_bytes = 0
        self._gave_back = self._urgent = self._mending = False
        self._looked_at_seq = -1
        self._look_at_bytes = 0.0
        self._next_look = 0.0
        self._rest_until = 0.0
        self._pause_s = _PAUSE_S
        self._thread = threading.Thread(target=self._run, name="pictact-space", daemon=True)
        self.full: str | None = None
        """Why writes are refused that need room; None while there is room."""
        self.tight = False
        """Whether 80 % of the limit are used."""
        self.hurry: Callable[[], None] = _nobody
        """Called when a cleanup is wanted at once; the janitor's."""
        self.notify: Callable[[Roll], None] = _drop
        """Takes a notice to the committer; the committer's."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; the step that is being done is finished."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    # -- the committer's

    def look(self) -> None:
        """Notice that the limit is reached, or that there is something to look at."""
        if self.full is not None:
            return
        size = self._engine.size_bytes()
        if self._limit is not None and self._engine.room_bytes() < self._segment_bytes:
            self._turn_full(f"{size:,} of {self._limit:,} bytes are used, storage_bytes_max")
        elif size >= self._look_at_bytes:
            self._look_at_bytes = math.inf
            self._next_look = 0.0
            self._wake.set()

    def refuses(self, item: Staged) -> bool:
        """Whether a decided command is refused while there is no room: it writes something, and does not only delete.

        What is left of the ballast in the end is for giving space back; until that is done deletes have to wait too.
        """
        if not item.changes:
            return False
        if item.call.command.__class__ in CHORES or all(value is None for value in item.changes.values()):
            return self._engine.room_bytes() < min(FLOOR_PARTS * self._segment_bytes, self._dropped_bytes // 2)
        return True

    def ran_out(self, cause: str) -> None:
        """Deal with a write that found no room, if that is not over already."""
        if self._engine.room_bytes() < self._ballast_bytes:
            self._turn_full(cause)

    # -- the janitor's

    def give_back(self) -> None:
        """Give back what a cleanup has removed, if space is tight."""
        if self.tight or self.full is not None:
            self._wanted = True
            self._wake.set()

    def _turn_full(self, cause: str) -> None:
        with self._lock:
            if self.full is not None:
                return
            self._dropped_bytes = self._engine.drop_ballast()
            self._gave_back = False
            self.full = cause
        log.warning(log.STORAGE_FULL, cause=cause)
        self._wanted = True
        self._next_look = 0.0
        self._wake.set()

    # -- its own thread's

    def _run(self) -> None:
        let_others_finish()
        while not self._stopping:
            self._wake.clear()
            try:
                if monotonic() >= self._next_look:
                    self._look_around()
                wait_s = self._work_on()
            except StoreClosed:  # for good, then it is stopping; or the state was only opened anew
                wait_s = _LOOK_S
            except Exception as error:  # noqa: BLE001 - whatever it was, the store goes on, and so must this
                wait_s = self._failed(error)
            if not self._stopping:
                self._wake.wait(wait_s)

    def _look_around(self) -> None:
        self._next_look = monotonic() + (_LOOK_S if self.full is None else _LOOK_FULL_S)
        seq, starved = self._engine.seq, self._engine.starved
        if seq != self._looked_at_seq or self._urgent:
            self._looked_at_seq = seq
            usage = self._engine.usage()
            self._judge(usage)
            self._look_at_bytes = self._worth_a_look(usage.size_bytes)
        if self.tight or self.full is not None:
            self.hurry()
        if self.full is not None:
            self._try_to_go_on()
        elif starved is not None:
            self.ran_out(starved)
        else:
            self._engine.take_ballast()

    def _worth_a_look(self, size_bytes: int) -> float:
        """Return the size at which to look again before it is time: to hold more ballast, or when space gets tight."""
        larger = size_bytes * _GROWTH
        return larger if self._limit is None or self.tight else min(larger, TIGHT_SHARE * self._limit)

    def _judge(self, usage: Usage) -> None:
        tight = self._limit is not None and usage.size_bytes >= TIGHT_SHARE * self._limit
        if tight and not self.tight:
            log.warning(log.STORAGE_TIGHT, size_bytes=usage.size_bytes, storage_bytes_max=self._limit)
            self._wanted = True
        self.tight = tight
        self._pause_s = _PAUSE_S
        if tight or self.full is not None or usage.journal_bytes > _BEHIND * self._journal_bytes_max:
            self._pause_s = _SHORT_PAUSE_S

    def _try_to_go_on(self) -> None:
        """Let writes in again when room is left for a segment after the ballast is taken back.

        All of it, unless everything was given back that could be.
        """
        room = self._engine.room_bytes()
        ballast = min(self._ballast_bytes, room // 2) if self._gave_back else self._dropped_bytes
        if room < ballast + self._segment_bytes or self._engine.starved is not None:
            return
        with self._lock:
            self._engine.take_ballast()
            self.full = None
        log.info(log.STORAGE_RESUMED, size_bytes=self._engine.size_bytes())

    def _work_on(self) -> float:
        """Give back for some milliseconds; return how long to wait then (s)."""
        if self._work is None:
            if monotonic() < self._rest_until:
                return self._until_next_look()
            self._urgent = self._is_urgent()
            self._mending = self._engine.suspected
            if self._mending or (self._urgent and self.full is not None):
                self._roll()
            self._work = self._engine.reclaim(urgent=self._urgent)
        until = monotonic() + _STEP_S
        for _ in self._work:
            if self._stopping or monotonic() > until:
                return self._pause_s
        self._work = None
        self._size_then = self._engine.size_bytes()
        if self._urgent and self.full is not None:
            self._gave_back = True
            self._next_look = 0.0
        return self._until_next_look()

    def _roll(self) -> None:
        """Have what cleanup committed given back too, although no more commits come to fill a segment."""
        notice = Roll(self._engine)
        self.notify(notice)
        notice.done.wait(_ROLL_S)

    def _is_urgent(self) -> bool:
        """Whether all that can be given back should be, because it was asked for or much was written since."""
        if self.full is None and not self.tight:
            return False
        seq, grown_bytes = self._engine.seq, self._engine.size_bytes() - self._size_then
        grown = self._limit is not None and grown_bytes > self._limit // _AGAIN_SHARE
        urgent = self._wanted or grown or (self.full is not None and seq != self._seq_then)
        if urgent:
            self._wanted, self._seq_then = False, seq
        return urgent

    def _until_next_look(self) -> float:
        return max(0.0, self._next_look - monotonic())

    def _failed(self, error: Exception) -> float:
        """Give up what was being done; without room it is tried again in the room of the ballast."""
        self._work = None
        self._wanted = True
        if isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in NO_ROOM):
            self.ran_out(str(error))
            return _LOOK_S
        if self._mending or not self._engine.suspected:  # what met damage first may see to it at once
            self._rest_until = monotonic() + _REST_S
        log.error(log.RECLAIM_FAILED, cause=repr(error), exc_info=error)
        return _LOOK_S
