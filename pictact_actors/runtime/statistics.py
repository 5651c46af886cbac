"""What a store is doing, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from pictact_actors.storage.recovery.aside import Recovery

COUNTED: Final = ("restarts", "quarantined", "waits", "deadlocks", "aborts", "retries")
"""What is counted of a shard since the store was opened; transactions count where they locked first."""


class Held(NamedTuple):
    """Records and boards in memory; look-ups of one record, and those of them that went to the engine."""

    records: int
    size_bytes: int
    reads: int
    misses: int
    hit_rate: float | None
    boards: int


@dataclass(frozen=True, slots=True)
class ShardStatistics:
    """One shard: first as it is now, then counts since the store was opened. A transaction counts where it locks first.

    A wait and a deadlock count where somebody found a group locked.
    """

    index: int
    in_flight: int
    """Messages admitted and not answered yet, at most `StoreConfig.in_flight_max`."""
    epoch: int
    """How often it had to forget what it staged."""
    queued: int
    """Messages of those that its actor has not begun to decide."""
    queue_age_s: float
    """For how long the oldest message in flight has been there, in seconds; 0 if there is none."""
    restarts: int
    """Actors that were replaced because they were dead or did not go on."""
    quarantined: int
    """Messages that stopped their actor twice and were refused."""
    waits: int
    """Times that a transaction, or a step over many groups, had to wait for locks."""
    deadlocks: int
    """Circles of such waits that were broken."""
    aborts: int
    """Transactions that ended without a commit, for whatever reason."""
    retries: int
    """Times that `transact` tried again."""


@dataclass(frozen=True, slots=True)
class LatencyStatistics:
    """How long one kind of work takes: a count since the store was opened, and percentiles of the last 5 to 10 s.

    They are None when there was none of late. Of many that were answered together a few are measured and stand for all.
    """

    name: str
    """A command, a query, or a phase of a write (`runtime/meter.py`)."""
    count: int
    recent: int
    """Those of the last 5 to 10 s."""
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class WaitStatistics:
    """One wait for locks, as people would tell it."""

    waiter: str
    """A transaction or a command over many groups."""
    wants: tuple[str, ...]
    """The groups it asked for, the first few of them."""
    behind: tuple[str, ...]
    """Who has them, or asked for them before."""
    age_s: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counters since the store was opened, and sizes now."""

    seq: int
    """The last sequence number: commits since the store was created."""
    commits: int
    """Commits that wrote something."""
    groups: int
    """Syncs; `commits / groups` is how many writes share one."""
    cached_records: int
    cache_bytes: int
    """What they take in memory, about; at most `StoreConfig.cache_bytes_max`."""
    cache_reads: int
    """Look-ups of one record, by readers and shards."""
    cache_misses: int
    """Those of them that went to the state on disk."""
    cache_hit_rate: float | None
    """The part of look-ups that did not; None before the first."""
    boards: int
    """Post leaderboards in memory."""
    size_bytes: int
    """Disk space in use, all of it: what follows and the ballast (room held for cleanup on a full disk)."""
    journal_bytes: int
    """Commits that are kept one by one."""
    base_bytes: int
    """What the commits before them led to."""
    base_seq: int
    """The last commit that is only in the base; 0 while all are kept."""
    state_bytes: int
    """Every record's latest value."""
    archive_bytes: int
    """Details of analytics that the store itself does not keep any more."""
    storage_full: str | None
    """Why writes get `StorageFull`, while they do."""
    failure: str | None
    """Why writes are refused until the store is reopened, if they are."""
    transactions: int
    """Transactions that hold or want locks now."""
    waiting: int
    """Transactions and steps over many groups that wait for locks now."""
    shards: tuple[ShardStatistics, ...]
    recoveries: tuple[Recovery, ...] = ()
    """Damages of the data directory that were healed when it was opened, now or before, oldest first."""
    damaged_bytes: int = 0
    """What was damaged and is kept for people to look at, the latest 16 of it (`damaged` in the data directory)."""
    scrubs: int = 0
    """How often everything was read again since the store was opened."""
    scrub_problems: int = 0
    """What was wrong the last time; see the log."""
    backup_bytes: int = 0
    """Backups in the data directory."""
    backup_seq: int | None = None
    """The last commit in the last good backup, of this process or in the configured place; None: none is known."""
    backup_age_s: float | None = None
    """How long ago that was taken."""
    uptime_s: float = 0.0
    """How long the store has been open."""
    write_p50_s: float | None = None
    """From sending a command to its answer, over all commands of the last 5 to 10 s; None: there was none."""
    write_p99_s: float | None = None
    read_p50_s: float | None = None
    """Of reads that are measured: look-ups that went to the state, leaderboards, reads of several records."""
    read_p99_s: float | None = None
    sync_p50_s: float | None = None
    sync_p99_s: float | None = None
    commands: tuple[LatencyStatistics, ...] = ()
    """Latency of writes by command."""
    queries: tuple[LatencyStatistics, ...] = ()
    """Latency of reads by query; look-ups of cached records are counted (`cache_reads`) and not measured."""
    phases: tuple[LatencyStatistics, ...] = ()
    """Where the time of writes goes, a batch of commands at a time."""
    blocked: tuple[WaitStatistics, ...] = ()
    """Who waits for whom, longest first, at most 100."""
    wake_lag_s: float = 0.0
    """How late a thread was that wanted to wake up, the longest of the last 5 to 10 s."""
    alarms: int = 0
    """Events that were logged because a limit of the game was missed."""
    cleanups: int = 0
    """Cleanups that removed something."""
    cleaned_matches: int = 0
    cleaned_records: int = 0
    """Everything they removed."""
    cleanup_age_s: float | None = None
    """How long ago the last one ended; None: there was none."""
    metrics_port: int | None = None
    """Where Prometheus finds the metrics, on 127.0.0.1."""
