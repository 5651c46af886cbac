"""A match on its way out: the store it is in, the clock that makes it due, and every way to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from games import POST, begin, begin_round, play

from pictact_actors import Audit, NotFound, Store
from pictact_actors.model.chores import Expire
from pictact_actors.model.removal import Removal, goes_with

NOW = 1_700_000_000.0
DAY_S = 86_400.0
WEEK_S = 7 * DAY_S
IDLE_S = 90 * DAY_S
QUIET = {"cleanup_interval_s": 10 * DAY_S}
"""Limits of a store whose janitor comes only when it is called."""
PLAYERS = ("ann", "bob", "cat")

KEYS = [f"match:{POST}", f"round:{POST}:1", f"score:{POST}:ann", f"score:{POST}:bob", f"analytics:{POST}"]


def play_match(store: Store, post_id: str = POST, **fields: Any) -> None:
    """Play everything that there is to play, but the end."""
    begin(store, post_id, request_id="created", **fields)
    begin_round(store, 1, post_id)
    play(store, {"ann": 3, "bob": 2, "cat": 1}, post_id)
    store.award_points(post_id, "ann", 1, request_id="one more")
    store.record_analytics(post_id, invalid_rate=0.5)
    store.close_round(post_id, 1, winner_user="bob", points=5)


def step(store: Store, limit: int = 2, post_id: str = POST) -> Removal:
    """Do one step of a removal, as the janitor does."""
    answer = store.ask(Expire(post_id, limit)).get()
    assert isinstance(answer, Removal)
    return answer


def _in_transaction(read: Callable[[Any], Any]) -> Callable[[Store], Any]:
    def reading(store: Store) -> Any:
        with store.transaction() as tx:
            return read(tx)

    return reading


def _of_post(found: Iterator[tuple[str, Any]]) -> list[str]:
    return [key for key, _ in found if goes_with((POST,), key)]


READS: dict[str, Callable[[Store], Any]] = {
    "match": lambda store: store.match(POST),
    "round": lambda store: store.round(POST, 1),
    "rounds": lambda store: store.rounds(POST),
    "score": lambda store: store.score(POST, "ann"),
    "analytics": lambda store: store.analytics(POST),
    "leaderboard": lambda store: store.leaderboard(POST),
    "standing": lambda store: store.standing(POST, "ann"),
    "around": lambda store: store.around(POST, "ann"),
    "get": lambda store: [record for key in KEYS for record in _found(store, key)],
    "get_many": lambda store: store.get_many([*KEYS, "match:t3_other"]).keys() - {"match:t3_other"},
    "scan all": lambda store: _of_post(store.scan("")),
    "scan of the post": lambda store: [*store.scan(f"score:{POST}:"), *store.scan(f"round:{POST}:")],
    "scan in parts": lambda store: _of_post(chain(store.scan("", limit=3), store.scan("", after="match:", limit=50))),
    "get in a transaction": _in_transaction(lambda tx: tx.get(f"score:{POST}:ann")),
    "get_many in a transaction": _in_transaction(lambda tx: tx.get_many(KEYS)),
    "scan in a transaction": _in_transaction(lambda tx: _of_post(tx.scan(""))),
    "scan of the post in a transaction": _in_transaction(lambda tx: list(tx.scan(f"score:{POST}:"))),
}
"""Every way to look; each shows something of a match that is there."""


def _found(store: Store, key: str) -> Iterator[Any]:
    try:
        yield store.get(key)
    except NotFound:
        return


def shown(store: Store) -> list[str]:
    """In which of these ways anything of the match is seen."""
    return [name for name, read in READS.items() if _shows(read, store)]


def _shows(read: Callable[[Store], Any], store: Store) -> bool:
    try:
        return bool(read(store))
    except NotFound:
        return False


def lasting(store: Store) -> dict[str, Any]:
    """What players have for ever."""
    return {**dict(store.scan("lifetime:")), **dict(store.scan("history:"))}


def stored(store: Store) -> list[str]:
    """Every key that is there, whether anybody sees it or not."""
    return [key for key, _ in store.runtime.engine.scan("")]


def removals(store: Store) -> list[Audit]:
    """What the audit says about matches."""
    return [entry for entry in store.audit() if entry.post_id is not None]
