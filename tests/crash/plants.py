"""Faults in our own code, planted on purpose: what a slip of the pen would make of it."""

from __future__ import annotations
import __future__

import fcntl
import inspect
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from pictact_actors.model import deciding
from pictact_actors.model.chores import Expire
from pictact_actors.model.records import PlayedMatch
from pictact_actors.runtime import crossing, expiry, leaderboard, shard
from pictact_actors.runtime.committer import Committer
from pictact_actors.runtime.crossing import Crossing
from pictact_actors.runtime.locks import LockTable
from pictact_actors.runtime.reply import answer_all
from pictact_actors.runtime.shard import ShardActor
from pictact_actors.runtime.staging import Batch
from pictact_actors.runtime.transaction import Transaction
from pictact_actors.runtime.waits import WaitGraph
from pictact_actors.storage import archive, directory
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.folding import Folding
from pictact_actors.storage.state.state import State
from pictact_actors.storage.state.trail import Trail
from pictact_actors.storage.truth import segment
from pictact_actors.storage.truth.journal import Journal
from pictact_actors.storage.truth.layer import LayerWriter
from pictact_actors.storage.truth.segment import SegmentFile

Plant = Callable[[pytest.MonkeyPatch], None]


def returning(owner: Any, name: str, value: Any) -> Plant:
    """A function that does nothing but return a value."""
    return lambda patch: patch.setattr(owner, name, lambda *_, **__: value)


def wrapped(owner: Any, name: str, wrap: Callable[..., Any]) -> Plant:
    """A function in the place of another one, which it gets first."""
    real = getattr(owner, name)
    return lambda patch: patch.setattr(owner, name, lambda *args, **options: wrap(real, *args, **options))


def rewritten(owner: Any, name: str, old: str, new: str) -> Plant:
    """A function of whose source one piece is another one."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        function = getattr(owner, name)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(old) == 1, f"{old!r} is in {name} no more: plant the fault where it is now"
        made: dict[str, Any] = {}
        code = compile(
            source.replace(old, new), __file__, "exec", dont_inherit=True, flags=__future__.annotations.compiler_flag
        )
        exec(code, dict(function.__globals__), made)  # noqa: S102 - our own source
        patch.setattr(owner, name, made[name])

    return plant


def both(*plants: Plant) -> Plant:
    """Several at once."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        for one in plants:
            one(patch)

    return plant


# -- the way to the disk


def _in_the_background(real: Callable[..., None], *args: Any) -> None:
    threading.Thread(target=real, args=args, daemon=True).start()


def _believing_in_it(real: Callable[..., None], *args: Any) -> None:
    with suppress(OSError):
        real(*args)


def _answered_first(real: Callable[..., None], committer: Committer, batches: Any) -> None:
    answer_all([item for batch in batches for item in batch.staged])
    real(committer, batches)


def _cached_first(real: Callable[..., None], committer: Committer, batches: Any) -> None:
    for batch in batches:
        for item in batch.staged:
            committer._committed._show(item, True)
    real(committer, batches)


def _published_first(real: Callable[..., int], engine: EmbeddedEngine, commits: Any, *when: float) -> int:
    for commit in commits:
        engine._state._active.update(commit.changes)
    return real(engine, commits, *when)


def _one_ahead(real: Callable[..., Any], trail: Trail, seq: int, position: Any) -> Any:
    return real(trail, seq + 1, position)


def _all_but_the_last(real: Callable[..., int], state: State, *args: Any) -> int:
    replay = state._replay

    def shorter(from_seq: int) -> Iterator[Any]:
        entries = list(replay(from_seq))
        return iter(entries[:-1])

    state._replay = shorter
    return real(state, *args)


def _unchained(real: Callable[..., Any], data: bytes, at: int, offset: int, _chain: Any) -> Any:
    return real(data, at, offset, None)


WAY_TO_THE_DISK: dict[str, Plant] = {
    "a sync is left out": returning(SegmentFile, "sync", None),
    "a sync is not waited for": wrapped(SegmentFile, "sync", _in_the_background),
    "a failed sync is taken for done": wrapped(SegmentFile, "sync", _believing_in_it),
    "callers are answered before the sync": wrapped(Committer, "_commit", _answered_first),
    "cache and boards show what is not durable": wrapped(Committer, "_commit", _cached_first),
    "the state shows what is not durable": wrapped(EmbeddedEngine, "commit", _published_first),
    "applied_seq is ahead of the data": wrapped(Trail, "next", _one_ahead),
    "replay stops one early": wrapped(State, "catch_up", _all_but_the_last),
    "a write that failed is not erased": returning(Journal, "_erase", None),
    "a torn tail is not cut": returning(Journal, "cut_tail", None),
    "checksums are not looked at": lambda patch: patch.setattr(
        segment, "google_crc32c", SimpleNamespace(value=lambda _: 0, extend=lambda *_: 0)
    ),
    "the chain is not looked at": wrapped(segment, "_frame_in", _unchained),
    "the directory is not locked": lambda patch: patch.setattr(
        directory, "fcntl", SimpleNamespace(**{**vars(fcntl), "flock": lambda *_: None})
    ),
    "a commit is published, then synced": rewritten(
        Committer,
        "_commit",
        "self._engine.commit(writes, self._clock.now(), self.mark)",
        "self._committed.publish(writes); self._engine.commit(writes, self._clock.now(), self.mark)",
    ),
    "a segment goes before its layer is there": rewritten(
        Folding,
        "_fold_one",
        "layer = yield from",
        "list(self._journal.remove(follows.first_seq - 1)); layer = yield from",
    ),
    "a layer is not synced": rewritten(LayerWriter, "finish", "os.fsync(self._file.fd)", "pass"),
    "an archive file is not synced": rewritten(archive, "_write", "os.fsync(file.fileno())", "pass"),
    "a pending archive file is forgotten": lambda patch: patch.setattr(archive.Archive, "pending", ()),
}

# -- actors and transactions


def _unlocked_scan(transaction: Transaction, prefix: str, after: str | None) -> Iterator[Any]:
    yield from ()
    return iter(list(transaction._committed.scan(prefix, after)))


def _released_first(real: Callable[..., Batch], transaction: Transaction, call: Any, actor: ShardActor) -> Batch:
    actor.release(transaction)
    return real(transaction, call, actor)


ACTORS: dict[str, Plant] = {
    "a shard forgets what it has decided": lambda patch: patch.setattr(
        ShardActor, "get", lambda self, key: self._committed_get(key)
    ),
    "a deadline is not looked at": lambda patch: patch.setattr(shard, "monotonic", lambda: 0.0),
    "a fence is not looked at": returning(Batch, "is_current", True),
    "a lease is not looked at": both(
        returning(Transaction, "is_current", True),
        returning(Transaction, "_require_open", None),
        returning(Transaction, "is_ending", False),
    ),
    "a lock holds nobody up": returning(LockTable, "hold_up", False),
    "a lock is released before the commit": wrapped(Transaction, "batch", _released_first),
    "a scan locks nothing": lambda patch: patch.setattr(Transaction, "scanning", _unlocked_scan),
    "a deadlock has no victim": returning(WaitGraph, "_cycle", []),
    "a request id is not kept": returning(deciding, "answering", {}),
    "a request id fits every command": returning(deciding, "digest", "the same"),
}

# -- the game


def _without_bob(real: Callable[..., None], at: Crossing, record: Any, actor: ShardActor) -> None:
    if not (isinstance(record, PlayedMatch) and record.user == "bob"):
        real(at, record, actor)


def _a_second_early(real: Callable[[str], tuple[str, float, str]], key: str) -> tuple[str, float, str]:
    basis, time, owner = real(key)
    return basis, time - 1, owner


def _last_first(real: Callable[..., Any], score: Any) -> Any:
    points, wins, reached_at, user = real(score)
    return points, wins, -reached_at, user


def _taking_a_player_along(patch: pytest.MonkeyPatch) -> None:
    real = deciding.RULES[Expire]

    def rule(*args: Any) -> Any:
        outcome = real(*args)
        return outcome._replace(changes={**outcome.changes, "lifetime:ann": None})

    patch.setattr(deciding, "RULES", {**deciding.RULES, Expire: rule})


GAME: dict[str, Plant] = {
    "an index is not written": both(returning(shard, "reindexed", {}), returning(crossing, "reindexed", {})),
    "a match ends without one of its players": wrapped(Crossing, "write", _without_bob),
    "a match expires a second early": wrapped(expiry, "due_parts", _a_second_early),
    "a cleanup takes a player along": _taking_a_player_along,
    "a tie goes to who came last": wrapped(leaderboard, "place", _last_first),
}
