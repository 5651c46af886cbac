"""The web game: every route, and what it says to nonsense."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from talking import Client, talking

from bench.hosts.process import running

MATCH = {"subreddit": "pics", "roundsTotal": 2, "theme": "landmarks", "createdBy": "mod"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("web", tmp_path_factory.mktemp("web") / "game-data") as host:
        yield host.url
        host.stop()


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with talking(url) as client:
        yield client


@pytest.fixture
def match(client: Client, request: pytest.FixtureRequest) -> str:
    """The path of a match that has begun, one for each test."""
    path = "/matches/" + re.sub(r"\W", "_", request.node.name)[:100]
    assert client.post(path, **MATCH).status == 200
    return path


def test_a_match_is_played_from_its_beginning_to_its_end(client: Client, match: str) -> None:
    at = match
    assert client.send("PATCH", at, theme="bridges").body["theme"] == "bridges"
    assert client.post(f"{at}/rounds/0", promptText="dawn", startTs=0, endTs=9).body["index"] == 0
    assert client.send("PATCH", f"{at}/rounds/0", promptText="dusk").body["promptText"] == "dusk"
    assert client.post(f"{at}/awards", user="ann", points=1.5).body["points"] == 1.5
    assert client.post(f"{at}/analytics", invalidRate=0.5).body["samples"] == {"invalidRate": 1}
    assert client.post(f"{at}/rounds/0/close", winnerUser="bob", points=5).body["closed"]
    assert client.post("/players/ann/trophies", trophy="gold").body["trophies"] == ["gold"]
    standings = [
        {"rank": 1, "user": "bob", "points": 5, "wins": 1},
        {"rank": 2, "user": "ann", "points": 1.5, "wins": 0},
    ]
    assert client.get(f"{at}/leaderboard?limit=10&offset=0").body == standings
    assert client.post(f"{at}/complete", trophies={"bob": ["bridges"]}).body == standings
    assert client.get(at).body["status"] == "completed"
    assert client.get(f"{at}/rounds").body == [client.get(f"{at}/rounds/0").body]
    assert client.get(f"{at}/scores/bob").body["wins"] == 1
    assert client.get(f"{at}/around/bob?span=1").body == standings
    assert client.get(f"{at}/analytics").body["invalidRate"] == 0.5
    assert client.get("/players/bob").body["lifetime"]["trophies"] == ["bridges"]
    assert client.get("/leaderboard?by=total_points&limit=1").body[0]["user"] == "bob"
    assert client.post(f"{at}/awards", user="ann", points=1).status == 409


def test_a_match_can_be_cancelled(client: Client, match: str) -> None:
    assert client.post(f"{match}/cancel").body["status"] == "cancelled"


def test_a_repeated_request_counts_once(client: Client, match: str) -> None:
    said = [client.post(f"{match}/awards", "same", user="ann", points=2) for _ in range(3)]
    assert [one.body["points"] for one in said] == [2, 2, 2]
    assert client.post(f"{match}/awards", "same", user="ann", points=3).status == 400


def test_a_request_without_an_id_is_refused(client: Client, match: str) -> None:
    client.connection.request("POST", f"{match}/awards", '{"user": "ann", "points": 1}')
    said = client.answer()
    assert (said.status, "Idempotency-Key" in said.body["message"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/matches/t3_nowhere", 404, "NotFound"),
        ("/matches/a%3Ab", 400, "InvalidKey"),
        ("/matches/a%2Fb", 404, "NotFound"),
        ("/matches/a/rounds/x", 400, "BadRequest"),
        ("/matches/a/leaderboard?limit=-1", 400, "InvalidValue"),
        ("/matches/a/leaderboard?limit=1001", 400, "BadRequest"),
        ("/matches/a/leaderboard?color=red", 400, "BadRequest"),
        ("/leaderboard?by=height", 400, "InvalidValue"),
        ("/nowhere", 404, "HTTPNotFound"),
    ],
)
def test_what_cannot_be_shown_says_why(client: Client, path: str, status: int, error: str) -> None:
    said = client.get(path)
    assert (said.status, said.body["error"]) == (status, error)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"user": "ann"}', "BadRequest"),
        (b'{"user": "ann", "points": 1, "color": "red"}', "BadRequest"),
        (b'{"user": "ann", "points": 1, "postId": "t3_other"}', "BadRequest"),
        (b'{"user": "ann", "points": NaN}', "InvalidValue"),
        (b'{"user": "\\ud800", "points": 1}', "InvalidKey"),
        (b'{"user": 7, "points": 1}', "InvalidKey"),
        (b"[" * 100_000, "BadRequest"),
        (b"\xff", "BadRequest"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_written(client: Client, match: str, body: bytes, error: str) -> None:
    said = client.send_raw("POST", f"{match}/awards", body, "nonsense")
    assert (said.status, said.body["error"]) == (400, error)
    assert client.get(f"{match}/leaderboard").body == []


def test_a_match_that_exists_and_a_body_that_is_too_large_are_refused(client: Client, match: str) -> None:
    assert client.post(match, **MATCH).status == 409
    assert client.send_raw("POST", f"{match}/awards", b" " * 2_000_000).status == 413
