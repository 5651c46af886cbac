"""What records were before they were written: from earlier commits that are kept, or from the base behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictact_actors.console.desk import Pace
from pictact_actors.model import keys
from pictact_actors.storage.engine import Changes, Entry

if TYPE_CHECKING:
    from pictact_actors.store import Store


class Former:
    """Follows the commits of a store from the oldest one that is kept. Holds no more than what those wrote."""

    def __init__(self, store: Store, pace: Pace) -> None:
        """Look up in the base what the kept commits wrote first. As long as this lives nothing of both is given up."""
        engine = store.runtime.engine
        self._latest: dict[str, bytes | None] = {}
        self._base: dict[str, bytes] = {}
        self._base_seq, self._unread = engine.folded()
        read_seq, records = engine.folded()
        while read_seq != self._base_seq:  # somebody folds just now
            self._base_seq, self._unread = read_seq, records
            read_seq, records = engine.folded()
        if self._base_seq:
            written = {key for entry in pace(store.entries()) for key in entry.changes if keys.is_public(key)}
            self._base = {key: value for key, value in pace(records) if key in written}

    def replaced(self, entry: Entry) -> Changes:
        """Return what the next commit replaced, None where there was nothing. A key is missing if nobody knows."""
        found = {key: self._before(key) for key in entry.changes if self._knows(key, entry.seq)}
        self._latest.update((key, value) for key, value in entry.changes.items() if keys.is_public(key))
        return found

    def _knows(self, key: str, seq: int) -> bool:
        """Whether it is known: the base may have gone on beyond a commit that is still kept."""
        return keys.is_public(key) and (seq > self._base_seq or key in self._latest)

    def _before(self, key: str) -> bytes | None:
        return self._latest[key] if key in self._latest else self._base.get(key)
