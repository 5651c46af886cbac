"""Everything that one command measured and concluded."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.load.comparing import Change
from bench.load.ramp import Limits, Step
from bench.load.result import Result
from bench.load.soak import Claim


@dataclass(frozen=True, slots=True)
class Session:
    """A result, and what else there is to say about it, as far as it was asked for."""

    result: Result
    limits: Limits = field(default_factory=Limits)
    steps: list[Step] = field(default_factory=list)
    """Rates that were tried."""
    claims: list[Claim] = field(default_factory=list)
    """The verdict of a soak."""
    changes: list[Change] = field(default_factory=list)
    machine_changes: list[Change] = field(default_factory=list)
    """Against an earlier result: of the store, and of the machine alone."""

    @property
    def is_good(self) -> bool:
        """Whether everything was stored, every claim holds, every call was made, and nothing got worse."""
        return (
            all(run.verified.is_good and not run.left for run in self.result.runs)
            and all(claim.holds for claim in self.claims)
            and not any(change.is_real and not change.is_better for change in self.changes)
        )
