"""Everything that locks, all at once: nobody is left waiting for a lease to run out, and the records agree."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cells import SHARDS
from games import begin, play
from opening import MEMORY, Opener
from stage import assert_free
from waiting import PATIENCE_S

from pictact_actors import Lifetime, Score, Store

POSTS = [f"q{n}" for n in range(8)]
PLAYERS = [f"u{n}" for n in range(8)]
THREADS = 8


class Host:
    """Does what hosts do, in any order, on the same few posts and players."""

    def __init__(self, store: Store, number: int, seed: int) -> None:
        self.store = store
        self.number = number
        self.rng = random.Random(seed * THREADS + number)
        self.completed = 0

    def run(self, turns: int) -> None:
        verbs = [self.scan_players, self.scan_post, self.visit, self.visit, self.put, self.award, self.complete]
        for _ in range(turns):
            self.rng.choice(verbs)()

    def transact(self, act: Any) -> None:
        self.store.transact(act, timeout=PATIENCE_S)

    def scan_players(self) -> None:
        post, player = self.rng.choice(POSTS), self.rng.choice(PLAYERS)
        self.transact(lambda tx: (tx.award_points(post, player, 1), list(tx.scan("lifetime:"))))

    def scan_post(self) -> None:
        scanned, awarded = self.rng.choices(POSTS, k=2)
        self.transact(lambda tx: (list(tx.scan(f"score:{scanned}:")), tx.award_points(awarded, PLAYERS[0], 1)))

    def visit(self) -> None:
        route = [(self.rng.random() < 0.5, self.rng.randrange(8)) for _ in range(self.rng.randint(1, 5))]

        def act(tx: Any) -> None:
            for is_post, at in route:
                if is_post:
                    tx.award_points(POSTS[at], PLAYERS[at], 1)
                else:
                    tx.add_trophy(PLAYERS[at], f"cup-{self.number}")

        self.transact(act)

    def put(self) -> None:
        records = {f"score:{post}:guest": Score(post, "guest", self.number) for post in self.rng.sample(POSTS, 3)}
        self.store.put_many(records, timeout=PATIENCE_S)

    def award(self) -> None:
        self.store.award_points(self.rng.choice(POSTS), self.rng.choice(PLAYERS), 1, timeout=PATIENCE_S)

    def complete(self) -> None:
        self.completed += 1
        post = f"h{self.number}-{self.completed}"
        begin(self.store, post)
        play(self.store, dict.fromkeys(PLAYERS, 1), post)
        if self.rng.random() < 0.5:
            self.store.complete_match(post, timeout=PATIENCE_S)
        else:
            self.transact(lambda tx: tx.complete_match(post))


@pytest.mark.parametrize(
    "turns", [200, *(pytest.param(1_000, marks=pytest.mark.long, id=f"long {n}") for n in range(6))]
)
def test_whatever_hosts_do_at_once_nobody_waits_for_a_lease_to_run_out(
    open_store: Opener, caplog: pytest.LogCaptureFixture, turns: int
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    store = open_store(MEMORY, shards=SHARDS)
    begin(store, *POSTS)
    store.put_many({f"lifetime:{player}": Lifetime(player) for player in PLAYERS})
    hosts = [Host(store, number, seed) for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(host.run, turns) for host in hosts]:
            done.result()
    assert "lease_expired" not in caplog.text
    played = sum(host.completed for host in hosts)
    assert [store.lifetime(player).matches_played for player in PLAYERS] == [played] * len(PLAYERS)
    assert_free(store)
