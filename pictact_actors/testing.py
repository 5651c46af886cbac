"""Tools for hosts that test their games: a store in memory has the same rules, and time that they move themselves.

`cleanup()` does at once what is due, so a test need not wait for the janitor; what is due is gone either way.

>>> from pictact_actors import NotFound, Store
>>> clock = ManualClock(1_700_000_000)
>>> with Store.open(":memory:", clock=clock) as store:
...     _ = store.create_match("t3_abc", subreddit="pics", rounds_total=1, theme="sunsets", created_by="mod")
...     _ = store.award_points("t3_abc", "ann", 10)
...     _ = store.complete_match("t3_abc")
...     clock.advance(7 * 86_400)
...     try:
...         store.match("t3_abc")
...     except NotFound:
...         print("the match is gone,", store.cleanup().records, "records were removed")
...     print("ann has", store.lifetime("ann").total_points, "points for ever")
the match is gone, 2 records were removed
ann has 10 points for ever
"""

from __future__ import annotations

import threading

from pictact_actors.errors import InvalidValue


class ManualClock:
    """A clock that moves when it is told to.

    >>> clock = ManualClock(1_000.0)
    >>> clock.advance(60)
    >>> clock.now()
    1060.0
    """

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._now = now

    def now(self) -> float:
        """Epoch seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward. Raises `InvalidValue` for negative seconds."""
        if seconds < 0:
            raise InvalidValue("seconds", seconds, "must not be negative; set() can jump back")
        with self._lock:
            self._now += seconds

    def set(self, ts: float) -> None:
        """Jump to a time; a store holds its own clock when this one jumps back."""
        with self._lock:
            self._now = ts
