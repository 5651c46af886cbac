"""HTTP with a thread for each connection, that ends without dropping a request it has begun."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.hosts.wire import BadRequest, refusal, whole
from pictact_actors import StoreError

BODY_BYTES_MAX = 64 * 1024
CONNECTIONS_MAX = 256
ROOM_S = 1.0
"""How long a connection too many waits for another one to end."""
IDLE_S = 30.0
"""How long a connection may be silent."""
LOOK_S = 0.1

Answer = Callable[[str, str, bytes], object]
"""`answer(method, path, body)` returns what is sent as JSON. Raises `StoreError`, `BadRequest`."""


class Door(ThreadingHTTPServer):
    """Serves in a thread of its own between `begin` and `close`, on this machine only. Port 0 is any free one."""

    daemon_threads = False  # closing waits for them
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, port: int, answer: Answer) -> None:
        super().__init__(("127.0.0.1", port), Connection)
        self.answer = answer
        self.closing = False
        self.idle: set[socket.socket] = set()
        """Connections between two requests. Each is added and taken out by its own thread."""
        self._room = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._thread = threading.Thread(target=self.serve_forever, args=(LOOK_S,), name="door", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def server_close(self) -> None:
        """Take no more requests, and return when those in flight are answered."""
        self.closing = True
        if self._thread.is_alive():
            self.shutdown()
        for connection in self.idle.copy():
            with suppress(OSError):  # it ended by itself
                connection.shutdown(socket.SHUT_RD)
        super().server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(timeout=ROOM_S):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()


class Connection(BaseHTTPRequestHandler):
    """One client's requests, one after the other."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    wbufsize = -1  # an answer is one write
    server: Door

    def handle(self) -> None:
        try:
            with suppress(ConnectionError):  # the client went away; it repeats what it got no answer to
                super().handle()
        finally:
            self.server.idle.discard(self.connection)

    def handle_one_request(self) -> None:
        self.server.idle.add(self.connection)
        self.close_connection = True
        if not self.server.closing:
            super().handle_one_request()

    def parse_request(self) -> bool:
        self.server.idle.discard(self.connection)
        return super().parse_request()

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()  # the client waits for it with its body
        return True

    def _do(self) -> None:
        headers: dict[str, str] = {}
        try:
            status, answer = 200, self.server.answer(self.command, self.path, self._body())
        except (StoreError, BadRequest) as error:
            status, answer, headers = refusal(error)
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0" if self.command == "GET" else "")
        if not length.isdecimal() or whole("Content-Length", length) > BODY_BYTES_MAX:
            self.close_connection = True  # nobody knows where the next request begins
            raise BadRequest(f"send at most {BODY_BYTES_MAX} bytes, and their Content-Length", 413)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the request ended early")
        return body

    do_GET = do_POST = _do  # noqa: N815 - the names that the base class looks for

    def log_message(self, *_arguments: object) -> None:
        """Say nothing about ordinary requests."""
