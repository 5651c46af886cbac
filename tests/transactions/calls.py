"""Every command of the game, done and refused, to be sent to a store or to a transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pictact_actors import Score, Store, StoreError
from pictact_actors.model.records import Record

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("create_match", ("t3_a",), {"subreddit": "p", "rounds_total": 2, "theme": "t", "created_by": "m"}),
    ("create_match", ("t3_a",), {"subreddit": "p", "rounds_total": 2, "theme": "t", "created_by": "m"}),
    ("create_match", ("t3_b",), {"subreddit": "p", "rounds_total": 2, "theme": "t", "created_by": "m"}),
    ("update_match", ("t3_a",), {"theme": "rivers", "request_id": "r0"}),
    ("update_match", ("t3_a",), {"theme": "lakes", "request_id": "r0"}),
    ("update_match", ("t3_a",), {"colour": "red"}),
    ("create_round", ("t3_a", 1), {"prompt_text": "?", "start_ts": 0, "end_ts": 9, "reference_images": ["a"]}),
    ("create_round", ("t3_a", 1), {"prompt_text": "?", "start_ts": 0, "end_ts": 9}),
    ("update_round", ("t3_a", 1), {"end_ts": 10}),
    ("close_round", ("t3_a", 1), {"winner_user": "ann", "points": 5, "request_id": "r1"}),
    ("close_round", ("t3_a", 1), {"winner_user": "ann", "points": 5, "request_id": "r1"}),
    ("close_round", ("t3_a", 1), {"winner_user": "bob", "points": 7}),
    ("award_points", ("t3_a", "bob", 2), {"wins": 1, "timeout": 5, "request_id": "r2"}),
    ("award_points", ("t3_a", "bob", 2), {"wins": 1, "timeout": 5, "request_id": "r2"}),
    ("award_points", ("t3_a", "bob", 3), {"wins": 1, "request_id": "r2"}),
    ("award_points", ("t3_a", "cat", 2.5), {}),
    ("award_points", ("t3_a", "cat", -1), {}),
    ("award_points", ("t3_a", "a:b", 2), {}),
    ("award_points", ("nope", "bob", 2), {}),
    ("award_points", ("t3_b", "bob", 2), {}),
    ("record_analytics", ("t3_a",), {"invalid_rate": 0.5}),
    ("record_analytics", ("t3_a",), {"invalid_rate": 1.0, "avg_solve_time": 3}),
    ("add_trophy", ("ann", "cup"), {"request_id": "r3"}),
    ("add_trophy", ("ann", "cup"), {"request_id": "r3"}),
    ("add_trophy", ("ann", "bowl"), {"request_id": "r3"}),
    ("complete_match", ("t3_a",), {"trophies": {"ann": ["medal"], "eve": ["fair play"]}, "request_id": "r4"}),
    ("complete_match", ("t3_a",), {"trophies": {"ann": ["medal"], "eve": ["fair play"]}, "request_id": "r4"}),
    ("complete_match", ("t3_a",), {"trophies": {"ann": ["star"]}, "request_id": "r4"}),
    ("complete_match", ("t3_a",), {}),
    ("award_points", ("t3_a", "bob", 2), {}),
    ("cancel_match", ("t3_a",), {}),
    ("cancel_match", ("t3_b",), {}),
    ("cancel_match", ("t3_b",), {}),
    ("complete_match", ("t3_b",), {}),
]


def outcome_of(face: Any, call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Any:
    name, args, fields = call
    try:
        return plain(getattr(face, name)(*args, **fields))
    except StoreError as error:
        return type(error), error.args


def plain(answer: Any) -> Any:
    """An answer without the unique time at which a score was reached."""
    return replace(answer, reached_at=0.0) if isinstance(answer, Score) else answer


def records_of(store: Store) -> dict[str, Record]:
    return {key: plain(record) for key, record in store.scan("")}


def one_by_one(store: Store) -> list[Any]:
    return [outcome_of(store, call) for call in CALLS]
