"""The verbs of a test: what a host does with a store, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pictact_actors import AwardPoints, CreateMatch, Match, Score, Store

POST = "t3_a"


def creation(post_id: str = POST, **fields: Any) -> CreateMatch:
    """The message that creates a match."""
    return CreateMatch(
        post_id, **{"subreddit": "pics", "rounds_total": 3, "theme": "sunsets", "created_by": "mod", **fields}
    )


def begin(store: Store, *post_ids: str, **fields: Any) -> Match:
    """Create matches (by default one, `t3_a`)."""
    return [store.ask(creation(post_id, **fields)).get() for post_id in post_ids or (POST,)][-1]


def begin_round(store: Store, index: int = 1, post_id: str = POST, **fields: Any) -> Any:
    """Create a round."""
    return store.create_round(post_id, index, **{"prompt_text": "what?", "start_ts": 100, "end_ts": 200, **fields})


def play(store: Store, points: Mapping[str, Any], post_id: str = POST) -> None:
    """Give points to players, in this order."""
    for reply in store.submit([AwardPoints(post_id, user, given) for user, given in points.items()]):
        reply.get()


def points_of(store: Store, post_id: str = POST) -> dict[str, Any]:
    """Every player's points in a match."""
    return {record.user: record.points for _, record in store.scan(f"score:{post_id}:") if isinstance(record, Score)}
