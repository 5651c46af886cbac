"""Histories of a store, and whether one order of everything explains them.

A history is what each caller sent, when, and what came back when. It is right if there is one order of all operations
that keeps to real time (what was answered before another was sent comes before it) and in which each of them, done
one after the other by the rules of the game, gives what its caller got: strict serializability. The order of writes is
the journal's; reads, rejections and repeated requests find their place between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

from pictact_actors import Score, StorageFull, Store, StoreError
from pictact_actors.model import keys
from pictact_actors.model.commands import Command, CompleteMatch, PutMany
from pictact_actors.model.deciding import answered_before, answering, crosses_groups, decide
from pictact_actors.model.records import Record
from pictact_actors.model.rules import Outcome, When, closing, open_match, settle, stamped, standings
from pictact_actors.storage.engine import Entry

NOW = 1_700_000_000.0
WEEK_S = 7 * 86_400.0
Read = Callable[["State"], object]


class State:
    """All records after a number of commits, as a sequential store would have them."""

    def __init__(self, records: Mapping[str, Record]) -> None:
        self.records = records

    def get(self, key: str) -> Record | None:
        return self.records.get(key)

    def scan(self, prefix: str) -> Iterator[Record]:
        return (self.records[key] for key in sorted(self.records) if key.startswith(prefix))

    def after(self, changes: Mapping[str, Record | None]) -> State:
        records = {**self.records, **changes}
        return State({key: record for key, record in records.items() if record is not None})


_reached = count(1)
_WHEN = When(NOW, lambda: float(next(_reached)))


def outcome_of(command: Command, state: State) -> Outcome:
    """Do a checked command in one go, whatever groups it crosses."""
    if isinstance(command, PutMany):
        answered = answered_before(command, state, _WHEN)
        if answered is not None:
            return answered
        changes = {key: stamped(record, state.get(key), _WHEN) for key, record in command.records.items()}
        return Outcome(None, {**changes, **answering(command, None, NOW)})
    if isinstance(command, CompleteMatch) and crosses_groups(command, state):
        return _completed(command, state)
    return decide(command, state, _WHEN)


def _completed(command: CompleteMatch, state: State) -> Outcome:
    match = closing(open_match(state, command.post_id), NOW, WEEK_S)
    final = standings(state, command.post_id)
    places = {line.user: line for line in final}
    changes: dict[str, Record | None] = {match.key: match, **answering(command, None, NOW)}
    for user in {**places, **command.trophies}:
        found = state.get(keys.lifetime_key(user)), state.get(keys.history_key(user, command.post_id))
        trophies = tuple(command.trophies.get(user, ()))
        for record in settle(*found, match, places.get(user), trophies, user):
            if record is not None:
                changes[record.key] = record
    return Outcome(final, changes)


@dataclass(frozen=True)
class Operation:
    """What a caller did: a command or a named read, when (ns), and the answer or the error's class."""

    caller: int
    does: Command | tuple[str, Read]
    sent: int
    answered: int
    outcome: object

    @property
    def request_id(self) -> str | None:
        return self.does.request_id if isinstance(self.does, Command) else None

    def expected(self, state: State) -> object:
        """What it would have got in this state; a write that would change something does not fit between writes."""
        if not isinstance(self.does, Command):
            return _attempted(lambda: self.does[1](state))  # type: ignore[index]  # a read
        return _attempted(lambda: _unchanged(outcome_of(self.does.checked(), state)))  # type: ignore[union-attr]  # a command

    def __str__(self) -> str:
        does = self.does if isinstance(self.does, Command) else self.does[0]
        return f"caller {self.caller} [{self.sent}, {self.answered}] {does} -> {self.outcome!r}"


class WouldWriteError(Exception):
    """A command that came back without a write would have written something."""


def _unchanged(outcome: Outcome) -> object:
    if outcome.changes:
        raise WouldWriteError
    return outcome.answer


def _attempted(act: Callable[[], object]) -> object:
    try:
        return plain(act())
    except (StoreError, WouldWriteError) as error:
        return type(error)


def plain(value: object) -> object:
    """A result without the times at which scores were reached: they are the store's own."""
    if isinstance(value, Score):
        return replace(value, reached_at=0.0)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


class Explanation:
    """The one order of a history; raises `AssertionError` with the operation that has no place in it."""

    def __init__(self, entries: list[Entry], history: list[Operation]) -> None:
        self._writes = self._find_writes(entries, history)
        self.states = [State({})]
        self._replay(entries)
        self._order(history)

    def _find_writes(self, entries: list[Entry], history: list[Operation]) -> dict[int, Operation]:
        by_request: dict[str | None, list[Operation]] = {}
        for operation in history:
            by_request.setdefault(operation.request_id, []).append(operation)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        requests = [entry.request_id for entry in entries]
        assert len(set(requests)) == len(requests), "a request was applied twice"
        writes: dict[int, Operation] = {}
        for entry in entries:
            applied = [op for op in by_request[entry.request_id] if not isinstance(op.outcome, type)]  # no error
            assert applied, f"{entry.request_id} is in the journal, but nobody was told so"
            writes[entry.seq] = min(applied, key=lambda op: op.sent)
        return writes

    def _replay(self, entries: list[Entry]) -> None:
        """Do all writes one after the other in the journal's order."""
        for entry in entries:
            write = self._writes[entry.seq]
            assert isinstance(write.does, Command)
            before = self.states[-1]
            outcome = outcome_of(write.does.checked(), before)
            assert plain(outcome.answer) == write.outcome, f"seq {entry.seq}: {write}, not {outcome.answer!r}"
            written = {key for key in entry.changes if not keys.is_index(key)}
            assert set(outcome.changes) == written, f"seq {entry.seq}: {write} wrote {written}"
            self.states.append(before.after(outcome.changes))

    def _order(self, history: list[Operation]) -> None:
        """Find a place for everything, as early as it can be, in the order in which it was sent."""
        seq_of = {id(write): seq for seq, write in self._writes.items()}
        by_answer = sorted(history, key=lambda op: op.answered)
        later = sorted((write.sent, seq) for seq, write in self._writes.items())
        place: dict[int, int] = {}
        answered, earliest = 0, 0
        for operation in sorted(history, key=lambda op: op.sent):
            while by_answer[answered].answered < operation.sent:
                earliest = max(earliest, place[id(by_answer[answered])])
                answered += 1
            if id(operation) in seq_of:
                place[id(operation)] = seq_of[id(operation)]
                assert place[id(operation)] > earliest, f"seq {seq_of[id(operation)]} is too early for {operation}"
            else:
                latest = min((seq for sent, seq in later if sent > operation.answered), default=len(self.states))
                place[id(operation)] = self._place(operation, earliest, latest)

    def _place(self, operation: Operation, earliest: int, latest: int) -> int:
        if operation.outcome is StorageFull:
            return earliest
        seen = []
        for seq in range(earliest, latest):
            seen.append(operation.expected(self.states[seq]))
            if seen[-1] == operation.outcome:
                return seq
        raise AssertionError(f"nothing between seq {earliest} and {latest - 1} explains {operation}; only {seen}")

    def assert_final(self, store: Store) -> None:
        """Compare what the store holds in the end with the last state."""
        expected = {key: plain(record) for key, record in self.states[-1].records.items() if keys.is_public(key)}
        assert {key: plain(record) for key, record in store.scan("")} == expected
