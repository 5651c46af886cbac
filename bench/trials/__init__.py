"""What is compared: each trial in a file of its own."""

from __future__ import annotations

from collections.abc import Sequence

from bench.trials.awards import Awards
from bench.trials.boards import Boards
from bench.trials.completing import Completing
from bench.trials.lookups import Lookups
from bench.trials.mixes import MIXES
from bench.trials.openings import Openings
from bench.trials.tasks import Tasks
from bench.trials.trial import Effort, Trial
from bench.trials.ycsb import Ycsb


def trials(effort: Effort) -> Sequence[Trial]:
    """Return everything that is compared, in the order in which a reader wants it."""
    return (
        Awards(),
        Tasks(),
        Lookups(),
        *(Boards(players) for players in effort.boards),
        *(Completing(participants) for participants in effort.participants),
        *(Ycsb(mix) for mix in MIXES),
        Openings(effort.records),
    )
