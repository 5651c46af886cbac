"""The truth: base and journal of one store, which together lead to every record. The state follows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.check import Recount, state_problems
from pictact_actors.storage.engine import Entry, Problem
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.base import Base, Pin
from pictact_actors.storage.truth.journal import Journal


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
