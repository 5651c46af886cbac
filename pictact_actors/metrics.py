"""Metrics for Prometheus: what `statistics()` tells, and latencies as histograms. The only importer of its client.

Nothing is kept here: the figures are put together when somebody asks for them. Each store has a registry of its own,
so that several in one process do not meet, nor the host's metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pictact_actors.runtime.histogram import Histogram
from pictact_actors.runtime.runtime import Runtime
from pictact_actors.runtime.statistics import COUNTED, ShardStatistics, Statistics
from pictact_actors.serving import MetricsServer

COUNTERS: Final = {
    "commits": "Commits that wrote something.",
    "groups": "Commit groups: syncs.",
    "cache_reads": "Look-ups of one record.",
    "cache_misses": "Those of them that went to the state on disk.",
    "scrubs": "Times that everything was read again.",
    "alarms": "Events that were logged because a limit of the game was missed.",
    "cleanups": "Cleanups that removed something.",
    "cleaned_matches": "Matches that cleanup removed.",
    "cleaned_records": "Records that cleanup removed.",
}
"""Fields of `Statistics` that only grow while the store is open; each is `pictact_NAME_total`."""
GAUGES: Final = {
    "seq": ("seq", "The last sequence number."),
    "uptime_s": ("uptime_seconds", "How long the store has been open."),
    "cached_records": ("cached_records", "Records held decoded in memory."),
    "cache_bytes": ("cache_bytes", "What they take in memory, about."),
    "cache_hit_rate": ("cache_hit_ratio", "The part of look-ups that was answered from memory, since the opening."),
    "boards": ("boards", "Post leaderboards in memory."),
    "size_bytes": ("storage_used_bytes", "Disk space in use, all of it."),
    "transactions": ("transactions", "Transactions that hold or want locks."),
    "waiting": ("waiting", "Transactions and commands over many groups that wait for locks."),
    "scrub_problems": ("scrub_problems", "What was wrong when everything was read again the last time."),
    "backup_seq": ("backup_seq", "The last commit in the last good backup."),
    "backup_age_s": ("backup_age_seconds", "How long ago that was taken."),
    "cleanup_age_s": ("cleanup_age_seconds", "How long ago the last cleanup ended that removed something."),
    "wake_lag_s": ("wake_lag_seconds", "How late a thread woke up, the longest of the last 5 to 10 s."),
}
"""Fields of `Statistics` that go up and down, with their names and what they are; None is left out."""
FLAGS: Final = {
    "storage_full": "Whether writes get StorageFull.",
    "failure": "Whether writes are refused until the store is reopened.",
}
PARTS: Final = ("journal", "base", "state", "archive", "backup", "damaged")
"""Parts of the data directory, as `Statistics` has their sizes."""

SHARDS: Final = {
    "in_flight": "Messages admitted and not answered yet.",
    "queued": "Messages of those that the actor has not begun to decide.",
    "queue_age_s": "For how long the oldest message in flight has been there.",
    "epoch": "How often it had to forget what it staged.",
    "restarts": "Actors that were replaced.",
    "quarantined": "Messages that stopped their actor twice and were refused.",
    "waits": "Waits for locks.",
    "deadlocks": "Circles of waits that were broken.",
    "aborts": "Transactions that ended without a commit.",
    "retries": "Times that a transaction was tried again.",
}
"""Fields of `ShardStatistics`: what counts is a counter, the others are gauges."""


def serving(runtime: Runtime, statistics: Callable[[], Statistics], port: int) -> MetricsServer:
    """Serve a store's metrics on a port of 127.0.0.1, 0 for any free one. Raises `InvalidValue` if it is taken."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(runtime, statistics))
    return MetricsServer(port, make_wsgi_app(registry))


class StoreCollector(Collector):
    """Everything that is known of one store, as it is when it is asked."""

    def __init__(self, runtime: Runtime, statistics: Callable[[], Statistics]) -> None:
        self._runtime = runtime
        self._statistics = statistics

    def describe(self) -> list[Metric]:
        """Promise nothing: to be registered takes no look at the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        found, meter, reads = self._statistics(), self._runtime.committer.meter, self._runtime.reads
        for name, told in COUNTERS.items():
            yield CounterMetricFamily(f"pictact_{name}", told, getattr(found, name))
        for field, (name, told) in GAUGES.items():
            value = getattr(found, field)
            if value is not None:
                yield GaugeMetricFamily(f"pictact_{name}", told, value)
        for field, told in FLAGS.items():
            yield GaugeMetricFamily(f"pictact_{field}", told, float(getattr(found, field) is not None))
        yield _storage(found)
        yield from _shards(found.shards)
        yield _histograms("write_seconds", "From sending a command to its answer.", "command", meter.commands)
        yield _histograms("write_phase_seconds", "Where the time of writes goes, by batch.", "phase", meter.phases)
        yield _histograms("read_seconds", "Reads but look-ups of cached records.", "query", reads.queries)
        yield _group_commits(meter.group_commits)


def _storage(found: Statistics) -> Metric:
    family = GaugeMetricFamily("pictact_storage_bytes", "Disk space in use by what it is for.", labels=["part"])
    for part in PARTS:
        family.add_metric([part], getattr(found, f"{part}_bytes"))
    return family


def _shards(shards: tuple[ShardStatistics, ...]) -> Iterator[Metric]:
    for name in (name for name in SHARDS if name not in COUNTED):
        shown = name.replace("_age_s", "_age_seconds")
        family = GaugeMetricFamily(f"pictact_shard_{shown}", SHARDS[name], labels=["shard"])
        for shard in shards:
            family.add_metric([str(shard.index)], getattr(shard, name))
        yield family
    for name in COUNTED:
        counts = CounterMetricFamily(f"pictact_shard_{name}", SHARDS[name], labels=["shard"])
        for shard in shards:
            counts.add_metric([str(shard.index)], getattr(shard, name))
        yield counts


def _histograms(name: str, told: str, label: str, found: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(f"pictact_{name}", told, labels=[label])
    for title, histogram in tuple(found.items()):
        family.add_metric([title], _buckets(histogram), histogram.total)
    return family


def _group_commits(histogram: Histogram) -> Metric:
    family = HistogramMetricFamily("pictact_group_commits", "Commits that share one sync.", labels=[])
    family.add_metric([], _buckets(histogram), histogram.total)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    shown = histogram.shown()
    return [*((repr(bound), count) for bound, count in shown[:-1]), ("+Inf", shown[-1][1])]
