"""What every trial is: a question or a few, put to one subject at a time in a directory of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.sample import Case, Sample
from bench.subjects.protocol import Subject


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done. `seconds` is the length of a run that writes; the numbers are sizes of what is looked into."""

    rounds: int = 5
    seconds: float = 0.4
    records: int = 100_000
    keys: int = 10_000
    boards: tuple[int, ...] = (100, 10_000, 100_000, 1_000_000)
    participants: tuple[int, ...] = (10, 1_000, 100_000)


FULL = Effort()
QUICK = Effort(rounds=1, seconds=0.15, records=10_000, boards=(100, 10_000, 100_000), participants=(10, 1_000))

Found = tuple[Case, str, Sample]
"""A case, in what way it was done where there are several, and what came out."""


class Turn(ABC):
    """A subject at work."""

    @abstractmethod
    def measure(self, seed: int) -> Iterator[Found]:
        """Do the work once. Raises whatever a caller met, and `Cheated`."""

    @abstractmethod
    def close(self) -> int:
        """Close, and count what is held on disk of what was acknowledged. Raises `Cheated`."""


class Trial(ABC):
    """One kind of work. A `lasting` one is set up once, and all rounds are measured on that."""

    name: ClassVar[str] = ""
    lasting: ClassVar[bool] = False

    @property
    @abstractmethod
    def cases(self) -> Sequence[Case]: ...

    @abstractmethod
    def able(self, subject: type[Subject]) -> bool:
        """Tell whether a subject can do this at all."""

    @abstractmethod
    def start(self, subject: type[Subject], directory: Path, effort: Effort) -> Turn:
        """Set a subject up for its turn."""
