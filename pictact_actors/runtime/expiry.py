"""Which posts are due. They are gone for readers and commands from that second on, removed or not.

The index of due times is looked into once something in it is due, so a read costs one look at the clock. `gone` and
`next_due` are read without the lock: a post enters `gone` once and leaves it with the commit that removes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from pictact_actors.clock import StoreClock
from pictact_actors.config import StoreConfig
from pictact_actors.model.indexes import due_parts
from pictact_actors.model.records import Record
from pictact_actors.model.removal import goes_with
from pictact_actors.storage.engine import Engine

if TYPE_CHECKING:
    from pictact_actors.runtime.committed import Committed

_NEVER: Final = float("inf")


def nothing(_key: str) -> bool:
    """Hide nothing: no post is due."""
    return False


class Expiry:
    """The posts that are due and not removed yet."""

    def __init__(self, engine: Engine, clock: StoreClock, config: StoreConfig) -> None:
        self._engine = engine
        self._clock = clock
        self._periods_s = {"completed": 0.0, "cancelled": config.match_expiry_s}
        self._found: dict[str, str] = {}
        self._lock = threading.Lock()
        self.wall_time = clock.reading
        self.gone: set[str] = set()
        self.next_due = 0.0
        """When there is something new to find (epoch s); at first at once."""

    def look(self) -> None:
        """Find what has become due."""
        now = self._clock.now()
        with self._lock:
            next_due = _NEVER
            for basis, period_s in self._periods_s.items():
                for key, _ in self._engine.scan(f"due:{basis}:", self._found.get(basis)):
                    _, time, post_id = due_parts(key)
                    if time + period_s > now:
                        next_due = min(next_due, time + period_s)
                        break
                    self.gone.add(post_id)
                    self._found[basis] = key
            self.next_due = next_due

    def hides(self, key: str) -> bool:
        """Whether a record belongs to a post that is due."""
        return goes_with(self.gone, key)

    def at_this_moment(self) -> Callable[[str], bool]:
        """Return `hides` as it is now: for who reads on while what is due is removed, and made anew."""
        with self._lock:
            gone = frozenset(self.gone)
        return partial(goes_with, gone) if gone else nothing

    def published(self, key: str, value: bytes | None) -> None:
        """Follow a change of the index."""
        basis, time, post_id = due_parts(key)
        period_s = self._periods_s.get(basis)
        if period_s is None:
            return
        with self._lock:
            if value is None:
                self.gone.discard(post_id)
            else:
                self.next_due = min(self.next_due, time + period_s)
                if key <= self._found.get(basis, ""):
                    del self._found[basis]  # it is due for longer than the last one found

    def forget(self) -> None:
        """Look again at everything: another host has written."""
        with self._lock:
            self.gone.clear()
            self._found.clear()
            self.next_due = 0.0


class WithWhatIsDue:
    """A view of what is committed that shows what is due as well."""

    def __init__(self, committed: Committed) -> None:
        self.get = committed.get_due
        self._scan = committed.scan_due
        self._stored = committed.stored

    def scan(self, prefix: str) -> Iterator[Record]:
        """Yield the records under a prefix."""
        return (record for _, record in self._scan(prefix))

    def keys(self, prefix: str, after: str | None) -> Iterator[str]:
        """Yield the keys under a prefix, behind `after`."""
        return (key for key, _ in self._stored(prefix, after))
