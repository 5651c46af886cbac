"""Commits as the runtime would hand them over, and random ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hypothesis import strategies as st

from pictact_actors.storage.engine import Entry


class Put(NamedTuple):
    """One atomic step."""

    changes: Mapping[str, bytes | None]
    cause: str = "put_many"
    request_id: str | None = None


KEYS = st.text("ab:é\U0001f3c6", min_size=1, max_size=4)
VALUES = st.binary(max_size=24)
CHANGES = st.dictionaries(KEYS, VALUES | st.none(), max_size=5)
COMMITS = st.builds(Put, CHANGES, st.sampled_from(["award_points", "put_many"]), st.none() | st.text(max_size=8))
GROUPS = st.lists(COMMITS, min_size=1, max_size=4)


def put(**changes: bytes | None) -> list[Put]:
    """A commit group of one step."""
    return [Put(changes)]


def applied(commits: Iterable[Put | Entry]) -> dict[str, bytes]:
    """What commits lead to, one after the other."""
    records: dict[str, bytes] = {}
    for commit in commits:
        for key, value in commit.changes.items():
            if value is None:
                records.pop(key, None)
            else:
                records[key] = value
    return records


def under(records: Mapping[str, bytes], prefix: str, after: str | None = None) -> list[tuple[str, bytes]]:
    """The pairs that a scan has to give."""
    return sorted(pair for pair in records.items() if pair[0].startswith(prefix) and (after is None or pair[0] > after))
