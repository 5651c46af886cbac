"""Structured events, one per unit of work; the names of all events are here.

Levels are a contract: INFO is the life of a store (opened, recovered, closed), WARNING is what the store handled by
itself but an operator should know (torn tail cut, full disk), ERROR is what it could not handle (failed).
Events go to the standard logger `pictact_actors` as JSON; the host's logging set-up decides where they end.
Logging never decides the fate of a write: a log call that raises is counted, not propagated.
"""

from __future__ import annotations

import logging

import structlog

STORE_OPENED = "store_opened"
STORE_CLOSED = "store_closed"
STORE_FAILED = "store_failed"
TORN_TAIL_CUT = "torn_tail_cut"
STORAGE_FULL = "storage_full"
STATE_WRITE_FAILED = "state_write_failed"
DRAIN_INCOMPLETE = "drain_incomplete"
LEASE_EXPIRED = "lease_expired"
NOTICE_FAILED = "notice_failed"
SUPERVISOR_FAILED = "supervisor_failed"
SHARD_RESTARTED = "shard_restarted"
SHARD_WEDGED = "shard_wedged"
SHARD_FAILED = "shard_failed"
MESSAGE_QUARANTINED = "message_quarantined"
SCRUBBED = "scrubbed"
SCRUB_FOUND = "scrub_found"
SCRUB_FAILED = "scrub_failed"
BACKUP_TAKEN = "backup_taken"
BACKUP_FAILED = "backup_failed"
BACKUP_LACKS = "backup_lacks"
STORE_RESTORED = "store_restored"
CLEANED_UP = "cleaned_up"
CLEANUP_FAILED = "cleanup_failed"
ARCHIVE_DAMAGED = "archive_damaged"
JOURNAL_FOLDED = "journal_folded"
JOURNAL_SHORTENED = "journal_shortened"
BASE_MERGED = "base_merged"
STATE_COMPACTED = "state_compacted"
STATE_REBUILT = "state_rebuilt"
STATE_DAMAGED = "state_damaged"
TRUTH_DAMAGED = "truth_damaged"
STATE_NOT_MENDED = "state_not_mended"
STORE_RECOVERED = "store_recovered"
STORAGE_TIGHT = "storage_tight"
STORAGE_RESUMED = "storage_resumed"
RECLAIM_FAILED = "reclaim_failed"
RULE_FAILED = "rule_failed"
CONSOLE_UNAVAILABLE = "console_unavailable"
CONSOLE_FAILED = "console_failed"
LIMIT_MISSED = "limit_missed"
STALLED = "stalled"
ALARMS_FAILED = "alarms_failed"
METRICS_FAILED = "metrics_failed"
CLOCK_HELD = "clock_held"
CLOCK_JUMPED = "clock_jumped"
CLOCK_CONFIRMED = "clock_confirmed"
CLOCK_CAME_BACK = "clock_came_back"

_logger = structlog.wrap_logger(
    logging.getLogger("pictact_actors"),
    wrapper_class=structlog.stdlib.BoundLogger,
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=repr),
    ],
)

dropped = 0
"""Events lost because logging itself failed."""


def info(event: str, /, **fields: object) -> None:
    """Log the ordinary life of a store."""
    _emit(logging.INFO, event, fields)


def warning(event: str, /, **fields: object) -> None:
    """Log what the store dealt with, but somebody should look at."""
    _emit(logging.WARNING, event, fields)


def error(event: str, /, **fields: object) -> None:
    """Log what the store could not deal with."""
    _emit(logging.ERROR, event, fields)


def _emit(level: int, event: str, fields: dict[str, object]) -> None:
    global dropped  # noqa: PLW0603 - one counter for the process, read by tests and statistics
    try:
        _logger.log(level, event, **fields)
    except Exception:  # noqa: BLE001 - a full disk or a hostile __repr__ must not fail a write
        dropped += 1
