"""The supervisor: looks after everybody who may hold others up. A thread of its own, which waits for nobody."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pictact_actors import log

if TYPE_CHECKING:
    from pictact_actors.runtime.transactions import Transactions

LOOK_S = 0.1
"""How often it looks."""


class Supervisor:
    """Looks at transactions."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._called = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="pictact-supervisor", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping = True
        self._called.set()

    def _run(self) -> None:
        while not self._stopping:
            self._called.wait(LOOK_S)
            self._called.clear()
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - nobody else would look on
                log.error(log.SUPERVISOR_FAILED, cause=repr(error), exc_info=error)

    def _look(self) -> None:
        self._transactions.expire()
