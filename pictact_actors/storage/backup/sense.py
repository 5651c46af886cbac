"""Whether the records of a store that was restored make sense together: the rules are those of `check`."""

from __future__ import annotations

from collections.abc import Iterator

from pictact_actors.errors import StoreDamaged
from pictact_actors.model import codec, keys
from pictact_actors.model.integrity import Indexes, Keyed, flaws
from pictact_actors.storage.engine import Engine, Problem

_OURS = ("key", "index")
"""Kinds of flaws that nobody can write: what is under a key, and what indexes say, is our own business."""


def contradictions(engine: Engine) -> Iterator[Problem]:
    """Read everything; yield what contradicts what. It was written so, and a backup has to bring it back.

    Raises `StoreDamaged` for what nobody can have written.
    """
    indexes = Indexes(lambda: _index_keys(engine), lambda: _records(engine))
    for kind, key, detail in flaws(_records(engine), indexes):
        if kind in _OURS:
            raise StoreDamaged(f"what was restored does not fit together: {key} {detail}")
        yield Problem(kind, key, detail)


def _records(engine: Engine) -> Iterator[Keyed]:
    return ((key, codec.decode(key, value)) for key, value in engine.scan("") if not keys.is_index(key))


def _index_keys(engine: Engine) -> Iterator[str]:
    return (key for prefix in keys.INDEXES for key, _ in engine.scan(prefix))
