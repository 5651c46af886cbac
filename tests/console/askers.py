"""Callers of a console, polite and otherwise."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from pictact_actors import StoreLocked
from pictact_actors.clock import monotonic
from pictact_actors.console import wire
from pictact_actors.console.address import connected
from pictact_actors.console.remote import RemoteDesk

PATIENCE_S = 20.0


def desk_of(path: Path) -> RemoteDesk:
    return RemoteDesk(path, StoreLocked(str(path), "somebody"), PATIENCE_S)


def question(command: str, /, **arguments: object) -> bytes:
    return wire.frame_of({"version": wire.VERSION, "command": command, "arguments": arguments})


def said_to(path: Path, data: bytes) -> socket.socket:
    """Say something to a console, and keep the connection."""
    connection = connected(path, PATIENCE_S)
    connection.settimeout(PATIENCE_S)
    connection.sendall(data)
    return connection


def answer_to(path: Path, data: bytes) -> dict[str, Any]:
    """Return the first frame that a console answers."""
    with said_to(path, data) as connection:
        return wire.decoded(wire.receive(connection, wire.ITEM_BYTES_MAX, monotonic() + PATIENCE_S))


def ends(connection: socket.socket) -> bool:
    """Whether the console hangs up."""
    connection.settimeout(PATIENCE_S)
    with connection:
        try:
            while connection.recv(65_536):
                pass
        except ConnectionError:
            pass
        return True
