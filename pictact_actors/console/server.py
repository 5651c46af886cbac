"""The console of a running store: answers the command line of another process through a socket in the data directory.

    accepts ──▶ one thread for each caller, CALLERS_MAX at most ──▶ question ──▶ Desk ──▶ answer, item by item ──▶ ends
                           │                                          │                        │
                        refused                               QUESTION_S to come       PART_S for each part taken

It offers what the command line offers, and no writes but backup and cleanup. Whoever stalls, hangs up or sends rubbish
loses its connection, and nobody else notices. Threads: the accepting one owns the listener, each other one its caller.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.console import wire
from pictact_actors.console.address import Door
from pictact_actors.console.counter import StoreDesk
from pictact_actors.console.offers import LONG, answered
from pictact_actors.errors import Rejected, StoreClosed, StoreError
from pictact_actors.lifecycle import keep_track
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.threads import let_others_finish

if TYPE_CHECKING:
    from pictact_actors.store import Store

T = TypeVar("T")
CALLERS_MAX = 8
QUESTION_S = 5.0
PART_S = 10.0
ANSWER_S = 900.0
"""How long an answer may take that pins what it reads from."""
_WORK_S, _PAUSE_S = 0.002, 0.0005
"""It reads for about so long, then others have their turn."""
_SEND_BYTES = 64 * 1024
_TURNED_AWAY_S = 0.005
_TROUBLE_S = 0.2
_STOP_S = 1.0
_CREDENTIALS = struct.Struct("3i")


class Console:
    """Answers callers on threads of its own, from its start until it is closed. Without a directory it does nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stopping = threading.Event()
        self._long = threading.Lock()
        self._slots = threading.BoundedSemaphore(CALLERS_MAX)
        self._callers: dict[socket.socket, threading.Thread] = {}
        self._door: Door | None = None
        self._thread = threading.Thread(target=self._run, name="pictact-console", daemon=True)

    def start(self) -> None:
        """Let callers in, if the store is to have a console. Where there can be none, it goes without."""
        engine = self._store.runtime.engine
        if not isinstance(engine, EmbeddedEngine) or not self._store.runtime.config.console:
            return
        try:
            self._door = Door(engine.path)
        except OSError as error:
            log.warning(log.CONSOLE_UNAVAILABLE, path=str(engine.path), cause=str(error))
            return
        keep_track(self)
        self._thread.start()

    def close(self) -> bool:
        """Let nobody in any more and hang up on those who are there. Twice is fine."""
        first = not self._stopping.is_set()
        self._stopping.set()
        if self._door is None:
            return first
        self._door.shut()
        threads = [self._thread, *list(self._callers.values())]
        for caller in list(self._callers):
            with suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)
        deadline = monotonic() + _STOP_S
        for thread in threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - monotonic()))
        return first

    def abandon(self, _reason: StoreClosed) -> None:
        """Give up in a forked child what the parent has open, without a word to anybody."""
        self._stopping = threading.Event()
        self._stopping.set()
        if self._door is not None:
            self._door.listener.close()
        for caller in list(self._callers):
            caller.close()
        self._door = None

    # -- the accepting thread's

    def _run(self) -> None:
        let_others_finish()
        door = self._door
        while door is not None and not self._stopping.is_set():
            try:
                caller, _ = door.listener.accept()
            except OSError as error:
                if not self._stopping.is_set():
                    self._troubled(error)
                continue
            if not self._stopping.is_set():
                self._admit(caller)
            else:
                caller.close()
        if door is not None:
            door.listener.close()

    def _troubled(self, error: OSError) -> None:
        """Most likely the host has no descriptors left: whoever knocks has to wait."""
        log.warning(log.CONSOLE_FAILED, cause=str(error))
        self._stopping.wait(_TROUBLE_S)

    def _admit(self, caller: socket.socket) -> None:
        if not self._slots.acquire(blocking=False):
            self._turn_away(caller, f"the console answers {CALLERS_MAX} callers at a time already; try again")
            return
        thread = threading.Thread(target=self._serve, args=(caller,), name="pictact-caller", daemon=True)
        self._callers[caller] = thread
        try:
            thread.start()
        except RuntimeError as error:
            self._forget(caller)
            self._turn_away(caller, f"the console cannot answer: {error}; try again")

    def _turn_away(self, caller: socket.socket, reason: str) -> None:
        with caller, suppress(OSError):
            caller.setblocking(False)
            caller.send(wire.frame_of({"error": wire.plain_error(Rejected(reason))}), socket.MSG_NOSIGNAL)
        self._stopping.wait(_TURNED_AWAY_S)  # who knocks a thousand times a second takes no more than this

    def _forget(self, caller: socket.socket) -> None:
        del self._callers[caller]
        self._slots.release()

    # -- a caller's thread's

    def _serve(self, caller: socket.socket) -> None:
        let_others_finish()
        try:
            with caller:
                if self._stopping.is_set():
                    return
                _require_own(caller)
                _Answer(caller, self._stopping, self._alone, self._store).give()
        except OSError:  # it has gone, or stalls, or talks nonsense: that is its own affair
            pass
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            log.error(log.CONSOLE_FAILED, cause=repr(error), exc_info=error)
        finally:
            self._forget(caller)

    @contextmanager
    def _alone(self, command: str) -> Iterator[None]:
        """One long answer at a time."""
        if command not in LONG:
            yield
        elif not self._long.acquire(blocking=False):
            raise Rejected("the console does something else that takes long; wait for its end and try again")
        else:
            try:
                yield
            finally:
                self._long.release()


class _Answer:
    """The answer to one caller, and the pace at which it is made."""

    def __init__(
        self,
        caller: socket.socket,
        stopping: threading.Event,
        alone: Callable[[str], AbstractContextManager[None]],
        store: Store,
    ) -> None:
        self._caller = caller
        self._stopping = stopping
        self._alone = alone
        self._desk = StoreDesk(store, self._paced)
        self._deadline = monotonic() + ANSWER_S
        self._ready = bytearray()

    def give(self) -> None:
        """Read the question and answer it. Raises `OSError` if the caller does not do its part."""
        question = wire.decoded(wire.receive(self._caller, wire.QUESTION_BYTES_MAX, monotonic() + QUESTION_S))
        count = 0
        try:
            with self._alone(str(question.get("command"))):
                for item in answered(self._desk, question):
                    self._send({"item": item})
                    count += 1
            self._send({"end": count})
        except (StoreError, OSError) as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            self._send({"error": wire.plain_error(error)})
        self._flush()

    def _send(self, body: dict[str, object]) -> None:
        self._ready += wire.frame_of(body)
        if len(self._ready) >= _SEND_BYTES:
            self._flush()

    def _flush(self) -> None:
        wire.send(self._caller, bytes(self._ready), PART_S)
        self._ready.clear()

    def _paced(self, items: Iterable[T]) -> Iterator[T]:
        """Read on in small steps, as long as somebody waits for it. Raises `StoreClosed`, `TimeoutError`."""
        pause_at = monotonic() + _WORK_S
        for item in items:
            yield item
            if (now := monotonic()) > pause_at:
                self._require_caller(now)
                pause_at = monotonic() + _WORK_S

    def _require_caller(self, now: float) -> None:
        if self._stopping.wait(_PAUSE_S):
            raise StoreClosed
        if now > self._deadline:
            raise TimeoutError("the answer takes too long")
        self._caller.setblocking(False)
        with suppress(BlockingIOError):
            if not self._caller.recv(1, socket.MSG_PEEK):
                raise wire.Hangup("the caller has gone")


def _require_own(caller: socket.socket) -> None:
    """Refuse other users, whatever the mode of the file was made."""
    _, user, _ = _CREDENTIALS.unpack(caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    if user not in {0, os.geteuid()}:
        raise PermissionError(f"user {user} has no business here")
