"""Committed records in memory, bounded."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from opening import Opener

from pictact_actors import Lifetime, Round, Score, Store
from pictact_actors.model.codec import decode, encode
from pictact_actors.model.validate import _check_id_text
from pictact_actors.runtime.cache import RECORD_OVERHEAD_BYTES, SMALL_BYTES, Cache

KIB = 1024
FRAMES = 8
"""How deep below a test its memory is looked for: other threads of the process take memory too."""


def score(n: int) -> Score:
    return Score("t3_a", f"u{n:04}", n)


def fill(cache: Cache, records: range, value_bytes: int = 100) -> None:
    for n in records:
        cache.put(score(n).key, score(n), value_bytes)


@pytest.fixture
def cache() -> Cache:
    """Room for about a hundred small records in both generations."""
    return Cache(100 * (100 + RECORD_OVERHEAD_BYTES + len(score(0).key)))


def test_what_was_put_last_is_found(cache: Cache) -> None:
    cache.put("score:t3_a:u0001", score(1), 100)
    cache.put("score:t3_a:u0001", score(2), 100)
    assert cache.hot["score:t3_a:u0001"] == score(2)
    assert len(cache) == 1


def test_it_never_holds_more_than_it_may(cache: Cache) -> None:
    for n in range(1000):
        fill(cache, range(n, n + 1))
        assert len(cache) <= 100


def test_what_is_used_stays(cache: Cache) -> None:
    fill(cache, range(1000))
    for n in range(1000, 2000):
        fill(cache, range(n, n + 1))
        cache.put(score(0).key, score(0), 100)
    assert score(0).key in cache.hot
    assert score(1).key not in cache.hot


def test_large_records_count_with_their_size(cache: Cache) -> None:
    fill(cache, range(1000), value_bytes=8 * KIB)
    assert len(cache) * 8 * KIB < 100 * KIB


def test_growing_records_count_again(cache: Cache) -> None:
    fill(cache, range(20))
    for n in range(20):
        fill(cache, range(n, n + 1), value_bytes=8 * KIB)
    assert len(cache) * 8 * KIB < 100 * KIB


def test_large_records_keep_their_size_when_they_are_used_again(cache: Cache) -> None:
    for first in range(0, 1000, 2):
        fill(cache, range(first, first + 2), value_bytes=8 * KIB)
        for key in list(cache.cold):
            if key in cache.cold:
                cache.put(key, cache.cold[key], cache.cold_bytes(key))
        assert len(cache) * 8 * KIB < 100 * KIB


def test_a_small_cold_record_has_no_size_of_its_own(cache: Cache) -> None:
    fill(cache, range(60), SMALL_BYTES)
    assert cache.cold
    assert cache.cold_bytes(next(iter(cache.cold))) == 0


def test_a_forgotten_record_is_in_no_generation(cache: Cache) -> None:
    fill(cache, range(60))
    for key in (next(iter(cache.cold)), next(iter(cache.hot))):
        cache.forget(key)
        assert key not in cache.hot
        assert key not in cache.cold
    cache.forget("score:t3_a:nobody")


def test_a_cleared_cache_is_empty_and_goes_on(cache: Cache) -> None:
    fill(cache, range(60))
    cache.clear()
    assert len(cache) == 0
    fill(cache, range(60))
    assert 0 < len(cache) <= 60


def test_a_working_set_larger_than_the_cache_works(open_store: Opener) -> None:
    store: Store = open_store(cache_bytes_max=64 * KIB)
    store.create_match("t3_a", subreddit="pics", rounds_total=1, theme="sunsets", created_by="mod")
    store.put_many({score(n).key: score(n) for n in range(1000)})
    for _ in range(2):
        assert [store.score("t3_a", f"u{n:04}").points for n in range(1000)] == list(range(1000))
    seen = store.statistics()
    assert seen.cache_misses >= 1000
    assert seen.cached_records * RECORD_OVERHEAD_BYTES <= seen.cache_bytes <= 64 * KIB


def test_the_hit_rate_is_that_of_the_reads(open_store: Opener) -> None:
    store: Store = open_store(cache_bytes_max=1024 * KIB)
    store.create_match("t3_a", subreddit="pics", rounds_total=1, theme="sunsets", created_by="mod")
    store.put_many({score(n).key: score(n) for n in range(100)})
    before = store.statistics()
    for _ in range(10):
        assert [store.score("t3_a", f"u{n:04}").points for n in range(100)] == list(range(100))
    seen = store.statistics()
    assert (seen.cache_reads - before.cache_reads, seen.cache_misses - before.cache_misses) == (1000, 100)
    assert seen.cache_hit_rate == 1 - seen.cache_misses / seen.cache_reads


RECORDS = {
    "scores": [score(n) for n in range(5_000)],
    "players": [Lifetime(f"u{n}", trophies=[f"trophy {n} {place}" for place in range(40)]) for n in range(500)],
    "rounds": [Round("t3_a", n, prompt_text=f"{n}" * 10_000) for n in range(100)],
}


@pytest.mark.parametrize("kind", RECORDS)
def test_what_it_says_it_takes_is_about_what_it_takes(kind: str) -> None:
    cache = Cache(16 * 1024 * KIB)
    encoded = {record.key: encode(record) for record in RECORDS[kind]}
    _check_id_text.cache_clear()  # what others left in it decides when its table grows
    gc.collect()
    tracemalloc.start(FRAMES)
    for key, value in encoded.items():
        cache.put(key, decode(key, value), len(value))
    taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, __file__, all_frames=True)])
    tracemalloc.stop()
    taken_bytes = sum(trace.size for trace in taken.traces)
    assert 0.5 < taken_bytes / cache.size_bytes < 1.2


def test_a_working_set_of_large_records_does_not_outgrow_the_cache(open_store: Opener) -> None:
    store: Store = open_store(cache_bytes_max=1024 * KIB)
    store.create_match("t3_a", subreddit="pics", rounds_total=64, theme="sunsets", created_by="mod")
    store.put_many({f"round:t3_a:{n}": Round("t3_a", n, prompt_text="x" * 60 * KIB) for n in range(64)})
    for reader in range(20):
        for n in range(64):
            assert store.round("t3_a", n % (8 + reader)).index == n % (8 + reader)
        assert store.statistics().cached_records * 60 * KIB <= 1024 * KIB
