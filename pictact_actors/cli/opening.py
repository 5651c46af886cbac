"""A store for one command: opened, what it reports shown on stderr, and closed whatever happens.

Where another process has it open, the commands that look and the few that act ask that process instead.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from pictact_actors.cli import interrupts
from pictact_actors.cli.command import complain
from pictact_actors.clock import Clock
from pictact_actors.config import PERIOD_S_MAX, StoreConfig
from pictact_actors.console.counter import StoreDesk
from pictact_actors.console.desk import Desk
from pictact_actors.console.remote import RemoteDesk
from pictact_actors.errors import StoreLocked
from pictact_actors.store import Store

NO_CLEANUP = StoreConfig(cleanup_interval_s=PERIOD_S_MAX)
_LOOKING = replace(NO_CLEANUP, console=False)


@contextmanager
def asked(data: str) -> Iterator[Desk]:
    """Ask the store in `data`: opened here, or by the process that has it open and answers.

    Raises `StoreLocked` if it does not answer, and what `opened` raises.
    """
    with ExitStack() as stack:
        try:
            desk: Desk = StoreDesk(stack.enter_context(opened(data)), interrupts.uninterrupted)
        except StoreLocked as locked:
            desk = RemoteDesk(data, locked)
        yield desk


@contextmanager
def opened(
    data: str, *, create: bool = False, config: StoreConfig | None = None, clock: Clock | None = None
) -> Iterator[Store]:
    """Open the store in `data`. Commands that only read never create one: `NotAStore` if there is none.

    Nor do they clean up or open a console: who looks at what an old store holds changes nothing by it. The game's
    limits are no command's: a replay sends as much as the store takes, and its messages wait for each other.
    """
    if config is None:
        config = StoreConfig() if create else _LOOKING
    config = replace(config, read_alarm_s=PERIOD_S_MAX, write_alarm_s=PERIOD_S_MAX)
    store: Store | None = None
    with _reports():
        try:
            with interrupts.held():
                store = Store.open(data, config=config, clock=clock, create=create)
            yield store
        finally:
            if store is not None:
                with interrupts.held():
                    store.close()


class _Reports(logging.Handler):
    """Shows what the store did by itself (a torn tail cut, a full disk), one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(_line(record.getMessage()))


def _line(message: str) -> str:
    try:
        event = json.loads(message)
        name = event.pop("event")
    except (ValueError, AttributeError, KeyError):
        return message
    event.pop("exception", None)
    return f"{name}: {', '.join(f'{key} {value}' for key, value in event.items())}"


@contextmanager
def _reports() -> Iterator[None]:
    logger = logging.getLogger("pictact_actors")
    handler = _Reports(logging.WARNING)
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
