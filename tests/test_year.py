"""A year of play: what is left are the matches that are not due, everybody's history, and every observation."""

from __future__ import annotations

import logging
import random
from collections import Counter
from itertools import chain

import pytest
from opening import Opener
from year import DAY_S, IDLE_S, WEEK_S, Size, Year, archived, details

from pictact_actors import Match, Score, Store

MIB = 1024 * 1024
LIMITS = {"cleanup_interval_s": 1e9, "journal_bytes_max": 2 * MIB, "state_buffer_bytes": MIB}
QUARTER = 91
KEPT = ("audit:", "due:audited:", "history:", "lifetime:", "top:")
"""What stays, a year at least."""


def verify_matches(store: Store, year: Year) -> None:
    """Exactly the matches that are not due are there, with their scores."""
    live = year.live()
    seen = {record.post_id: record.status for _, record in store.scan("match:") if isinstance(record, Match)}
    assert seen == {post_id: played.status for post_id, played in live.items()}
    scores: dict[str, dict[str, float]] = {post_id: {} for post_id in live}
    for _, record in store.scan("score:"):
        assert isinstance(record, Score)
        scores[record.post_id][record.user] = record.points
    assert scores == {post_id: played.points for post_id, played in live.items()}
    stored = {key.split(":")[1] for key, _ in store.runtime.engine.scan("score:")}
    assert stored == {post_id for post_id, played in live.items() if played.points}


def verify_players(store: Store, year: Year) -> None:
    """Everybody has what was ever won."""
    lifetimes = {key.removeprefix("lifetime:") for key, _ in store.scan("lifetime:")}
    assert lifetimes == {user for user, played in year.histories.items() if played}
    for user, played in year.histories.items():
        player = store.player(user)
        assert {at.post_id: (at.points, at.wins, at.rank) for at in player.matches} == played
        assert player.lifetime.matches_played == len(played)
        assert player.lifetime.total_points == sum(points for points, _, _ in played.values())
        assert player.lifetime.total_wins == sum(wins for _, wins, _ in played.values())
        assert list(player.lifetime.trophies) == year.trophies[user]


def verify_observations(store: Store, opener: Opener, year: Year) -> None:
    """Every observation is in the archive or in the store, once."""
    live = list(details(store))
    assert Counter(chain(archived(opener.path), live)) == year.observed
    assert all(at > year.clock.now() - 31 * DAY_S for _, _, at in live)


def size_of_what_passes(store: Store) -> int:
    """Disk space without the archive and what is kept for ever, which state and base have both."""
    usage = store.statistics()
    pairs = chain.from_iterable(store.runtime.engine.scan(prefix) for prefix in KEPT)
    return usage.size_bytes - usage.archive_bytes - 2 * sum(len(key) + len(value) for key, value in pairs)


def play_a_year(open_store: Opener, size: Size) -> None:
    seed = random.getrandbits(32)
    year = Year(size, seed)
    logging.getLogger(__name__).warning("seed %d", seed)
    store: Store = open_store(clock=year.clock, **LIMITS)
    sizes: list[int] = []
    for day in range(1, size.days + 1):
        year.play_a_day(store)
        if day % QUARTER == 0:
            verify_matches(store, year)
            store.close()
            store = open_store(clock=year.clock, **LIMITS)
            sizes.append(size_of_what_passes(store))
    verify_matches(store, year)
    verify_players(store, year)
    verify_observations(store, open_store, year)
    removed = [entry for entry in store.audit() if entry.post_id is not None]
    assert len(removed) == year.removed == year.matches - len(year.live())
    assert all(entry.done for entry in removed)
    assert {entry.reason for entry in removed} == {"completed", "cancelled", "idle"}
    assert sizes[-1] < 1.25 * max(sizes[:2]), f"disk use grows: {sizes}"
    logging.getLogger(__name__).warning(
        "%d matches, %d awards, %d observations; sizes %s", year.matches, year.scores, year.observed.total(), sizes
    )


def test_a_small_year_of_play(open_store: Opener) -> None:
    assert (WEEK_S, IDLE_S) == (7 * DAY_S, 90 * DAY_S)
    play_a_year(open_store, Size())


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_a_year_of_play(open_store: Opener) -> None:
    play_a_year(open_store, Size(matches_a_day=12, players=2_000, awards=60, observations=20))
