"""Every limit of the store in one place, with its unit in its name, checked together once."""

from __future__ import annotations

from dataclasses import dataclass

from pictact_actors.errors import InvalidValue

DAY_S = 86_400.0
MIB = 1024 * 1024
SHARDS_MAX = 256
HOLD_S_MAX = 5.0
"""Nobody holds others up for longer (promise 3)."""
PAGE_BYTES = 4096
PERIOD_S_MAX = 36_500 * DAY_S
"""A hundred years: what every timer and every time of the store can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Limits and periods of one store. Raises `InvalidValue` when they contradict each other.

    >>> StoreConfig(shards=2).request_timeout_s
    5.0
    """

    shards: int = 4
    """Actors that share the keys. More isolate, they do not speed up (one interpreter lock)."""
    request_timeout_s: float = 5.0
    """How long a caller waits for room and an answer, unless it says otherwise."""
    crossing_timeout_s: float = 60.0
    """The same for steps over many groups: completing a match, `put_many`."""
    lease_s: float = 3.0
    """How long a transaction may hold locks, at most 5 s; then it is cancelled and its commit refused."""
    transactions_max: int = 4_096
    """Transactions that hold locks at the same time."""
    wedged_after_s: float = 1.5
    """An actor that is busy for so long without any progress is replaced. Waits for the disk do not count."""
    restarts_max: int = 5
    """Restarts of a shard within `restart_window_s`; one more, and it stays down until the store is reopened."""
    restart_window_s: float = 60.0
    """How long a restart counts."""
    quarantine_max: int = 100
    """Messages kept for inspection that stopped their shard twice; the oldest goes first."""
    drain_timeout_s: float = 10.0
    """How long `close` lets work in flight finish."""
    in_flight_max: int = 16_384
    """Writes admitted per shard and not yet answered; beyond it callers wait, then get `Overloaded`."""
    commit_group_max: int = 4_096
    """Writes that share one sync at the most."""
    commit_bytes_max: int = 256 * MIB
    """Encoded size of one atomic step (a `put_many`, a completed match)."""
    match_expiry_s: float = 7 * DAY_S
    """From completion of a match to its expiry (requirement 1.5)."""
    cache_bytes_max: int = 64 * MIB
    """Committed records held decoded in memory."""
    board_players_max: int = 1_000_000
    """Players on all post leaderboards in memory; the least recently used board goes first."""
    journal_segment_bytes: int = 16 * MIB
    """Preallocated size of a journal segment."""
    state_pending_max: int = 65_536
    """Committed changes that may wait for the state; bounds replay at open and memory."""
    state_buffer_bytes: int = 8 * MIB
    """LevelDB's write buffer."""
    state_cache_bytes: int = 8 * MIB
    """LevelDB's block cache."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InvalidValue(name, value, "must be a positive number")
            if name.endswith(("_max", "_bytes", "shards")) and not isinstance(value, int):
                raise InvalidValue(name, value, "must be a whole number")
            _require(not name.endswith("_s") or value <= PERIOD_S_MAX, name, value, "must be at most 100 years")
        _require(self.shards <= SHARDS_MAX, "shards", self.shards, f"must be at most {SHARDS_MAX}")
        _require(
            self.commit_group_max <= self.in_flight_max * self.shards,
            "commit_group_max",
            self.commit_group_max,
            "must not exceed what can be in flight (in_flight_max * shards)",
        )
        for name in ("lease_s", "wedged_after_s"):
            _require(getattr(self, name) <= HOLD_S_MAX, name, getattr(self, name), f"must be at most {HOLD_S_MAX:g}")
        _require(
            self.journal_segment_bytes >= PAGE_BYTES,
            "journal_segment_bytes",
            self.journal_segment_bytes,
            f"must be at least {PAGE_BYTES}: one page",
        )
        _require(
            self.commit_bytes_max < 2**31, "commit_bytes_max", self.commit_bytes_max, "must be below 2 GiB: one frame"
        )


def _require(condition: bool, name: str, value: object, reason: str) -> None:  # noqa: FBT001 - the condition itself
    if not condition:
        raise InvalidValue(name, value, reason)
