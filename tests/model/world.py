"""A world for the rules: records in a dict, a clock that stands still, and the verbs of a test."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pictact_actors.model import keys
from pictact_actors.model.commands import Command, CompleteMatch, CreateMatch
from pictact_actors.model.deciding import decide
from pictact_actors.model.records import Match, Record, Standing
from pictact_actors.model.rules import When, closing, open_match, settle, standings

NOW = 1_700_000_000.0
WEEK_S = 7 * 86_400.0


class World:
    """Keeps what commands decide, without a store."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.now = NOW
        self._mark = 0.0

    def get(self, key: str) -> Record | None:
        return self.records.get(key)

    def scan(self, prefix: str) -> Iterator[Record]:
        return (self.records[key] for key in sorted(self.records) if key.startswith(prefix))

    def keys(self, prefix: str, after: str | None) -> Iterator[str]:
        return (key for key in sorted(self.records) if key.startswith(prefix) and key > (after or ""))

    @property
    def when(self) -> When:
        return When(self.now, self._unique)

    def _unique(self) -> float:
        self._mark = max(self.now, math.nextafter(self._mark, math.inf))
        return self._mark

    def do(self, command: Command) -> object:
        outcome = decide(command.checked(), self, self.when)
        self.write(outcome.changes)
        return outcome.answer

    def changes(self, command: Command) -> Mapping[str, Record | None]:
        return decide(command.checked(), self, self.when).changes

    def write(self, changes: Mapping[str, Record | None]) -> None:
        for key, record in changes.items():
            if record is None:
                del self.records[key]
            else:
                self.records[key] = record

    def put(self, *records: Record) -> None:
        self.records.update({record.key: record for record in records})

    def create(self, post_id: str = "t3_a", **fields: object) -> object:
        given = {"subreddit": "pics", "rounds_total": 3, "theme": "sunsets", "created_by": "mod", **fields}
        return self.do(CreateMatch(post_id, **given))

    def complete(self, post_id: str = "t3_a", trophies: Mapping[str, Sequence[str]] | None = None) -> list[Standing]:
        """Complete an open match as the runtime does: the match, then everybody who played or won a trophy."""
        command = CompleteMatch(post_id, trophies=trophies or {}).checked()
        match = closing(open_match(self, post_id), self.now, WEEK_S)
        final = standings(self, post_id)
        places = {at.user: at for at in final}
        for user in {**places, **command.trophies}:
            found = self.get(keys.lifetime_key(user)), self.get(keys.history_key(user, post_id))
            lifetime, played = settle(*found, match, places.get(user), tuple(command.trophies.get(user, ())), user)
            self.put(lifetime, *([played] if played else []))
        self.put(match)
        return final

    def expire(self, post_id: str = "t3_a") -> None:
        """Forget a match as cleanup does: lifetimes and history stay."""
        self.records = {
            key: record for key, record in self.records.items() if keys.parse(key).group != f"match:{post_id}"
        }

    def match(self, post_id: str = "t3_a") -> Match:
        found = self.records[f"match:{post_id}"]
        assert isinstance(found, Match)
        return found
