"""What a store is doing, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardStatistics:
    """One shard."""

    index: int
    in_flight: int
    """Writes admitted and not answered yet."""
    epoch: int
    """How often it had to forget what it staged."""


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
    cache_misses: int
    boards: int
    """Post leaderboards in memory."""
    size_bytes: int
    """Disk space in use."""
    failure: str | None
    """Why writes are refused, if they are."""
    shards: tuple[ShardStatistics, ...]
