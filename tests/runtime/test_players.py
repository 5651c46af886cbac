"""The order of players as readers see it: one moment, however often it changes, and nobody waits long for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pictact_actors import AwardPoints, Lifetime, Match, Score, StoreConfig
from pictact_actors.clock import StoreClock, SystemClock
from pictact_actors.model.codec import decode, encode
from pictact_actors.model.indexes import reindexed
from pictact_actors.model.records import Record
from pictact_actors.runtime.committed import Committed
from pictact_actors.runtime.expiry import Expiry
from pictact_actors.runtime.meter import ReadMeter
from pictact_actors.runtime.reply import Call
from pictact_actors.runtime.staging import Staged
from pictact_actors.storage.memory import MemoryEngine


class World:
    """Committed records with their indexes, without actors: the test is the committer."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        expiry = Expiry(self.engine, StoreClock(SystemClock()), StoreConfig())
        self.committed = Committed(self.engine, 1024 * 1024, 100, expiry, ReadMeter(1.0))
        self.commit(Match("t3_a"))

    def commit(self, *records: Record, carried: bool = True) -> None:
        """Commit and publish records; `carried` if they come decoded as well."""
        shown = {record.key: record for record in records}
        changes: dict[str, bytes | None] = {}
        for key, record in shown.items():
            before = self.engine.get(key)
            changes |= {key: encode(record), **reindexed(before and decode(key, before), record)}
        call = Call(AwardPoints("t3_a", "ann", 1), 1.0, 0.0)
        staged = [Staged(call, "test", None, changes, shown if carried else None, None, None)]
        self.engine.commit(staged, 1.0, 1.0)
        self.committed.publish(staged)


@pytest.fixture
def world() -> World:
    return World()


def lifetimes(world: World, limit: int = 10) -> list[tuple[int, str, int]]:
    page = world.committed.on_lifetime_board("total_wins", lambda board: board.page(limit, 0))
    return [(line.rank, line.user, line.wins) for line in page or ()]


def when_looked_at(world: World, act: Callable[[], object], times: int) -> list[str]:
    """Do something in the middle of the first readings of the order of players; return what was read."""
    looks: list[str] = []
    page, rank = world.engine.page, world.engine.rank

    def slow_page(*where: Any) -> Iterator[str]:
        looks.append("page")
        found = page(*where)
        if len(looks) <= times:
            act()
        return found

    def slow_rank(*where: Any) -> int:
        looks.append("rank")
        return rank(*where)

    world.engine.page, world.engine.rank = slow_page, slow_rank  # type: ignore[method-assign]
    return looks


def test_the_order_of_players_is_read_again_if_it_changes_meanwhile(world: World) -> None:
    world.commit(Lifetime("ann", 1), Lifetime("bob", 2))
    looks = when_looked_at(world, lambda: world.commit(Lifetime("ann", 3), Lifetime("cat", 1)), times=1)
    assert lifetimes(world) == [(1, "ann", 3), (2, "bob", 2), (3, "cat", 1)]
    world.commit(Lifetime("cat", 9), carried=False)
    assert lifetimes(world) == [(1, "cat", 9), (2, "ann", 3), (3, "bob", 2)]
    assert looks == ["page"] * 3


def test_scores_do_not_disturb_who_reads_the_order_of_players(world: World) -> None:
    world.commit(Lifetime("ann", 1))
    looks = when_looked_at(world, lambda: world.commit(Score("t3_a", "ann", len(looks))), times=9)
    assert lifetimes(world) == [(1, "ann", 1)]
    assert looks == ["page"]


def test_the_order_of_players_is_read_although_it_changes_all_the_time(world: World) -> None:
    world.commit(Lifetime("ann", 1), Lifetime("bob", 1))
    looks = when_looked_at(world, lambda: world.commit(Lifetime("ann", 1 + len(looks))), times=3)
    assert lifetimes(world) == [(1, "ann", 4), (2, "bob", 1)]
    assert looks == ["page"] * 4


def test_a_page_of_players_is_pinned_before_it_is_walked_through(world: World) -> None:
    world.commit(Lifetime("ann", 1), Lifetime("bob", 1))
    page = world.committed.on_lifetime_board("total_wins", lambda board: board.page(10, 0))
    world.commit(Lifetime("bob", 7))
    assert [(line.rank, line.user, line.wins) for line in page or ()] == [(1, "ann", 1), (1, "bob", 1)]
