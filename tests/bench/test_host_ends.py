"""Hosts that are killed lose nothing, and hosts that are asked to end answer what they have begun."""

from __future__ import annotations

import json
import signal
import socket
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from talking import PATIENCE_S, Client, talking
from waiting import until

from bench.hosts.crowd import Crowd, Lost
from bench.hosts.dialect import BOT, DIALECTS, POST_ID, WEB, Dialect, Request
from bench.hosts.process import HostFailed, running
from pictact_actors import Store

each_host = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.host)


def begin(url: str, dialect: Dialect) -> None:
    with talking(url) as client:
        for request in dialect.begin:
            assert client.send_raw("POST", request.path, request.body.encode(), request.key).status == 200


def refuses(url: str) -> bool:
    where = urlsplit(url)
    try:
        socket.create_connection((where.hostname or "", where.port or 0), PATIENCE_S).close()
    except ConnectionError as error:  # one that was waiting when the door closed is reset
        return isinstance(error, ConnectionRefusedError)
    return False


def half_sent(client: Client, request: Request) -> bytes:
    """Send a request but for the end of its body, which is returned; the host knows of it then, and waits for that."""
    body = request.body.encode()
    client.connection.putrequest("POST", request.path)
    headers = {"Idempotency-Key": request.key, "Content-Length": str(len(body)), "Expect": "100-continue"}
    for name, value in headers.items():
        client.connection.putheader(name, value)
    client.connection.endheaders()
    assert client.connection.sock.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.connection.send(body[:10])
    return body[10:]


@each_host
def test_what_was_acknowledged_survives_a_kill_and_counts_once(tmp_path: Path, dialect: Dialect) -> None:
    crowd = Crowd(dialect, players=8)
    with running(dialect.host, tmp_path / "game-data") as host:
        begin(host.url, dialect)
        crowd.play(host.url, host.kill, after=100)
    with running(dialect.host, tmp_path / "game-data") as host:
        aftermath = crowd.verify(host.url)
        host.stop()
    assert (aftermath.acknowledged >= 100, aftermath.unanswered) == (True, 8)
    with Store.open(tmp_path / "game-data") as store:
        assert sum(line.points for line in store.leaderboard(POST_ID)) == aftermath.acknowledged + 8
        assert store.check() == []


def test_a_lost_award_is_found_out(tmp_path: Path) -> None:
    crowd = Crowd(WEB, players=2)
    with running("web", tmp_path / "game-data") as host:
        begin(host.url, WEB)
        crowd.play(host.url, host.kill, after=10)
    with running("web", tmp_path / "another") as host:
        begin(host.url, WEB)
        with pytest.raises(Lost, match="acknowledged"):
            crowd.verify(host.url)


@pytest.mark.parametrize(
    ("dialect", "ending"), [(WEB, signal.SIGTERM), (BOT, signal.SIGINT)], ids=lambda given: getattr(given, "host", "")
)
def test_nothing_that_is_stored_goes_without_an_answer_when_a_host_ends(
    tmp_path: Path, dialect: Dialect, ending: signal.Signals
) -> None:
    crowd = Crowd(dialect, players=16)
    with running(dialect.host, tmp_path / "game-data") as host:
        begin(host.url, dialect)
        crowd.play(host.url, partial(host.process.send_signal, ending), after=100)
        assert host.process.wait(PATIENCE_S) == 0
    with running(dialect.host, tmp_path / "game-data") as host:
        aftermath = crowd.verify(host.url)
    assert (aftermath.acknowledged >= 100, aftermath.stored) == (True, 0)


def test_the_bot_answers_a_request_whose_end_comes_late_and_lets_idle_clients_go(tmp_path: Path) -> None:
    with running("bot", tmp_path / "game-data") as host, talking(host.url) as client, talking(host.url) as idle:
        begin(host.url, BOT)
        assert idle.get(f"/matches/{POST_ID}").status == 200
        rest = half_sent(client, BOT.awarding("ann", "in-flight"))
        host.process.terminate()
        until(lambda: refuses(host.url))
        client.connection.send(rest)
        assert client.answer().status == 200
        assert host.process.wait(PATIENCE_S) == 0
        assert idle.connection.sock.recv(1) == b""
    with Store.open(tmp_path / "game-data", create=False) as store:
        assert store.score(POST_ID, "ann").points == 1


@each_host
def test_a_host_says_why_it_cannot_serve(tmp_path: Path, dialect: Dialect, capfd: pytest.CaptureFixture[str]) -> None:
    with Store.open(tmp_path / "game-data"), pytest.raises(HostFailed), running(dialect.host, tmp_path / "game-data"):
        pass
    errors = capfd.readouterr().err
    assert "cannot serve" in errors
    assert "Traceback" not in errors


@each_host
def test_an_award_is_the_same_for_both_hosts_and_in_plain_json(dialect: Dialect) -> None:
    request = dialect.awarding("ann", "id-1")
    assert json.loads(request.body)["user"] == "ann"
    assert request.key == "id-1"
