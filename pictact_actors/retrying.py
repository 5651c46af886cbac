"""When and how often an aborted transaction is tried again: capped exponential backoff with full jitter.

Full jitter spreads those who met in a conflict best (M. Brooker, "Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)

from pictact_actors.errors import ConflictAborted, DeadlockAborted, ShardRestarted

FIRST_PAUSE_S = 0.002
"""The longest pause before the second attempt; it doubles with each attempt."""
PAUSE_S_MAX = 0.25


def retrying(timeout_s: float, on_retry: Callable[[], None]) -> Retrying:
    """Return what calls a function until it is not aborted, or the next pause would go beyond `timeout_s`."""
    return Retrying(**_policy(timeout_s, on_retry))


def async_retrying(timeout_s: float, on_retry: Callable[[], None]) -> AsyncRetrying:
    """Return the same for coroutine functions."""
    return AsyncRetrying(**_policy(timeout_s, on_retry))


def _policy(timeout_s: float, on_retry: Callable[[], None]) -> dict[str, Any]:
    def count(_state: RetryCallState) -> None:
        on_retry()

    return {
        "retry": retry_if_exception_type((ConflictAborted, DeadlockAborted, ShardRestarted)),
        "wait": wait_random_exponential(multiplier=FIRST_PAUSE_S, max=PAUSE_S_MAX),
        "stop": stop_before_delay(timeout_s),
        "before_sleep": count,
        "reraise": True,
    }
