"""Callers that send rubbish, stall, hang up or come by the thousand: nobody else notices."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cbor2
import pytest
from askers import PATIENCE_S, desk_of, ends, question, said_to
from games import begin
from opening import Opener
from waiting import until

from pictact_actors import Rejected, Store
from pictact_actors.clock import monotonic
from pictact_actors.console import server, wire
from pictact_actors.console.address import connected
from pictact_actors.model import codec

GAP_S = 0.05


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


COLLIDING = {number * (2**61 - 1): 0 for number in range(1, wire.QUESTION_BYTES_MAX // 10)}
RUBBISH = {
    "a huge length": b"\xff\xff\xff\xff" + bytes(100),
    "a length just too large": (wire.QUESTION_BYTES_MAX + 1).to_bytes(4, "big"),
    "nothing at all": framed(b""),
    "deep nesting": framed(b"\x81" * (wire.QUESTION_BYTES_MAX - 1) + b"\x00"),
    "deep maps": framed(b"\xa1\x61a" * 2_700 + b"\x00"),
    "no map": framed(cbor2.dumps([1, 2])),
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "trailing bytes": framed(cbor2.dumps({"version": 1}) + b"\x00"),
    "a tag": framed(cbor2.dumps(cbor2.CBORTag(37, b"0123456789abcdef"))),
    "an endless array": framed(b"\x9f\x00"),
    "keys that collide": framed(cbor2.dumps(COLLIDING)),
    "a list of a billion": framed(b"\x9a\x3b\x9a\xca\x00"),
}


@pytest.fixture
def host(open_store: Opener, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(server, "QUESTION_S", 0.3)
    monkeypatch.setattr(server, "PART_S", 0.3)
    store = open_store()
    begin(store)
    return store


@pytest.fixture
def home(open_store: Opener) -> Path:
    return open_store.path


@pytest.mark.parametrize("what", RUBBISH)
def test_who_sends_rubbish_is_hung_up_on(host: Store, home: Path, what: str) -> None:
    assert ends(said_to(home, RUBBISH[what]))
    assert desk_of(home).get("match:t3_a") == host.match("t3_a").to_dict()


def test_a_question_never_takes_long_to_decode() -> None:
    body = RUBBISH["keys that collide"][4:]
    assert len(body) > wire.QUESTION_BYTES_MAX * 0.8

    def took_s() -> float:
        since = monotonic()
        with suppress(ValueError):
            codec.loads(body)
        return monotonic() - since

    assert min(took_s() for _ in range(3)) < GAP_S


@pytest.mark.parametrize("said", [b"", b"\x00\x00", question("stats")[:-3]])
def test_who_says_half_a_question_and_falls_silent_is_hung_up_on(host: Store, home: Path, said: bytes) -> None:
    assert ends(said_to(home, said))
    assert desk_of(home).get("match:t3_a") == host.match("t3_a").to_dict()


def test_who_says_a_byte_now_and_then_has_no_more_time_than_others(host: Store, home: Path) -> None:
    assert host
    connection, since = said_to(home, (100).to_bytes(4, "big")), monotonic()
    with connection, suppress(ConnectionError):
        while monotonic() - since < PATIENCE_S:
            connection.send(b"\x00", socket.MSG_NOSIGNAL)
            threading.Event().wait(0.05)
    assert monotonic() - since < PATIENCE_S / 4


def test_a_thousand_callers_at_once_keep_nobody_from_writing(
    host: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_TURNED_AWAY_S", 0.0005)
    files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    kept: list[socket.socket] = []
    threads = set()
    for number in range(1_000):
        kept.append(connected(home, PATIENCE_S))
        threads.add(sum(thread.name == "pictact-caller" for thread in threading.enumerate()))
        if len(kept) > files_max // 4:
            kept.pop(0).close()
        if not number % 100:
            assert host.award_points("t3_a", "ann", 1).points == number // 100 + 1
    assert max(threads) <= server.CALLERS_MAX
    for connection in kept:
        connection.close()
    until(lambda: answers(home))


def test_who_is_turned_away_learns_why(host: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "QUESTION_S", PATIENCE_S)
    assert host
    silent = [connected(home, PATIENCE_S) for _ in range(server.CALLERS_MAX)]
    until(lambda: "callers at a time already" in refusal(home))  # when all of them are in
    for connection in silent:
        connection.close()
    until(lambda: answers(home))


def refusal(home: Path) -> str:
    try:
        desk_of(home).stats()
    except Rejected as error:
        return str(error)
    return ""


def answers(home: Path) -> bool:
    with suppress(Exception):
        return bool(desk_of(home).stats())
    return False


def test_nothing_piles_up_for_a_caller_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PART_S", 0.2)
    made = count()

    def audit(**_: object) -> Iterator[Any]:
        for number in made:
            yield SimpleNamespace(to_dict=lambda: {"what": "x" * 1_000, "number": number})  # noqa: B023 - read at once

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(question("audit", since=None, limit=None))
        console = server.Console(cast("Store", SimpleNamespace(audit=audit)))
        answer = server._Answer(ours, threading.Event(), console._alone, console._store)
        with pytest.raises(TimeoutError):
            answer.give()
        assert len(answer._ready) < 2 * server._SEND_BYTES
    assert next(made) < 2_000


def test_who_hangs_up_stops_what_is_made_for_them(host: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def endless(**_: object) -> Iterator[Any]:
        try:
            for number in count():
                yield SimpleNamespace(to_dict=dict)
                assert number < 10_000_000
        finally:
            ended.set()

    monkeypatch.setattr(server, "PART_S", PATIENCE_S)
    monkeypatch.setattr(host, "audit", endless)
    connection = said_to(home, question("audit", since=None, limit=None))
    assert connection.recv(100)
    connection.close()
    assert ended.wait(PATIENCE_S)


def test_a_length_that_cannot_be_is_refused_before_anything_of_it_is_awaited() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(wire.Hangup, match="a frame has"):
            wire.receive(ours, wire.QUESTION_BYTES_MAX, monotonic() + PATIENCE_S)


def test_nobody_reads_on_for_a_caller_that_has_gone_although_there_is_nothing_to_send() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        console = server.Console(cast("Store", None))
        answer = server._Answer(ours, threading.Event(), console._alone, console._store)
        read = answer._paced(count())
        assert next(read) == 0
        theirs.close()
        with pytest.raises(wire.Hangup, match="the caller has gone"):
            next(number for number in read if number > 100_000_000)
