"""How to say the same thing to each host: begin a match, award a point, read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from string import Template
from typing import NamedTuple

POST_ID = "t3_bench"
NOON = 1_700_000_000
READS = (f"/matches/{POST_ID}/leaderboard", f"/matches/{POST_ID}/scores/$user")


class Request(NamedTuple):
    """What is posted: `key` is the request id in the header, for a host that wants it there."""

    path: str
    body: str
    key: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """A host and its requests. In `award`, `$user` and `$id` stand for a player and a request id."""

    host: str
    title: str
    begin: tuple[Request, ...]
    award: Request

    def awarding(self, user: str, request_id: str) -> Request:
        """Return the request that awards a player one point."""
        body = Template(self.award.body).substitute(user=user, id=request_id)
        return Request(self.award.path, body, request_id)


def _fields(**fields: object) -> str:
    return json.dumps(fields)


def _comment(comment_id: str, user: str, text: str) -> Request:
    body = _fields(postId=POST_ID, commentId=comment_id, user=user, text=text, createdAt=NOON)
    return Request("/comments", body, comment_id)


WEB = Dialect(
    "web",
    "web game, asyncio",
    begin=(
        Request(
            f"/matches/{POST_ID}",
            _fields(subreddit="pics", roundsTotal=1, theme="landmarks", createdBy="mod"),
            "begin",
        ),
    ),
    award=Request(f"/matches/{POST_ID}/awards", _fields(user="$user", points=1), "$id"),
)
BOT = Dialect(
    "bot",
    "bot, threads",
    begin=(_comment("begin", "mod", "!match 1 landmarks"), _comment("round", "mod", "!round 0 golden gate bridge")),
    award=_comment("$id", "$user", "bridge"),
)
DIALECTS = (WEB, BOT)
