"""The bot: orders, guesses and pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from talking import Client, talking

from bench.hosts.process import running

POST = "t3_bot"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("bot", tmp_path_factory.mktemp("bot") / "game-data") as host:
        yield host.url
        host.stop()


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with talking(url) as client:
        yield client


def told(client: Client, post_id: str, user: str, text: str, key: str | None = None) -> str:
    """Return what the bot replied."""
    said = client.comment(post_id, user, text, key)
    assert said.status == 200, said.body
    return str(said.body["reply"])


def begin(client: Client, post_id: str) -> None:
    assert told(client, post_id, "mod", "!match 2 landmarks") == "A match begins."
    assert told(client, post_id, "mod", "!round 0 golden gate bridge") == "What does the picture show?"


def test_a_match_is_played_from_its_beginning_to_its_end(client: Client) -> None:
    begin(client, POST)
    assert told(client, POST, "ann", "a tower") == "No."
    assert told(client, POST, "ann", "some bridge") == "Close! You have 1 points."
    assert told(client, POST, "bob", "Golden Gate Bridge") == "Right, you win the round!"
    assert told(client, POST, "cat", "golden gate bridge") == "No round is open."
    assert told(client, POST, "mod", "!round 1 eiffel tower") == "What does the picture show?"
    assert told(client, POST, "mod", "!close 1") == "It was: eiffel tower."
    assert told(client, POST, "mod", "!award ann 4") == "ann has 5 points."
    assert told(client, POST, "cat", "!board") == "1. bob 10\n2. ann 5"
    assert [line["user"] for line in client.get(f"/matches/{POST}/leaderboard").body] == ["bob", "ann"]
    assert client.get(f"/matches/{POST}/scores/ann").body["points"] == 5
    assert told(client, POST, "mod", "!complete") == "bob wins the match!"
    assert client.get(f"/matches/{POST}").body["status"] == "completed"
    assert client.get("/players/bob").body["lifetime"]["totalWins"] == 1
    assert told(client, POST, "bob", "!me") == "Wins: 1, matches: 1."


@pytest.mark.parametrize("text", ["a bridge", "golden gate bridge"])
def test_a_comment_that_is_read_twice_counts_once(client: Client, text: str) -> None:
    post_id = f"t3_twice_{len(text)}"
    begin(client, post_id)
    replies = {told(client, post_id, "ann", text, "same") for _ in range(3)}
    assert len(replies) == 1
    assert client.get(f"/matches/{post_id}/scores/ann").body["points"] in {1, 10}


def test_orders_are_the_moderators(client: Client) -> None:
    begin(client, "t3_orders")
    assert client.comment("t3_orders", "ann", "!award ann 100").status == 403
    assert client.comment("t3_orders", "mod", "!dance").status == 400
    assert client.comment("t3_orders", "mod", "!award ann many").status == 400
    assert client.get("/matches/t3_orders/leaderboard").body == []


def test_nonsense_gets_its_status_and_the_connection_stays(client: Client) -> None:
    assert client.comment("t3_nowhere", "ann", "a bridge").status == 404
    assert client.comment("a:b", "ann", "a bridge").status == 400
    assert client.post("/comments", user="ann").status == 400
    assert client.send_raw("POST", "/comments", b"[").status == 400
    assert client.get("/nowhere").status == 404
    assert client.send_raw("POST", "/comments", b" " * 100_000).status == 413
