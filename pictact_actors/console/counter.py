"""The desk of a store in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pictact_actors.console.desk import Commit, Fields, Pace
from pictact_actors.console.former import Former
from pictact_actors.model import codec, keys
from pictact_actors.model.ranking import LIFETIME_ORDERS
from pictact_actors.model.records import camel
from pictact_actors.model.validate import check_id
from pictact_actors.storage.engine import Changes, Entry

if TYPE_CHECKING:
    from pictact_actors.store import Store


class StoreDesk:
    """Asks a store. What may take long it reads at the pace of whoever asked."""

    def __init__(self, store: Store, pace: Pace) -> None:
        self._store = store
        self._pace = pace

    def get(self, key: str) -> Fields:
        """Return a record. Raises `NotFound`, `InvalidKey`."""
        return self._store.get(key).to_dict()

    def leaderboard(self, post_id: str | None, by: str | None, limit: int, offset: int) -> Sequence[Fields]:
        """Return a page of a match's board, or of all players'. Raises `NotFound`."""
        if post_id is not None:
            board = self._store.leaderboard(post_id, limit, offset)
        else:
            board = self._store.lifetime_leaderboard(by or LIFETIME_ORDERS[0], limit, offset)
        return [standing.to_dict() for standing in self._pace(board)]

    def player(self, user: str) -> Fields:
        """Return a player. Raises `NotFound`."""
        return self._store.player(user).to_dict()

    def log(self, from_seq: int | None, key: str | None, user: str | None) -> Iterator[Commit]:
        """Yield commits. Raises `EntriesGone`, and `InvalidKey` for what nobody can have written."""
        if key is not None:
            keys.parse(key)
        if user is not None:
            check_id(user)
        self._store.entries(from_seq)  # raises if that is not kept any more
        former = Former(self._store, self._pace)
        for entry in self._pace(self._store.entries()):
            replaced = former.replaced(entry)
            if entry.seq >= (from_seq or 0):
                commit = _commit(entry, replaced)
                if not (key or user) or chosen(commit, key, user):
                    yield commit

    def stats(self) -> Fields:
        """Return the figures of the store; None where there is no such figure."""
        return {camel(name): _camel_names(value) for name, value in asdict(self._store.statistics()).items()}

    def check(self) -> Sequence[Fields]:
        """Return what does not fit together."""
        return [problem.to_dict() for problem in self._store.check()]

    def backup(self, directory: str | None) -> Fields:
        """Take a backup. Raises `StorageFull`, `BackupInvalid`."""
        return self._store.backup(directory).to_dict()

    def cleanup(self) -> Fields:
        """Remove what is due. Raises `StorageFull`, `StoreDamaged`."""
        return self._store.cleanup().to_dict()

    def audit(self, since: float | None, limit: int | None) -> Iterator[Fields]:
        """Yield what was removed."""
        for entry in self._pace(self._store.audit(since=since, limit=limit)):
            yield entry.to_dict()


def chosen(commit: Commit, key: str | None, user: str | None) -> list[str]:
    """Return the keys that a commit wrote and that were asked for."""
    written = list(commit.records) if key is None else [key] * (key in commit.records)
    return written if user is None else [one for one in written if _is_of(user, one)]


def _is_of(user: str, key: str) -> bool:
    kind, *ids = key.split(":")
    return user in {keys.LIFETIME: ids[:1], keys.HISTORY: ids[:1], keys.SCORE: ids[1:]}.get(kind, [])


def _commit(entry: Entry, replaced: Changes) -> Commit:
    return Commit(entry.seq, entry.ts, entry.cause, entry.request_id, _decoded(entry.changes), _decoded(replaced))


def _decoded(changes: Changes) -> dict[str, Fields | None]:
    return {
        key: None if value is None else codec.decode(key, value).to_dict()
        for key, value in changes.items()
        if keys.is_public(key)
    }


def _camel_names(value: object) -> object:
    if isinstance(value, Mapping):
        return {camel(str(name)): _camel_names(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_camel_names(part) for part in value]
    return value
