"""A match of very many players is completed in one step, and nobody who plays elsewhere waits for it."""

from __future__ import annotations

import logging
from time import perf_counter

import pytest
from bystanders import TABLES, playing
from games import begin
from opening import Opener

from pictact_actors import Score, Store

BATCH = 5_000
VIRAL = "viral"
REFERENCE = 20_000


@pytest.mark.parametrize(
    "players", [REFERENCE, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_a_match_of_very_many_is_completed_at_once_while_others_play(open_store: Opener, players: int) -> None:
    store: Store = open_store()
    for post_id in (VIRAL, *(f"live{table}" for table in range(TABLES))):
        begin(store, post_id)
    users = [f"u{place:06}" for place in range(players)]
    for start in range(0, players, BATCH):
        store.put_many({f"score:{VIRAL}:{user}": Score(VIRAL, user, 1) for user in users[start : start + BATCH]})
    with playing(store) as evening:
        before, began = evening.answers(), perf_counter()
        standings = store.complete_match(VIRAL)
        took_s = perf_counter() - began
        assert evening.answers() > before, "somebody got no answer all the while"
    assert len(standings) == players
    assert {store.lifetime(user).matches_played for user in (users[0], users[players // 2], users[-1])} == {1}
    figures = f"p95 {evening.p95_s() * 1000:.1f} ms, {players} players in {took_s:.1f} s"
    logging.getLogger(__name__).warning(figures)
    if players > REFERENCE:
        assert evening.p95_s() < 0.200, figures
