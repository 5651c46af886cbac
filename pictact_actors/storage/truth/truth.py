"""The truth: base and journal of one store, which together lead to every record. The state follows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.check import Recount, state_problems
from pictact_actors.storage.engine import Entry, Problem
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.base import Base, Pin
from pictact_actors.storage.truth.journal import Closed, Journal
from pictact_actors.storage.truth.layer import Layer, read_layer


class Truth:
    """Base and journal, opened and found to go together."""

    def __init__(self, base: Base, journal: Journal) -> None:
        self.base = base
        self.journal = journal

    @classmethod
    def open(cls, base: Path, journal: Path, store_id: bytes, segment_bytes: int) -> Self:
        """Open both. Raises `StoreDamaged`; nothing is changed but what a crash left half written, which goes."""
        truth = cls(Base(base, store_id), Journal.open(journal, store_id, segment_bytes))
        try:
            truth.base.require_journal(truth.journal)
            truth.require_end(truth.base.seq, "the base holds {} commits")
        except BaseException:
            truth.close()
            raise
        return truth

    def require_end(self, seq: int, witness: str) -> None:
        """Raise `StoreDamaged` if the journal ends before a commit that a `witness` knows of: "it has {} commits"."""
        if seq > self.journal.seq:
            raise StoreDamaged(
                f"{witness.format(seq)}, but the journal has only {self.journal.seq} up to {self.journal.end}"
            )

    @property
    def seq(self) -> int:
        """The last commit."""
        return self.journal.seq

    def verify(self) -> None:
        """Read everything once, checked against its chain. Raises `StoreDamaged`."""
        self.journal.verify()
        for layer in self.base.stack.layers():
            for _ in layer.verify():
                pass

    def files(self) -> Iterator[tuple[Path, Iterator[int]]]:
        """Iterate what counts: each layer and each full segment, with what reads it; that yields the bytes it has read.

        Reading raises `StoreDamaged`. What is given up meanwhile is not read.
        """
        pin = self.base.pin()
        layers, closed, missing = self.base.stack.layers(), self.journal.closed(), self.journal.missing()
        del pin
        for layer in layers:
            yield layer.path, self._read_layer(layer)
        for number in missing:
            yield self.journal.path_of(number), self._read_missing(number)
        for segment in closed:
            yield self.journal.path_of(segment.header.number), self._read_segment(segment)

    def _read_layer(self, layer: Layer) -> Iterator[int]:
        pin = self.base.pin()
        if layer in self.base.stack.layers():
            try:
                read_layer(layer.path, layer.store_id)
                for pairs in layer.frames():
                    yield _size_of(pairs.items())
            except FileNotFoundError as error:
                raise StoreDamaged(f"{layer.path} is missing") from error
        del pin

    def _read_segment(self, closed: Closed) -> Iterator[int]:
        pin = self.base.pin()
        if closed.header.first_seq >= self.journal.first_seq:
            try:
                for changed in self.journal.folded(closed):
                    yield _size_of(changed)
            except FileNotFoundError as error:
                raise StoreDamaged(f"{self.journal.path_of(closed.header.number)} is missing") from error
        del pin

    def _read_missing(self, number: int) -> Iterator[int]:
        if number in self.journal.missing():
            raise StoreDamaged(f"{self.journal.path_of(number)} is missing")
        yield 0

    def can_bring_forward(self, seq: int) -> bool:
        """Whether a state that holds the commits up to `seq` can be brought forward, and need not be built anew."""
        return seq + 1 >= self.journal.first_seq or self.base.stack.reaches(seq)

    def since(self, from_seq: int) -> Iterator[Entry]:
        """Iterate what brings a state forward: commits if they are kept, else what they led to."""
        pin, stack = self.base.pin(), self.base.stack
        if from_seq < self.journal.first_seq:
            yield from self.base.entries(from_seq, stack)
            from_seq = stack.seq + 1
        yield from self.journal.entries(from_seq)
        del pin

    def compare(self, state: State) -> Iterator[Problem]:
        """Compare a state with this, commit by commit and record by record, as of this moment."""
        pin, stack = self.base.pin(), self.base.stack
        recount = Recount(state.chunks())
        seq, stored = state.seq, recount.along(state.scan(""))
        problems = state_problems(stored, lambda: self.journal.entries(stack.seq + 1), seq, stack.pairs(), stack.seq)
        return _holding(pin, problems, recount)

    def close(self) -> None:
        """Close what is open."""
        self.journal.close()


def _holding(pin: Pin, problems: Iterator[Problem], recount: Recount) -> Iterator[Problem]:
    """Keep a pin as long as somebody asks for more."""
    yield from problems
    del pin
    yield from recount.problems()


def _size_of(changes: Iterable[tuple[str, bytes | None]]) -> int:
    return sum(len(key) + len(value or b"") for key, value in changes)
