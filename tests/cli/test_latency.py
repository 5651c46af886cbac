from __future__ import annotations

from pictact_actors.cli.latency import READ_LIMIT_MS, WRITE_LIMIT_MS, Stopwatch, merged


def watch(operation: str, limit_ms: float, *elapsed_s: float) -> Stopwatch:
    stopwatch = Stopwatch()
    for one_s in elapsed_s:
        stopwatch.record(operation, limit_ms, one_s)
    return stopwatch


def test_percentiles_are_in_milliseconds() -> None:
    (latency,) = watch("score", READ_LIMIT_MS, *(n / 1000 for n in range(1, 101))).latencies()
    assert latency.count == 100
    assert abs(latency.p50_ms - 50) < 0.5
    assert abs(latency.p95_ms - 95) < 0.5
    assert abs(latency.max_ms - 100) < 0.5


def test_a_limit_is_kept_when_95_percent_are_within_it() -> None:
    (kept,) = watch("score", READ_LIMIT_MS, *[0.001] * 95, *[0.5] * 5).latencies()
    (missed,) = watch("score", READ_LIMIT_MS, *[0.001] * 94, *[0.5] * 6).latencies()
    assert kept.is_kept
    assert not missed.is_kept


def test_the_watches_of_several_threads_add_up() -> None:
    total = merged([watch("score", READ_LIMIT_MS, 0.001), watch("score", READ_LIMIT_MS, 0.001, 0.002)])
    assert [latency.count for latency in total.latencies()] == [3]


def test_reads_come_before_writes() -> None:
    total = merged([watch("award_points", WRITE_LIMIT_MS, 0.1), watch("score", READ_LIMIT_MS, 0.1)])
    assert [latency.operation for latency in total.latencies()] == ["score", "award_points"]


def test_times_beyond_the_scale_count_as_the_longest() -> None:
    (latency,) = watch("score", READ_LIMIT_MS, 0.0, 1e9).latencies()
    assert latency.count == 2
    assert abs(latency.max_ms - 60_000) < 100
