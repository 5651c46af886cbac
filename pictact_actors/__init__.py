"""An actor-based concurrent store for PicTact matches, embedded in the game host's process.

>>> from pictact_actors import Store, AwardPoints
>>> with Store.open(":memory:") as store:
...     _ = store.create_match("t3_abc", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
...     _ = store.ask(AwardPoints("t3_abc", "bob", 5)).get()
...     store.leaderboard("t3_abc")
[Standing(rank=1, user='bob', points=5, wins=0, matches_played=None)]
"""

from pictact_actors.aio import AsyncStore
from pictact_actors.aio_transaction import AsyncTransaction
from pictact_actors.config import StoreConfig
from pictact_actors.errors import (
    AlreadyExists,
    BackupInvalid,
    CommitFailed,
    ConflictAborted,
    DeadlockAborted,
    EntriesGone,
    InvalidKey,
    InvalidValue,
    MatchClosed,
    NotAStore,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    Quarantined,
    Rejected,
    RequestTimeout,
    ShardFailed,
    ShardRestarted,
    StorageFull,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFailed,
    StoreLocked,
)
from pictact_actors.janitor import CleanupReport
from pictact_actors.model.commands import (
    AddTrophy,
    AwardPoints,
    CancelMatch,
    CloseRound,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    RecordAnalytics,
    UpdateMatch,
    UpdateRound,
)
from pictact_actors.model.records import (
    Analytics,
    Audit,
    Lifetime,
    Match,
    Observation,
    PlayedMatch,
    Player,
    Round,
    Score,
    Standing,
)
from pictact_actors.model.summary import AnalyticsSummary
from pictact_actors.runtime.feed import Change
from pictact_actors.runtime.statistics import Statistics
from pictact_actors.storage.backup.manifest import BackupInfo
from pictact_actors.storage.backup.restoring import RestoreReport
from pictact_actors.store import Store
from pictact_actors.transaction import Transaction

__all__ = [
    "AddTrophy",
    "AlreadyExists",
    "Analytics",
    "AnalyticsSummary",
    "AsyncStore",
    "AsyncTransaction",
    "Audit",
    "AwardPoints",
    "BackupInfo",
    "BackupInvalid",
    "CancelMatch",
    "Change",
    "CleanupReport",
    "CloseRound",
    "CommitFailed",
    "CompleteMatch",
    "ConflictAborted",
    "CreateMatch",
    "CreateRound",
    "DeadlockAborted",
    "EntriesGone",
    "InvalidKey",
    "InvalidValue",
    "Lifetime",
    "Match",
    "MatchClosed",
    "NotAStore",
    "NotFound",
    "Observation",
    "OutcomeUnknown",
    "Overloaded",
    "PlayedMatch",
    "Player",
    "Quarantined",
    "RecordAnalytics",
    "Rejected",
    "RequestTimeout",
    "RestoreReport",
    "Round",
    "Score",
    "ShardFailed",
    "ShardRestarted",
    "Standing",
    "Statistics",
    "StorageFull",
    "Store",
    "StoreClosed",
    "StoreConfig",
    "StoreDamaged",
    "StoreError",
    "StoreFailed",
    "StoreLocked",
    "Transaction",
    "UpdateMatch",
    "UpdateRound",
]
