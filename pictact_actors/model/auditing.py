"""How the audit is told: entry by entry, and what several shards say about one cleanup as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from pictact_actors.model.records import Audit


def told(entries: Iterable[Audit]) -> Iterator[Audit]:
    """Yield entries that come in the order of their index; those of the shards for one cleanup are added up."""
    for _, same in groupby(entries, _cleanup_of):
        first, *others = same
        yield first if first.post_id is not None else _added_up([first, *others])


def _cleanup_of(entry: Audit) -> object:
    return entry.key if entry.post_id is not None else (entry.created_at, entry.time, entry.reason, entry.archive)


def _added_up(entries: list[Audit]) -> Audit:
    removed: Counter[str] = Counter()
    for entry in entries:
        removed.update(entry.removed)
    return replace(entries[0], owner="", removed=dict(removed), updated_at=max(entry.updated_at for entry in entries))
