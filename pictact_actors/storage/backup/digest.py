"""One value for everything that a store holds, and one for a file.

digest of a store = BLAKE2b-128 of the prints of all pairs, in key order
print of a pair   = BLAKE2b-128 of: key, a zero byte, value
digest of a file  = BLAKE2b-128 of its bytes
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pictact_actors.storage.merge import Scattered, merged, sorted_pieces
from pictact_actors.storage.truth.segment import dropped_from_cache

DIGEST_BYTES = 16
CHUNK_BYTES = 256 * 1024
"""What is read, hashed or written at once, without the interpreter lock."""
_PAIRS = 256
"""Pairs of a step: less than a millisecond."""


class Summary(NamedTuple):
    """How many pairs there are, and the digest of all of them."""

    records: int
    digest: bytes


def digest_of(data: bytes) -> bytes:
    """Return the digest of some bytes."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def print_of(key: str, value: bytes) -> bytes:
    """Return the print of a pair."""
    return hashlib.blake2b(b"%b\0%b" % (key.encode(), value), digest_size=DIGEST_BYTES).digest()


def summary(pairs: Iterable[tuple[str, bytes]]) -> Generator[None, None, Summary]:
    """Sum up pairs that come in key order, step by step."""
    return (yield from _summed(print_of(key, value) for key, value in pairs))


class Latest:
    """What commits led to since a base: the print of each key's last value. Memory grows with the keys."""

    def __init__(self) -> None:
        self._prints: Scattered[bytes | None] = Scattered()

    def take(self, changes: Iterable[tuple[str, bytes | None]]) -> Iterator[None]:
        """Add what the next commits did, step by step."""
        for count, (key, value) in enumerate(changes):
            self._prints[key] = None if value is None else print_of(key, value)
            if not count % _PAIRS:
                yield

    def summary(self, base: Iterable[tuple[str, bytes]]) -> Generator[None, None, Summary]:
        """Sum up base and commits together, step by step."""
        pieces = yield from sorted_pieces(list(self._prints))
        newer = ((key, self._prints.pop(key)) for key in heapq.merge(*map(_drained, pieces)))
        older = ((key, print_of(key, value)) for key, value in base)
        return (yield from _summed(found for _, found in merged(older, newer)))


def file_digest(path: Path) -> Generator[None, None, bytes]:
    """Read a file, from the disk if possible, and return its digest."""
    running = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb", buffering=0) as file:
        dropped_from_cache(file.fileno())
        while chunk := file.read(CHUNK_BYTES):
            running.update(chunk)
            yield
    return running.digest()


def _drained(keys: list[str]) -> Iterator[str]:
    """Iterate keys and give each up: all of them at once would take a while."""
    keys.reverse()
    while keys:
        yield keys.pop()


def _summed(prints: Iterator[bytes]) -> Generator[None, None, Summary]:
    running, records = hashlib.blake2b(digest_size=DIGEST_BYTES), 0
    while found := list(islice(prints, _PAIRS)):
        running.update(b"".join(found))
        records += len(found)
        yield
    return Summary(records, running.digest())
