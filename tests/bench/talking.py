"""A client of a game host: one connection, one request after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATIENCE_S = 20.0
NOON = 1_700_000_000


class Said(NamedTuple):
    """An answer: its status, its JSON and its headers."""

    status: int
    body: Any
    headers: dict[str, str]


class Client:
    """Talks to a host. Request ids are counted, unless a test repeats one."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self.connection = HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE_S)
        self.sent = 0

    def get(self, path: str) -> Said:
        self.connection.request("GET", path)
        return self.answer()

    def send(self, method: str, path: str, key: str | None = None, **fields: object) -> Said:
        return self.send_raw(method, path, json.dumps(fields).encode(), key)

    def send_raw(self, method: str, path: str, body: bytes, key: str | None = None) -> Said:
        self.sent += 1
        headers = {"Content-Type": "application/json", "Idempotency-Key": key or f"request-{self.sent}"}
        self.connection.request(method, path, body, headers)
        return self.answer()

    def post(self, path: str, key: str | None = None, **fields: object) -> Said:
        return self.send("POST", path, key, **fields)

    def comment(self, post_id: str, user: str, text: str, key: str | None = None) -> Said:
        self.sent += 1
        said = {"postId": post_id, "user": user, "text": text, "createdAt": NOON}
        return self.send("POST", "/comments", **said, commentId=key or f"comment-{self.sent}")

    def answer(self) -> Said:
        answer = self.connection.getresponse()
        return Said(answer.status, json.loads(answer.read()), dict(answer.getheaders()))


@contextmanager
def talking(url: str) -> Iterator[Client]:
    """Connect to a host for a while."""
    client = Client(url)
    try:
        yield client
    finally:
        client.connection.close()
