"""Whoever holds locks over several steps, and what it relies on."""

from __future__ import annotations

from typing import Any

import pytest

from pictact_actors.runtime.gate import Gate
from pictact_actors.runtime.holder import Holder
from pictact_actors.runtime.link import ShardLink
from pictact_actors.runtime.messages import Release


class Plain(Holder):
    """A holder that does nothing."""

    home: Any = None
    title = "plain"
    changes: Any = None

    def asking(self, link: Any) -> None:
        """Nothing."""

    def groups_held(self) -> list[str]:
        return []

    def enter(self, shard: Any) -> None:
        """Do nothing."""

    def refused(self) -> None:
        """Do nothing."""

    def gave_up(self, shard: Any) -> None:
        """Do nothing."""


class Box:
    """A mailbox that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def tell(self, message: object) -> None:
        self.told.append(message)


def links(count: int) -> list[ShardLink]:
    made = [ShardLink(index, Gate(10)) for index in range(count)]
    for link in made:
        link.mailbox = Box()  # type: ignore[assignment]  # as much of a mailbox as is needed
    return made


def test_who_begins_later_has_a_higher_number() -> None:
    assert Plain().number < Plain().number


def test_it_is_current_as_long_as_all_shards_are_as_they_were() -> None:
    holder, (first, second) = Plain(), links(2)
    assert holder.is_current()
    holder.rely_on(first, 0)
    holder.rely_on(second, 0)
    assert holder.is_current()
    second.epoch += 1
    assert not holder.is_current()


def test_of_several_epochs_of_a_shard_the_oldest_counts() -> None:
    holder, (link,) = Plain(), links(1)
    holder.rely_on(link, 0)
    link.epoch += 1
    holder.rely_on(link, 1)
    assert not holder.is_current()


def test_when_it_is_over_all_shards_that_it_has_been_to_unlock() -> None:
    holder, (first, second, third) = Plain(), links(3)
    holder.rely_on(first, 0)
    holder.visited.add(third)
    holder.release()
    assert holder.over
    assert not holder.is_current()
    assert [link.mailbox.told for link in (first, second, third)] == [[Release(holder)], [], [Release(holder)]]  # type: ignore[attr-defined]  # boxes


def test_who_does_not_give_way_cannot_be_aborted() -> None:
    assert not Plain.gives_way
    with pytest.raises(NotImplementedError):
        Plain().abort(RuntimeError("give way"))
