"""What all shards of a store share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pictact_actors.runtime.waits import WaitGraph

if TYPE_CHECKING:
    from pictact_actors.clock import StoreClock
    from pictact_actors.config import StoreConfig
    from pictact_actors.runtime.committed import Committed
    from pictact_actors.runtime.committer import Committer
    from pictact_actors.runtime.crossing import Crossing
    from pictact_actors.runtime.link import ShardLink


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where groups live, what is committed and how more is, the time, and the limits."""

    links: Sequence[ShardLink]
    link_of: Callable[[str], ShardLink]
    committed: Committed
    committer: Committer
    clock: StoreClock
    config: StoreConfig
    waits: WaitGraph = field(default_factory=WaitGraph)
    crossings: dict[Crossing, None] = field(default_factory=dict)
    """All that are under way, in the order they began."""
