"""An evening of which every step bears a request id: done once or many times, it comes to the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from children import CONFIG, PATIENCE_S, Report

from pictact_actors import Lifetime, Score, Store
from pictact_actors.model.records import Record, Texts

POST = "t3_once"
ANN = f"score:{POST}:ann"
TIMES = {"createdAt", "updatedAt", "completedAt", "expiresAt", "reachedAt"}


def _in_a_transaction(store: Store) -> list[Any]:
    def both(tx: Any) -> list[Any]:
        return [
            tx.award_points(POST, "ann", 1, request_id="in tx"),
            tx.add_trophy("dan", "fair play", request_id="in tx"),
        ]

    return store.transact(both)


STEPS: dict[str, Callable[[Store], Any]] = {
    "create_match": lambda store: store.create_match(
        POST, subreddit="pics", rounds_total=1, theme="once", created_by="mod", request_id="created"
    ),
    "create_round": lambda store: store.create_round(
        POST, 1, prompt_text="?", start_ts=0, end_ts=9, request_id="round"
    ),
    "award_points": lambda store: store.award_points(POST, "ann", 5, request_id="first"),
    "the same to the same": lambda store: store.award_points(POST, "ann", 5, request_id="second"),
    "update": lambda store: store.update(
        ANN, lambda score: replace(score, points=score.points * 2), request_id="doubled"
    ),
    "record_analytics": lambda store: store.record_analytics(POST, invalid_rate=0.5, request_id="observed"),
    "update_match": lambda store: store.update_match(POST, theme="twice", request_id="renamed"),
    "close_round": lambda store: store.close_round(POST, 1, winner_user="bob", points=3, request_id="closed"),
    "add_trophy": lambda store: store.add_trophy("ann", "gold", request_id="trophy"),
    "put_many": lambda store: store.put_many(
        {f"score:{POST}:cat": Score(POST, "cat", 4), "lifetime:cat": Lifetime("cat", trophies=Texts(["medal"]))},
        request_id="brought",
    ),
    "transact": _in_a_transaction,
    "complete_match": lambda store: store.complete_match(POST, trophies={"bob": ["cup"]}, request_id="completed"),
}
"""What is done, in this order. None of them could be done twice without a trace."""


def done(store: Store, name: str) -> Any:
    """Do a step; return what it answered, in plain values."""
    return plain(STEPS[name](store))


def plain(answer: Any) -> Any:
    """An answer that can be compared and sent."""
    if isinstance(answer, list):
        return [plain(item) for item in answer]
    return answer.to_dict() if isinstance(answer, Record) else answer


def content(store: Store) -> dict[str, Any]:
    """Everything in a store but when it happened."""
    return {
        key: {name: value for name, value in record.to_dict().items() if name not in TIMES}
        for key, record in store.scan("")
    }


def do_all(report: Report, path: Path) -> None:
    """Do all steps, and report each answer before the next one."""
    store = Store.open(path, config=CONFIG)
    for name in STEPS:
        report.send("answered", name, done(store, name))
    threading.Event().wait(PATIENCE_S)
