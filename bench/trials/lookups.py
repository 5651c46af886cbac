"""Reads of records that are not in the store's own memory: 100,000 of them, drawn at random, in one thread.

The store is opened without a cache, so that each read goes to its LevelDB; plyvel's reads are that `get` and decoding,
the limit. All others have what their own caches and the system's hold, as they would.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter_ns as now_ns

from bench.sample import Case, require, sample_of
from bench.subjects.protocol import Draw, Subject, Uncached
from bench.trials.players import DRAWS, MATCHES, POSTS
from bench.trials.trial import Effort, Found, Trial, Turn

UNTIMED = 8
CASE = Case("uncached", "uncached reads, one thread")


class Lookups(Trial):
    """One record at a time."""

    name = "uncached"
    lasting = True

    @property
    def cases(self) -> Sequence[Case]:
        return (CASE,)

    def able(self, subject: type[Subject]) -> bool:
        return self.name not in subject.LACKS

    def start(self, subject: type[Subject], directory: Path, effort: Effort) -> Turn:
        return LookupsTurn(subject, directory, effort)


class LookupsTurn(Turn):
    """Loaded, closed and opened again: nobody remembers what was written."""

    def __init__(self, subject: type[Subject], directory: Path, effort: Effort) -> None:
        self._kind, self._directory, self._records, self._seconds = subject, directory, effort.records, effort.seconds
        loading = subject(directory)
        loading.create(POSTS)
        for at, post in enumerate(POSTS):
            loading.load(post, {f"user{n:010d}": 1 for n in range(at, effort.records, MATCHES)})
        loading.close()
        self._subject: Subject = (
            subject.without_cache(directory) if issubclass(subject, Uncached) else subject(directory)
        )

    def measure(self, seed: int) -> Iterator[Found]:
        score, drawn, latencies = self._subject.score, self._drawn(seed), array("Q")
        began = now_ns()
        deadline = began + int(self._seconds / 2 * 1e9)
        while (sent := now_ns()) < deadline or not latencies:
            score(*next(drawn))
            latencies.append(now_ns() - sent)
            for post, user in islice(drawn, UNTIMED):
                score(post, user)
        yield CASE, "", sample_of([latencies], len(latencies) * (1 + UNTIMED), now_ns() - began)

    def close(self) -> int:
        self._subject.close()
        stored = self._kind.stored(self._directory).records
        require(stored == self._records, f"{self._kind.TITLE}: {self._records:,} records, {stored:,} held")
        return stored

    def _drawn(self, seed: int) -> Iterator[Draw]:
        numbers = random.Random(seed).choices(range(self._records), k=DRAWS)
        return cycle([(POSTS[number % MATCHES], f"user{number:010d}") for number in numbers])
