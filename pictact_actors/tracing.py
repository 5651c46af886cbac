"""OpenTelemetry spans for hosts that trace. The only importer of its API, which is loaded when a store wants spans.

A span is one call: a command that its caller waits for, or a `transact` with all its attempts. It is a child of what
the caller is in, and has what was raised. Where the spans go is the host's business: without an SDK they go nowhere.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final, ParamSpec, TypeVar

from pictact_actors.errors import InvalidValue
from pictact_actors.model.commands import Command, PostCommand, UserCommand

P = ParamSpec("P")
T = TypeVar("T")
Open = Callable[[str, dict[str, str]], AbstractContextManager[object]]
Do = Callable[[Command, float | None], T]
SYSTEM: Final = "pictact"


def attach(store: object) -> None:
    """Have the calls of a blocking store traced. Raises `InvalidValue` if the API is not installed."""
    opened = _opened()
    _replace(store, "_do", lambda do: _traced(opened, do))
    _replace(store, "transact", lambda transact: _traced_whole(opened, transact))


def attach_async(store: object) -> None:
    """Have the calls of an asynchronous store traced. Raises as `attach` does."""
    opened = _opened()
    _replace(store, "_do", lambda do: _traced_async(opened, do))
    _replace(store, "transact", lambda transact: _traced_whole_async(opened, transact))


def _replace(store: object, name: str, wrapped: Callable[[Callable[..., Any]], object]) -> None:
    """Put another method before one of this store; without spans there is none in the way."""
    setattr(store, name, wrapped(getattr(store, name)))


def _opened() -> Open:
    """Return what opens a span. Raises `InvalidValue`."""
    try:
        from opentelemetry import trace  # noqa: PLC0415 - only a host that traces has it
    except ImportError as error:
        reason = "needs the package opentelemetry-api: install pictact-actors[otel]"
        raise InvalidValue("spans", True, reason) from error
    tracer = trace.get_tracer("pictact_actors")

    def opened(operation: str, attributes: dict[str, str]) -> AbstractContextManager[object]:
        named = {"db.system.name": SYSTEM, "db.operation.name": operation, **attributes}
        return tracer.start_as_current_span(f"{SYSTEM}.{operation}", attributes=named)

    return opened


def _group_of(command: Command) -> dict[str, str]:
    """Return whose command it is; those of many groups or of any key are not checked yet, and may be of none."""
    return {"pictact.group": command.group} if isinstance(command, PostCommand | UserCommand) else {}


def _traced(opened: Open, do: Callable[..., T]) -> Do[T]:
    def traced(command: Command, timeout: float | None) -> T:
        with opened(command.NAME, _group_of(command)):
            return do(command, timeout)

    return traced


def _traced_async(opened: Open, do: Callable[..., Awaitable[T]]) -> Do[Awaitable[T]]:
    async def traced(command: Command, timeout: float | None) -> T:
        with opened(command.NAME, _group_of(command)):
            return await do(command, timeout)

    return traced


def _traced_whole(opened: Open, transact: Callable[P, T]) -> Callable[P, T]:
    @functools.wraps(transact)
    def traced(*args: P.args, **kwargs: P.kwargs) -> T:
        with opened("transact", {}):
            return transact(*args, **kwargs)

    return traced


def _traced_whole_async(opened: Open, transact: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    @functools.wraps(transact)
    async def traced(*args: P.args, **kwargs: P.kwargs) -> T:
        with opened("transact", {}):
            return await transact(*args, **kwargs)

    return traced
