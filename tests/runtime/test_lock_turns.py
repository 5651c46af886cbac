"""Locks against a model: whoever came first goes first, and whoever waits is known to wait for the right ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pictact_actors.model.commands import AwardPoints, CompleteMatch
from pictact_actors.runtime.locks import WHOLE, LockTable
from pictact_actors.runtime.reply import Call

GROUPS = ["match:a", "match:b", "match:c"]
EVERYTHING = frozenset([WHOLE])
a_group = st.sampled_from(GROUPS)
some_groups = st.frozensets(a_group, min_size=1)


class Holder:
    """What a lock table sees of a holder."""


@dataclass(eq=False)
class Turn:
    """Somebody who came, and what for. A call is gone when its turn comes, or has its group from then on."""

    who: Any
    groups: frozenset[str]
    call: Call | None = None
    locks: bool = False
    waits: bool = True

    def wants(self, group: str) -> bool:
        return group in self.groups or WHOLE in self.groups


@dataclass
class Model:
    """Everybody who is there, in the order in which they came."""

    turns: list[Turn] = field(default_factory=list)

    def ahead(self, turn: Turn, group: str) -> list[Turn]:
        """Who came before somebody and wants the same group."""
        before = self.turns[: self.turns.index(turn)]
        return [one for one in before if one.who is not turn.who and (one.wants(group) or WHOLE in turn.groups)]

    def has(self, turn: Turn) -> set[str]:
        """The groups that somebody has, all of them or not yet."""
        if turn.call is not None:
            return set()
        if WHOLE in turn.groups:
            return set(turn.groups) if self.may_go(turn) else set()
        return {group for group in turn.groups if not self.ahead(turn, group)}

    def may_go(self, turn: Turn) -> bool:
        """Whether it is somebody's turn."""
        missing = self.missing(turn)
        if WHOLE not in missing:
            return not any(self.ahead(turn, group) for group in missing)
        return not any(WHOLE in one.groups or self.has(one) for one in self.ahead(turn, WHOLE))

    def missing(self, turn: Turn) -> list[str]:
        """The groups that somebody wants and has not had before."""
        own = [one for one in self.turns if one.who is turn.who and not one.waits]
        return [group for group in turn.groups if not any(one.wants(group) for one in own)]

    def go_on(self) -> Iterator[Turn]:
        """Let everybody go whose turn it is, until there is nobody left."""
        while turn := next((one for one in self.turns if one.waits and self.may_go(one)), None):
            turn.waits = False
            if turn.call is not None and not turn.locks:
                self.turns.remove(turn)
            elif turn.call is not None:
                turn.call = None
            yield turn


class Turns(RuleBasedStateMachine):
    """A lock table, used as a shard uses it, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.table = LockTable(self._reported)
        self.behind: dict[Any, set[Any]] = {}
        self.served: dict[str, list[Call]] = {group: [] for group in GROUPS}
        self.expected: dict[str, list[Call]] = {group: [] for group in GROUPS}
        self.ready: set[Any] = set()

    def _reported(self, holder: Any, _groups: tuple[str, ...], behind: Any) -> None:
        self.behind.setdefault(holder, set()).update(behind)

    # -- what happens

    @rule(group=a_group)
    def a_call_comes(self, group: str) -> None:
        self._call(group, AwardPoints(group.removeprefix("match:"), "ann", 1), locks=False)

    @rule(group=a_group, locks=st.booleans())
    def a_call_comes_that_may_lock_its_group(self, group: str, locks: bool) -> None:  # noqa: FBT001 - whether it will
        self._call(group, CompleteMatch(group.removeprefix("match:")), locks=locks)

    @rule(groups=some_groups | st.just(EVERYTHING))
    def a_holder_comes(self, groups: frozenset[str]) -> None:
        self._ask(Holder(), groups)

    @precondition(lambda self: self._idle())
    @rule(data=st.data(), groups=some_groups | st.just(EVERYTHING))
    def a_holder_asks_for_more(self, data: Any, groups: frozenset[str]) -> None:
        self._ask(data.draw(st.sampled_from(self._idle())), groups)

    @precondition(lambda self: self._holders())
    @rule(data=st.data())
    def a_holder_ends(self, data: Any) -> None:
        """Also one that waits."""
        who = data.draw(st.sampled_from(self._holders()))
        self.model.turns = [turn for turn in self.model.turns if turn.who is not who]
        self.ready.discard(who)
        self.behind.pop(who, None)
        self._go_on(self.table.release(who))

    @precondition(lambda self: self._waiting())
    @rule(data=st.data())
    def a_holder_gives_up_waiting(self, data: Any) -> None:
        """It keeps what it has, for the time being."""
        turn = data.draw(st.sampled_from(self._waiting()))
        kept = self.model.has(turn)
        at = self.model.turns.index(turn)
        self.model.turns[at : at + 1] = [Turn(turn.who, frozenset(kept), waits=False)] if kept else []
        self.behind.pop(turn.who, None)
        if turn.who in self._holders():
            self.ready.add(turn.who)
        self._go_on(self.table.withdraw(turn.who))

    # -- what must be

    @invariant()
    def everybody_went_whose_turn_it_was_and_nobody_else(self) -> None:
        holding = {turn.who for turn in self.model.turns if turn.call is None and not turn.waits}
        waiting = {turn.who for turn in self._waiting()}
        assert self.ready - waiting == holding - waiting
        assert {who for who in self._holders() if self.table.waits(who)} == waiting
        assert self.served == self.expected

    @invariant()
    def everybody_who_waits_is_found_in_order(self) -> None:
        found = self.table.in_order()
        for group in GROUPS:
            came = [turn.call for turn in self.model.turns if turn.call is not None and group in turn.groups]
            assert [item for item in found if item in came] == came
        assert set(self._holders()) <= set(found)

    @invariant()
    def whoever_waits_is_known_to_wait_for_all_who_are_in_the_way(self) -> None:
        for turn in self._waiting():
            missing = self.model.missing(turn)
            ahead = {one.who for group in missing for one in self.model.ahead(turn, group) if one.call is None}
            in_the_way = {who for who in ahead if WHOLE not in turn.groups or self._has_any(who)}
            assert in_the_way <= self._behind(turn.who)

    def teardown(self) -> None:
        while self._holders():
            who = self._holders()[0]
            self.model.turns = [turn for turn in self.model.turns if turn.who is not who]
            self._go_on(self.table.release(who))
        assert (self.model.turns, len(self.table), self.table.in_order()) == ([], 0, [])
        assert self.served == self.expected

    # -- as a shard does it

    def _call(self, group: str, command: Any, *, locks: bool) -> None:
        call = Call(command, 5.0, 0.0)
        self.model.turns.append(Turn(Holder() if locks else call, frozenset([group]), call, locks))
        if not self.table.hold_up(group, call):
            self._decide(call)
        self._compare()

    def _ask(self, who: Any, groups: frozenset[str]) -> None:
        self.model.turns.append(Turn(who, groups))
        if self.table.acquire(who, sorted(groups)):
            self.ready.add(who)
        else:
            self.ready.discard(who)
        self._compare()

    def _decide(self, call: Call) -> None:
        group = call.command.group
        self.served[group].append(call)
        turn = next((one for one in self.model.turns if one.call is call and one.locks), None)
        if turn is not None:
            assert self.table.acquire(turn.who, [group]), "it is its turn"
            self.ready.add(turn.who)

    def _go_on(self, groups: list[str]) -> None:
        while groups:
            calls, ready, groups = self.table.pass_on(groups)
            for call in calls:
                self._decide(call)
            for who in ready:
                self.behind.pop(who, None)
                self.ready.add(who)
        self._compare()

    def _compare(self) -> None:
        for turn in self.model.go_on():
            self.expected_of(turn)

    def expected_of(self, turn: Turn) -> None:
        call = turn.call if turn.call is not None else self._was_call(turn)
        if call is not None:
            self.expected[call.command.group].append(call)

    def _was_call(self, turn: Turn) -> Call | None:
        """The call that a holder was before its turn came."""
        if not turn.locks:
            return None
        (group,) = turn.groups
        return next(call for call in self.served[group] if call not in self.expected[group])

    # -- who is there

    def _holders(self) -> list[Any]:
        return list(dict.fromkeys(turn.who for turn in self.model.turns if turn.call is None))

    def _waiting(self) -> list[Turn]:
        return [turn for turn in self.model.turns if turn.call is None and turn.waits]

    def _idle(self) -> list[Any]:
        waiting = {turn.who for turn in self._waiting()}
        return [who for who in self._holders() if who not in waiting]

    def _has_any(self, who: Any) -> bool:
        return any(self.model.has(turn) for turn in self.model.turns if turn.who is who)

    def _behind(self, who: Any) -> set[Any]:
        """Everybody behind whom somebody is known to wait, directly or not."""
        found: set[Any] = set()
        pending = [who]
        while pending:
            for one in self.behind.get(pending.pop(), set()) - found:
                found.add(one)
                pending.append(one)
        return found


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=100, stateful_step_count=30)
