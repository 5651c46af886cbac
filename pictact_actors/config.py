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
_SWITCHES = ("observation_archive", "console", "spans")
_OPTIONAL = ("storage_bytes_max", "backup_interval_s", "backup_directory", "metrics_port")
PORT_MAX = 65_535
STORAGE_BYTES_MIN = MIB
_STORAGE_PARTS = 16
"""A journal segment and LevelDB's buffer are at most this part of `storage_bytes_max`, the journal two of them."""
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
    match_idle_s: float = 90 * DAY_S
    """From the last change of a match that is never completed to its expiry."""
    request_expiry_s: float = 7 * DAY_S
    """How long the answer to a user's request is kept; a match's go with the match."""
    observation_expiry_s: float = 30 * DAY_S
    """From an observation to the archive."""
    observation_archive: bool = True
    """Whether details go to the archive; otherwise they are removed. A store in memory has none."""
    audit_expiry_s: float = 400 * DAY_S
    """How long the audit remembers what was removed."""
    audit_entries_min: int = 1_000
    """The latest entries of the audit stay however old they are: a store of old data can still be asked about it."""
    cleanup_interval_s: float = 1.0
    """How often the janitor looks for what is due."""
    cleanup_step: int = 256
    """Records that one step of a cleanup removes."""
    clock_jump_max_s: float = 3_600.0
    """A wall clock that is ahead by more at once is not believed until it is confirmed. Injected clocks always are."""
    clock_confirm_s: float = 60.0
    """When a second look has to confirm such a jump."""
    cache_bytes_max: int = 64 * MIB
    """Committed records held decoded in memory."""
    board_players_max: int = 1_000_000
    """Players on all post leaderboards in memory; the least recently used board goes first."""
    board_idle_s: float = 600.0
    """How long a post's leaderboard stays in memory that nobody reads."""
    storage_bytes_max: int | None = None
    """Disk space of the whole directory, with the archive; None: what the disk has. At 80 % a cleanup runs at once, at
    100 % writes get `StorageFull` while reads, deletes and cleanup go on."""
    journal_bytes_max: int = 64 * MIB
    """Journal kept commit by commit, at most 1/8 of `storage_bytes_max`; beyond it the older half is folded."""
    journal_segment_bytes: int = 16 * MIB
    """Preallocated size of a journal segment; at most 1/16 of `storage_bytes_max`."""
    scrub_interval_s: float = DAY_S
    """How often everything that is stored is read again and compared."""
    scrub_bytes_per_s: float = 4 * MIB
    """How fast that is read."""
    backup_interval_s: float | None = None
    """How often a backup is taken; None: only when somebody asks for one."""
    backups_kept: int = 7
    """The latest backups in the configured place stay; what only older ones need goes."""
    backup_directory: str | None = None
    """Where scheduled backups go; None: to `backups` in the data directory. Another disk is better."""
    read_alarm_s: float = 0.1
    """A read that takes longer is told in the log (requirements 1.4, 9.1)."""
    write_alarm_s: float = 0.2
    """The same for a write, from sending to its answer (requirement 9.2)."""
    stall_alarm_s: float = 5.0
    """The same for a write or a wait for locks that has not ended yet (requirement 6.4)."""
    alarm_pause_s: float = 10.0
    """Between two such events of one kind; the second says how many came between."""
    metrics_port: int | None = None
    """Where Prometheus finds metrics, on 127.0.0.1 only; 0: any free port (see `statistics`), None: nowhere."""
    spans: bool = False
    """Whether commands and `transact` are OpenTelemetry spans; needs the package `opentelemetry-api`."""
    state_pending_max: int = 65_536
    """Committed changes that may wait for the state; bounds replay at open and memory."""
    state_buffer_bytes: int = 8 * MIB
    """LevelDB's write buffer; at most 1/16 of `storage_bytes_max`."""
    state_cache_bytes: int = 8 * MIB
    """LevelDB's block cache."""

    console: bool = True
    """Whether `pictact` in another process can look into the running store, through a socket in the data directory."""

    @property
    def segment_bytes(self) -> int:
        """Size of a journal segment under the storage limit."""
        return self._part_of_storage(self.journal_segment_bytes)

    @property
    def kept_journal_bytes(self) -> int:
        """Size of the journal that is kept under the storage limit."""
        return self._part_of_storage(self.journal_bytes_max, parts=2)

    @property
    def buffer_bytes(self) -> int:
        """Size of LevelDB's write buffer under the storage limit."""
        return self._part_of_storage(self.state_buffer_bytes)

    @property
    def ballast_bytes(self) -> int:
        """Room that is held for cleanup on a full disk, at the most.

        A segment for deletes, two for giving back what they replace, and what LevelDB needs to be opened again.
        """
        return 3 * self.segment_bytes + 2 * self.buffer_bytes

    def _part_of_storage(self, size_bytes: int, parts: int = 1) -> int:
        limit = self.storage_bytes_max
        return size_bytes if limit is None else min(size_bytes, limit * parts // _STORAGE_PARTS)

    @property
    def periods(self) -> tuple[float, float, float]:
        """How long a match, an idle match and the answer to a request live."""
        return self.match_expiry_s, self.match_idle_s, self.request_expiry_s

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if name in _SWITCHES:
                _require(isinstance(value, bool), name, value, "must be True or False")
                continue
            if name in _OPTIONAL and value is None:
                continue
            if name == "backup_directory":
                _require(
                    isinstance(value, str) and bool(value), name, value, "must be the name of a directory, or None"
                )
                continue
            if name == "metrics_port":
                is_port = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= PORT_MAX
                _require(is_port, name, value, f"must be a port, 0 to {PORT_MAX}, or None")
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InvalidValue(name, value, "must be a positive number")
            if name.endswith(("_max", "_min", "_bytes", "_step", "_kept", "shards")) and not isinstance(value, int):
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
            self.storage_bytes_max is None or self.storage_bytes_max >= STORAGE_BYTES_MIN,
            "storage_bytes_max",
            self.storage_bytes_max,
            f"must be at least {STORAGE_BYTES_MIN}, or None",
        )
        _require(
            self.commit_bytes_max < 2**31, "commit_bytes_max", self.commit_bytes_max, "must be below 2 GiB: one frame"
        )


def _require(condition: bool, name: str, value: object, reason: str) -> None:  # noqa: FBT001 - the condition itself
    if not condition:
        raise InvalidValue(name, value, reason)
