r"""Counted keys: how many come before one and which is the n-th, without holding them in memory.

Keys that begin with one of `keys.COUNTED` are divided into chunks of some hundred keys that follow each other. What is
in memory is where each chunk begins, how many keys it has, and the changes that LevelDB does not have yet; the keys
themselves are read from LevelDB, one chunk at a time.

    LevelDB key = "\0chunk:" start      value = how many keys, decimal digits      in the same batch as the keys

A counted key is written only when it is not there, and deleted only when it is: so each change counts one.
A chunk that grows too large is split, two small ones that follow each other become one.
Whoever uses this holds a lock (`State`); what it returns may be read on without it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import accumulate
from typing import Final, Protocol

from pictact_actors.errors import StoreDamaged, StoreError
from pictact_actors.model.keys import COUNTED
from pictact_actors.storage.engine import FOLDED, Changes, Entry

CHUNK_MAX: Final = 128
"""Keys in a chunk: beyond it there are two. Reading one takes less than a tenth of a millisecond."""
CHUNK_FEW: Final = CHUNK_MAX // 2
"""Keys in two chunks that may be one."""
PAIRS = b"\0chunk:"
_BLOCK = 128
"""Chunks whose sum is kept: a count adds up at most this many chunks, and all blocks."""


class Stored(Protocol):
    """The keys that LevelDB has."""

    def keys(self, start: str, stop: str) -> Iterator[str]:
        """Return the keys from `start` on, without `stop`, in order, as they are at this moment."""
        ...

    def has(self, key: str) -> bool:
        """Whether it has a key."""
        ...


class Counted:
    """The counts of one database."""

    def __init__(self, stored: Stored, counts: Mapping[str, int]) -> None:
        self._stored = stored
        counts = {**dict.fromkeys(COUNTED, 0), **counts}
        self._starts = sorted(counts)
        self._counts = [counts[start] for start in self._starts]
        self._blocks: list[int] | None = None
        self._recent: dict[str, dict[str, bool]] = {}
        self._writing: dict[str, dict[str, bool]] = {}
        self._changed: set[str] = set()

    def chunks(self) -> list[tuple[str, int]]:
        """Return where each chunk begins and how many keys it has."""
        return list(zip(self._starts, self._counts, strict=True))

    # -- questions

    def before(self, prefix: str, key: str) -> tuple[int, Iterator[str]]:
        """Return what it takes to know how many keys under a counted prefix are less than `key`.

        That is the number of those before its chunk, and the chunk's own that are less.
        """
        at = self._place(key)
        first = self._place(prefix)
        return self._sum(at) - self._sum(first), self._keys(at, at + 1, key)

    def page(self, prefix: str, position: int, limit: int) -> tuple[int, Iterator[str]]:
        """Return how many keys to leave out, and keys, so that those at `position` and following come; at most `limit`.

        The keys are those under a counted prefix; 0 is the position of the first.
        """
        first = self._place(prefix)
        last = self._last(first)
        begin = self._sum(first)
        end = min(begin + position + limit, self._sum(last) + self._counts[last])
        if begin + position >= end:
            return 0, iter(())
        at, rest = self._find(begin + position)
        return rest, self._keys(at, self._find(end - 1)[0] + 1)

    # -- changes

    def take(self, entry: Entry, *, first: bool = False) -> None:
        """Count an entry of the journal. One that stands for many commits says nothing of what was there before them.

        If it is of the `first` ones, nothing was.
        """
        if entry.cause != FOLDED:
            self.fold(entry.changes)
        elif first:
            self.fold({key: value for key, value in entry.changes.items() if value is not None})
        else:
            self.settle(entry.changes)

    def fold(self, changes: Changes) -> None:
        """Count what a commit changes."""
        for key, value in changes.items():
            if not value and key.startswith(COUNTED):
                self._change(key, there=value is not None)

    def settle(self, changes: Changes) -> None:
        """Count what many commits led to: what is there may have been before, what is not may not have been."""
        for key, value in changes.items():
            if not value and key.startswith(COUNTED) and self._has(key) != (value is not None):
                self._change(key, there=value is not None)

    def freeze(self) -> dict[bytes, bytes | None]:
        """Return the pairs that go to LevelDB with all that was folded so far."""
        for start, pending in self._recent.items():
            self._writing.setdefault(start, {}).update(pending)
        self._recent = {}
        pairs = {PAIRS + start.encode(): self._value(start) for start in self._changed}
        self._changed = set()
        return pairs

    def written(self) -> None:
        """Forget what LevelDB has now: everything up to the last `freeze`."""
        self._writing = {}

    def recount(self) -> None:
        """Count everything from the keys alone, where nothing is counted yet."""
        for prefix in COUNTED:
            at = self._place(prefix)
            self._replace(at, _cut(prefix, self._keys(at, at + 1), CHUNK_FEW))
        if not any(self._counts):
            self._changed.clear()  # that goes without saying

    def _change(self, key: str, *, there: bool) -> None:
        at = bisect_right(self._starts, key) - 1
        start, one = self._starts[at], 1 if there else -1
        self._counts[at] += one
        if self._blocks is not None:
            self._blocks[at // _BLOCK] += one
        self._changed.add(start)
        pending = self._recent.get(start)
        if pending is None:
            pending = self._recent[start] = {}
        pending[key] = there
        count = self._counts[at]
        if count > CHUNK_MAX:
            self._split(at)
        elif count <= CHUNK_FEW and not there:
            self._join(at)

    def _split(self, at: int) -> None:
        parts = max(2, self._counts[at] // CHUNK_FEW)
        try:
            pieces = _cut(self._starts[at], self._keys(at, at + 1), self._counts[at] // parts + 1)
        except StoreError:
            return  # it stays large until it can be read
        self._replace(at, pieces)

    def _join(self, at: int) -> None:
        """Make one of a chunk and the next or the one before, if there are few keys in both."""
        for left in (at, at - 1):
            right = left + 1
            if (
                0 <= left < right < len(self._starts)
                and self._counts[left] + self._counts[right] <= CHUNK_FEW
                and self._starts[right] not in COUNTED
            ):
                self._merge(left)
                return

    def _merge(self, at: int) -> None:
        start, gone = self._starts[at], self._starts.pop(at + 1)
        self._counts[at] += self._counts.pop(at + 1)
        self._blocks = None
        self._changed.update((start, gone))
        for pending in (self._writing, self._recent):
            if gone in pending:
                pending.setdefault(start, {}).update(pending.pop(gone))

    def _replace(self, at: int, pieces: list[tuple[str, int]]) -> None:
        """Put chunks in the place of one."""
        start, starts = self._starts[at], [piece for piece, _ in pieces]
        self._starts[at : at + 1] = starts
        self._counts[at : at + 1] = [count for _, count in pieces]
        self._blocks = None
        self._changed.update(starts)
        for pending in (self._writing, self._recent):
            for key, there in pending.pop(start, {}).items():
                pending.setdefault(starts[bisect_right(starts, key) - 1], {})[key] = there

    def _value(self, start: str) -> bytes | None:
        """Return what LevelDB holds about a chunk, None if there is no such chunk any more."""
        at = self._place(start)
        return b"%d" % self._counts[at] if self._starts[at] == start else None

    # -- where things are

    def _place(self, key: str) -> int:
        """Return the chunk that a key belongs to."""
        return bisect_right(self._starts, key) - 1

    def _last(self, first: int) -> int:
        """Return the last chunk under the counted prefix that a chunk begins."""
        return self._place(_behind(self._starts[first]))

    def _sum(self, at: int) -> int:
        """Return how many keys are before a chunk."""
        block = at // _BLOCK
        return sum(self._summed()[:block]) + sum(self._counts[block * _BLOCK : at])

    def _find(self, position: int) -> tuple[int, int]:
        """Return the chunk that has the key at a position of all keys, and how many of its keys are before that."""
        sums = list(accumulate(self._summed()))
        block = bisect_right(sums, position)
        rest = position - (sums[block - 1] if block else 0)
        at = block * _BLOCK
        while rest >= self._counts[at]:
            rest -= self._counts[at]
            at += 1
        return at, rest

    def _summed(self) -> list[int]:
        if self._blocks is None:
            counts = self._counts
            self._blocks = [sum(counts[at : at + _BLOCK]) for at in range(0, len(counts), _BLOCK)]
        return self._blocks

    def _has(self, key: str) -> bool:
        """Whether a key is there after all that was folded."""
        start = self._starts[self._place(key)]
        for pending in (self._recent, self._writing):
            there = pending.get(start, {}).get(key)
            if there is not None:
                return there
        return self._stored.has(key)

    def _keys(self, first: int, last: int, stop: str | None = None) -> Iterator[str]:
        """Iterate the keys of chunks `first` … `last` - 1, which are under one prefix, as they are at this moment.

        Those before `stop`, if it is given.
        """
        pending: dict[str, bool] = {}
        for start in self._starts[first:last]:
            pending.update(self._writing.get(start, {}))
            pending.update(self._recent.get(start, {}))
        stop = stop or self._end(last - 1)
        stored = self._stored.keys(self._starts[first], stop)
        if not pending:
            return stored
        newer = sorted(key for key, there in pending.items() if there and key < stop)
        return merge((key for key in stored if key not in pending), newer)

    def _end(self, at: int) -> str:
        """Return where a chunk ends: what is there or behind is not in it."""
        following = self._starts[at + 1 : at + 2]
        if following and following[0] not in COUNTED:
            return following[0]
        return _behind(COUNTED[bisect_right(COUNTED, self._starts[at]) - 1])


def loaded(stored: Stored, pairs: Iterable[tuple[bytes, bytes]]) -> Counted:
    """Return the counts that a database has, counted anew if it has none. Raises `StoreDamaged`."""
    counts: dict[str, int] = {}
    for key, value in pairs:
        start = key[len(PAIRS) :].decode(errors="replace")
        if not (value.isdigit() and start.startswith(COUNTED)):
            raise StoreDamaged(f"the state counts its keys from {start!a} as {value!a}")
        counts[start] = int(value)
    counted = Counted(stored, counts)
    if not counts:
        counted.recount()
    return counted


def _behind(prefix: str) -> str:
    """Return the first text behind all that begins with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _cut(start: str, found: Iterable[str], size: int) -> list[tuple[str, int]]:
    """Cut keys that follow each other into chunks of `size`; the first begins at `start`."""
    pieces: list[tuple[str, int]] = [(start, 0)]
    for key in found:
        if pieces[-1][1] == size:
            pieces.append((key, 0))
        pieces[-1] = (pieces[-1][0], pieces[-1][1] + 1)
    return pieces
