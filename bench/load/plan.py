"""What to run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """One run of a load. Two results may be compared when their plans are equal."""

    seconds: float = 10.0
    """Measured time; a warm-up goes before it."""
    rate: float | None = 2_000.0
    """Calls that are due in a second; None: every host calls again as soon as it has an answer (closed loop)."""
    threads: int = 8
    """Hosts that are threads."""
    tasks: int = 8
    """Hosts that are asyncio tasks, all of one event loop."""
    players: int = 5_000
    matches: int = 16
    """Matches that are played at the same time; the first of them is the viral one."""
    round_calls: int = 2_000
    """Calls to all matches while one round is open."""
    seed: int = 1
    expiry_s: float = 10.0
    """How long a completed match stays; then cleanup removes it."""
    backup_interval_s: float | None = None
    """How often the store takes a backup; None: never."""

    @property
    def loop(self) -> str:
        """The kind of load, in words."""
        return "closed loop" if self.rate is None else f"open loop, {self.rate:,.0f} calls/s"

    @property
    def hosts(self) -> str:
        """Who calls, in words."""
        counts = ((self.threads, "thread"), (self.tasks, "asyncio task"))
        return " and ".join(f"{count} {noun}{'s' * (count > 1)}" for count, noun in counts if count)
