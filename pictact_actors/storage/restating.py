"""Restating: base and journal, found to be damaged while the store runs, are written anew from the state.

    found ──▶ the journal goes on in a new segment, the state of that moment is pinned ──▶ every file before it is read
          ──▶ parts of the base are written from the state ──▶ what was damaged is put aside, what they replace goes

Everybody is served meanwhile. The commits themselves are only in what was put aside then, and in backups, as after
healing at an opening (`recovery/healing.py`), which also takes over if this is interrupted: nothing goes before all of
it is there. If the state is damaged too, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from pictact_actors import log
from pictact_actors.errors import StorageFull, StoreDamaged
from pictact_actors.storage.folding import Folding
from pictact_actors.storage.recovery.aside import Aside, Recovery
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.layer import Next
from pictact_actors.storage.truth.truth import Truth

_SETTLE_S = 10.0
T = TypeVar("T")


class _Moment(NamedTuple):
    """The segment that follows a moment, and all records as they were then."""

    next: Next
    pairs: Iterator[tuple[str, bytes]]


class Restating:
    """Writes the truth of one open store anew. The committer's thread may `pin`, any thread may `suspect`.

    `steps` are the steps of the thread that gives space back.
    """

    def __init__(self, truth: Truth, state: State, folding: Folding, aside: Aside) -> None:
        self._truth = truth
        self._state = state
        self._folding = folding
        self._aside = aside
        self._found: str | None = None
        self._moment: _Moment | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is something to look at."""
        return self._found is not None

    def suspect(self, found: str) -> None:
        """Look at base and journal, and write them anew if they are damaged."""
        self._found = found

    def pin(self) -> None:
        """Pin this moment, in which the journal has just begun a segment."""
        if self._found is not None:
            end = self._truth.journal.position
            follows = Next(end.number, end.seq + 1, end.ts, end.mark, end.chain)
            self._moment = _Moment(follows, self._state.scan(""))

    def steps(self) -> Generator[None, None, None]:
        """Do it, if a moment is pinned. Raises `StoreDamaged` if the state is damaged too, `StorageFull`, `OSError`."""
        moment, found, self._moment = self._moment, self._found, None
        if moment is None or found is None:
            return
        damaged = yield from self._damaged()
        if damaged:
            log.error(log.TRUTH_DAMAGED, found=found, files=[path.name for path in damaged])
            yield from self._folding.restate(moment.next, moment.pairs)
            self._settle(moment.next.first_seq - 1)
            for path in damaged:
                with suppress(FileNotFoundError):
                    self._aside.keep(path, linked=True)
            done = f"base and journal were written anew from the state, up to commit {moment.next.first_seq - 1}"
            self._aside.report(Recovery(moment.next.ts, "base or journal damaged while running", found, done))
        if self._found == found:
            self._found = None

    def _damaged(self) -> Generator[None, None, list[Path]]:
        damaged: list[Path] = []
        for path, reading in self._truth.files():
            try:
                for _ in reading:
                    yield
            except StoreDamaged:
                damaged.append(path)
        return damaged

    def _settle(self, seq: int) -> None:
        """Have the state hold what is not kept commit by commit any more: a crash would cost building it anew."""
        if not self._state.settle(seq, _SETTLE_S) and self._state.failure is None:
            raise StorageFull("the state is not up to date")


def noticing(reading: Iterator[T], suspect: Callable[[str], None]) -> Iterator[T]:
    """Read on, and tell of damage that is met."""
    try:
        yield from reading
    except StoreDamaged as damage:
        suspect(damage.what)
        raise
