"""A small HTTP server for metrics: on 127.0.0.1 only, one request at a time, on a thread of its own.

A client that says nothing is dropped after `_CLIENT_S`, so the others wait no longer than that.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterable
from socketserver import TCPServer
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from pictact_actors import log
from pictact_actors.errors import InvalidValue, StoreClosed
from pictact_actors.lifecycle import keep_track

HOST: Final = "127.0.0.1"
_CLIENT_S = 1.0
_IDLE_S = 60.0
_STOP_S = 1.0
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Handler(WSGIRequestHandler):
    """Answers one request, and tells nobody of it."""

    timeout = _CLIENT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
        """Say nothing: the host's standard error is the host's."""


class _Server(WSGIServer):
    """A server that looks nobody up: that might take long."""

    timeout = _IDLE_S

    def server_bind(self) -> None:
        """Take the port."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base's
        """Note in the log what went wrong with a request; the next one is served."""
        log.warning(log.METRICS_FAILED, cause=repr(sys.exc_info()[1]))


class MetricsServer:
    """Serves an application until it is closed. `port` is where. Raises `InvalidValue` if that is taken."""

    def __init__(self, port: int, application: Application) -> None:
        try:
            self._server = _Server((HOST, port), _Handler)
        except OSError as error:
            reason = f"cannot be used ({error.strerror}): choose another one, or 0 for any that is free"
            raise InvalidValue("metrics_port", port, reason) from error
        self._application = application
        self._server.set_app(self._answer)
        self._stopping = threading.Event()
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._run, name="pictact-metrics", daemon=True)
        keep_track(self)
        self._thread.start()

    def close(self) -> bool:
        """Serve no more, and free the port. Any number of times; True the first time."""
        first = not self._stopping.is_set()
        self._stopping.set()
        if first:
            self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for the next one
        if self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)
        self._server.server_close()
        return first

    def abandon(self, _reason: StoreClosed) -> None:
        """Let go of the port in a forked child; it is the parent's."""
        self._stopping.set()
        self._server.server_close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._server.handle_request()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return self._application(environ, start_response)
        except Exception as error:  # noqa: BLE001 - who asks is told, and so is the log
            log.error(log.METRICS_FAILED, cause=repr(error), exc_info=error)
            start_response("500 Internal Server Error", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"the metrics could not be put together, see the host's log\n"]
