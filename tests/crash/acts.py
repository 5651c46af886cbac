"""Everything that a host can do with a store, for hosts that do all of it at once."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from pictact_actors import AddTrophy, AwardPoints, BackupInfo, Store
from pictact_actors.model.records import Lifetime
from pictact_actors.storage.embedded import EmbeddedEngine

HALF = 0.5
Act = Callable[[Store, random.Random], Any]


def post(rng: random.Random) -> str:
    return f"t3_{rng.randrange(20)}"


def user_of(rng: random.Random) -> str:
    return f"u{rng.randrange(20)}"


def _create(store: Store, rng: random.Random) -> object:
    return store.create_match(
        f"t3_{rng.randrange(100)}", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod"
    )


def _close_round(store: Store, rng: random.Random) -> object:
    return store.close_round(post(rng), rng.randrange(9), winner_user=user_of(rng), points=3)


def _in_transaction(store: Store, rng: random.Random) -> None:
    with store.transaction(timeout=1.0) as tx:
        tx.add_trophy(user_of(rng), "seen")
        tx.award_points(post(rng), user_of(rng), 1)


def _submit(store: Store, rng: random.Random) -> None:
    for reply in store.submit([AwardPoints(post(rng), user_of(rng), 1) for _ in range(50)]):
        reply.get()


def _update(store: Store, rng: random.Random) -> object:
    user = user_of(rng)
    return store.update(
        f"lifetime:{user}",
        lambda found: replace(found, trophies=["x"]) if isinstance(found, Lifetime) else _nobody(user),
    )


def _nobody(user: str) -> Any:
    return Lifetime(user=user)


def _back_up(store: Store, rng: random.Random) -> BackupInfo:
    """Into a place of its own, or the store's, where older ones go by themselves."""
    if rng.random() < HALF:
        return store.backup()
    with _room_beside(store) as room:
        return store.backup(room / "backups")


def _restore(store: Store, _: random.Random) -> object:
    with _room_beside(store) as room:
        return Store.restore(store.backup(room / "backups"), room / "restored")


@contextmanager
def _room_beside(store: Store) -> Iterator[Path]:
    beside = cast("EmbeddedEngine", store.runtime.engine).path.parent
    room = Path(mkdtemp(dir=beside))  # `TemporaryDirectory` takes it away from threads that live on at the exit
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


ACTS: dict[str, Act] = {
    "create_match": _create,
    "update_match": lambda store, rng: store.update_match(post(rng), theme="seas"),
    "cancel_match": lambda store, rng: store.cancel_match(f"t3_{20 + rng.randrange(80)}"),
    "create_round": lambda store, rng: store.create_round(
        post(rng), rng.randrange(1_000), prompt_text="what?", start_ts=1, end_ts=2
    ),
    "update_round": lambda store, rng: store.update_round(post(rng), rng.randrange(9), prompt_text="where?"),
    "close_round": lambda store, rng: store.close_round(
        post(rng), rng.randrange(9), winner_user=user_of(rng), points=3
    ),
    "award_points": lambda store, rng: store.award_points(post(rng), user_of(rng), 1, wins=1),
    "add_trophy": lambda store, rng: store.add_trophy(user_of(rng), f"t{rng.randrange(9)}"),
    "record_analytics": lambda store, rng: store.record_analytics(post(rng), avg_solve_time=rng.random()),
    "complete_match": lambda store, rng: store.complete_match(f"t3_{20 + rng.randrange(80)}"),
    "put_many": lambda store, rng: store.put_many(
        {f"lifetime:p{n}": Lifetime(user=f"p{n}", trophies=[f"t{rng.randrange(9)}"]) for n in range(30)}
    ),
    "update": _update,
    "submit": _submit,
    "tell": lambda store, rng: store.tell(AddTrophy(user_of(rng), "told")),
    "ask": lambda store, rng: store.ask(AwardPoints(post(rng), user_of(rng), 1)).get(),
    "transaction": _in_transaction,
    "transact": lambda store, rng: store.transact(lambda tx: tx.add_trophy(user_of(rng), "again"), timeout=1.0),
    "backup": _back_up,
    "restore": _restore,
    "get": lambda store, rng: store.get(f"score:{post(rng)}:{user_of(rng)}"),
    "get_many": lambda store, _: store.get_many([f"lifetime:p{n}" for n in range(30)]),
    "scan": lambda store, rng: list(islice(store.scan(""), rng.randrange(1_000))),
    "match": lambda store, rng: store.match(post(rng)),
    "round": lambda store, rng: store.round(post(rng), rng.randrange(9)),
    "rounds": lambda store, rng: store.rounds(post(rng)),
    "score": lambda store, rng: store.score(post(rng), user_of(rng)),
    "lifetime": lambda store, rng: store.lifetime(user_of(rng)),
    "analytics": lambda store, rng: store.analytics(post(rng)),
    "player": lambda store, rng: store.player(user_of(rng)),
    "leaderboard": lambda store, rng: store.leaderboard(post(rng)),
    "around": lambda store, rng: store.around(post(rng), user_of(rng)),
    "standing": lambda store, rng: store.standing(post(rng), user_of(rng)),
    "lifetime_around": lambda store, rng: store.lifetime_around(user_of(rng)),
    "lifetime_leaderboard": lambda store, _: store.lifetime_leaderboard(),
    "lifetime_standing": lambda store, rng: store.lifetime_standing(user_of(rng)),
    "analytics_summary": lambda store, _: store.analytics_summary(),
    "entries": lambda store, rng: list(islice(store.entries(), rng.randrange(1_000))),
    "changes": lambda store, rng: list(islice(store.changes(timeout=0.01), rng.randrange(100))),
    "audit": lambda store, _: list(store.audit()),
    "cleanup": lambda store, _: store.cleanup(),
    "check": lambda store, _: store.check(),
    "statistics": lambda store, _: store.statistics(),
}
"""Everything that can be done with a store, but to open and to close it."""
