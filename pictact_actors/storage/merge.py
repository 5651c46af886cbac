"""Merging ordered pairs with newer ones that are not stored below them yet, and keeping many of those."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain
from operator import itemgetter
from typing import Generic, TypeVar

V = TypeVar("V")
_SORTED_KEYS = 8_192
"""Keys that are sorted at once: 2 ms during which no other thread runs."""
_PARTS = 64


class Scattered(Generic[V]):
    """Values by key, in many small dictionaries: one that grows is copied, and nobody else runs meanwhile."""

    def __init__(self) -> None:
        self._parts: list[dict[str, V]] = [{} for _ in range(_PARTS)]

    def __contains__(self, key: str) -> bool:
        return key in self._parts[hash(key) % _PARTS]

    def __getitem__(self, key: str) -> V:
        return self._parts[hash(key) % _PARTS][key]

    def __setitem__(self, key: str, value: V) -> None:
        self._parts[hash(key) % _PARTS][key] = value

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    def pop(self, key: str) -> V:
        """Take a value out. Raises `KeyError`."""
        return self._parts[hash(key) % _PARTS].pop(key)

    def items(self) -> Iterator[tuple[str, V]]:
        """Iterate all pairs."""
        return chain.from_iterable(part.items() for part in self._parts)


def under(prefix: str, after: str | None, pending: Mapping[str, V]) -> list[tuple[str, V]]:
    """Return the pending pairs under a prefix and behind `after`, in key order."""
    found = [key for key in pending if key.startswith(prefix)]
    return [(key, pending[key]) for key in sorted(found) if after is None or key > after]


def over(older: list[tuple[str, V]], newer: list[tuple[str, V]]) -> list[tuple[str, V]]:
    """Return the pairs of both in key order; of those under the same key the newer one."""
    return sorted({**dict(older), **dict(newer)}.items(), key=itemgetter(0)) if older and newer else older or newer


def merged(stored: Iterable[tuple[str, V]], pending: Iterable[tuple[str, V | None]]) -> Iterator[tuple[str, V]]:
    """Merge two sources in key order; a pending value hides the stored one, a pending None hides it altogether."""
    waiting = iter(pending)
    newer = next(waiting, None)
    for key, value in stored:
        while newer is not None and newer[0] < key:
            if newer[1] is not None:
                yield newer[0], newer[1]
            newer = next(waiting, None)
        if newer is not None and newer[0] == key:
            if newer[1] is not None:
                yield newer[0], newer[1]
            newer = next(waiting, None)
        else:
            yield key, value
    while newer is not None:
        if newer[1] is not None:
            yield newer[0], newer[1]
        newer = next(waiting, None)


def sorted_pieces(keys: list[str]) -> Generator[None, None, list[list[str]]]:
    """Sort keys in pieces, to be merged."""
    pieces: list[list[str]] = []
    for start in range(0, len(keys), _SORTED_KEYS):
        pieces.append(sorted(keys[start : start + _SORTED_KEYS]))
        yield
    return pieces
