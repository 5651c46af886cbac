"""How a command travels to the process that has the store open, and its answer back: one connection for each.

    question = frame { "version": 1, "command": name, "arguments": { name: plain data } }
    answer   = frame { "item": plain data } *  ( frame { "end": number of items } | frame { "error": … } )
    frame    = length of the body (4 bytes, big-endian)  body (CBOR, plain data only)

A question is small, so that a hostile one costs little to decode. An answer comes in small items, so that nobody ever
holds all of it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from pictact_actors import errors
from pictact_actors.clock import monotonic
from pictact_actors.console.desk import Fields
from pictact_actors.errors import Rejected, StoreError
from pictact_actors.model import codec

VERSION = 1
QUESTION_BYTES_MAX = 8 * 1024
"""A path (4 KiB) and its names fit. As integer keys that collide, so much takes 10 ms to decode."""
ITEM_BYTES_MAX = 64 * 1024 * 1024
"""The largest record takes a few MiB."""
_LENGTH_BYTES = 4
_PART_BYTES = 64 * 1024


class Hangup(ConnectionError):
    """The other side has gone, or sends what is no frame."""


def frame_of(body: Fields) -> bytes:
    """Return a frame."""
    encoded = codec.dumps(body)
    if len(encoded) > ITEM_BYTES_MAX:
        raise Rejected(f"a part of the answer has {len(encoded)} bytes, at most {ITEM_BYTES_MAX} can be sent")
    return len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded


def receive(connection: socket.socket, size_max: int, deadline: float) -> bytes:
    """Read the body of a frame. Raises `TimeoutError` at the deadline (monotonic), `Hangup`."""
    size = int.from_bytes(_exactly(connection, _LENGTH_BYTES, deadline), "big")
    if not 0 < size <= size_max:
        raise Hangup(f"a frame has 1 to {size_max} bytes, not {size}")
    return _exactly(connection, size, deadline)


def _exactly(connection: socket.socket, size: int, deadline: float) -> bytes:
    parts = []
    while size:
        left_s = deadline - monotonic()
        if left_s <= 0:
            raise TimeoutError("nothing came in time")
        connection.settimeout(left_s)
        part = connection.recv(min(size, _PART_BYTES))
        if not part:
            raise Hangup("nobody is there any more")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def send(connection: socket.socket, data: bytes, part_s: float) -> None:
    """Write, giving each part so long to be taken. Raises `TimeoutError`, `OSError`; never a signal."""
    view = memoryview(data)
    connection.settimeout(part_s)
    for start in range(0, len(view), _PART_BYTES):
        connection.sendall(view[start : start + _PART_BYTES], socket.MSG_NOSIGNAL)


def decoded(body: bytes) -> dict[str, object]:
    """Return what a frame says. Raises `Hangup` for anything but a map."""
    try:
        said = codec.loads(body)
    except ValueError as error:
        raise Hangup(str(error)) from error
    if not isinstance(said, dict):
        raise Hangup("a frame holds a map")
    return said


def plain_error(error: StoreError | OSError) -> dict[str, object]:
    """Return an error as it travels: its class, its message, and those of its fields that are plain."""
    if isinstance(error, OSError):
        return {"kind": "OSError", "errno": error.errno or 0, "message": str(error), "filename": _name_of(error)}
    told = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float)}
    return {"kind": type(error).__name__, "message": str(error), "fields": told}


def revived(said: object) -> StoreError | OSError:
    """Return the error that another process met."""
    if not isinstance(said, Mapping):
        return StoreError(f"an error that does not read: {said!r:.200}")
    message = str(said.get("message"))
    if said.get("kind") == "OSError":
        number = int(said.get("errno") or 0)
        return OSError(number, os.strerror(number), said.get("filename")) if number else OSError(message)
    kind = vars(errors).get(str(said.get("kind")))
    cls = kind if isinstance(kind, type) and issubclass(kind, StoreError) else StoreError
    error = cls.__new__(cls, message)
    error.__dict__.update(said.get("fields") or {})
    return error


def _name_of(error: OSError) -> str | None:
    return None if error.filename is None else os.fsdecode(error.filename)
