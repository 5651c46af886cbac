"""Whether a history of transactions over lists is strictly serializable, and if not, what shows it.

Transactions append values to lists and read lists; a value goes to a list once. What a read saw says who wrote before
it, in which order: the longest read of a list is the order of its versions. From that follow the dependencies

    ww  one appended right after the other
    wr  one read the version that the other left
    rw  one read the version that the other replaced
    rt  one was complete before the other began (the immediate ones only: they lead to all others)

and the history is strictly serializable if they make no cycle and every read is a version of its list. A transaction
whose outcome is unknown counts if one that counts has read from it; else it may as well not have happened. It may take
effect at any time after it began.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from cycles import Dependencies, Dependency, Edge

_SHOWN_VALUES = 4
_SHOWN_ANOMALIES = 10


class Outcome(Enum):
    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class Kind(Enum):
    """Adya's names where he has one."""

    G0 = "G0, a circle of writes"
    G1A = "G1a, a read of an aborted write"
    G1B = "G1b, a read of an intermediate write"
    G1C = "G1c, a circle of information"
    G_SINGLE = "G-single, a read of two moments"
    G2 = "G2, a circle with several reads that were overwritten"
    REAL_TIME = "real-time violation"
    LOST_UPDATE = "lost update"
    LOST_APPEND = "lost append"
    DUPLICATE_APPEND = "duplicate append"
    INCOMPATIBLE_ORDERS = "incompatible orders"
    UNWRITTEN_VALUE = "value that nobody wrote"
    INTERNAL = "a transaction that contradicts itself"


class Append(NamedTuple):
    key: str
    value: str

    def __str__(self) -> str:
        return f"append({self.key}, {self.value})"


class Read(NamedTuple):
    key: str
    seen: tuple[str, ...]

    def __str__(self) -> str:
        dots = "… " if len(self.seen) > _SHOWN_VALUES else ""
        return f"read({self.key}) -> {len(self.seen)} [{dots}{' '.join(self.seen[-_SHOWN_VALUES:])}]"


@dataclass(frozen=True, slots=True, eq=False)
class Transaction:
    """What one attempt did, and when (any monotonic unit) it began and its outcome was known."""

    name: str
    invoked: float
    completed: float
    operations: Sequence[Append | Read]
    outcome: Outcome = Outcome.COMMITTED

    def __str__(self) -> str:
        done = ", ".join(map(str, self.operations))
        return f"{self.name} [{self.invoked}, {self.completed}] {self.outcome.value}: {done}"


class Anomaly(NamedTuple):
    """What is wrong, in which transactions, and why."""

    kind: Kind
    transactions: tuple[Transaction, ...]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        involved = dict.fromkeys(self.transactions)
        return "\n    ".join([self.kind.value, *map(str, involved), *(f"because {reason}" for reason in self.reasons)])


def anomalies(history: Sequence[Transaction]) -> list[Anomaly]:
    """Return what shows that a history is not strictly serializable: nothing if it is. Worst cycles first."""
    footprints = {transaction: Footprint(transaction) for transaction in history}
    counting = _counting(footprints)
    lists: defaultdict[str, ListVersions] = defaultdict(ListVersions)
    for transaction, footprint in footprints.items():
        for key, values in footprint.appends.items():
            lists[key].append(transaction, values, counts=transaction in counting)
        for key, seen in footprint.reads.items():
            if transaction in counting:
                lists[key].readers.append((seen, transaction))
    found = [Anomaly(Kind.INTERNAL, (t,), tuple(footprints[t].contradictions)) for t in counting]
    found = [anomaly for anomaly in found if anomaly.reasons]
    edges = list(real_time(counting))
    for key, versions in lists.items():
        versions.settle()
        found += versions.flaws(key)
        edges += versions.edges(key)
    return found + [_circle(cycle) for cycle in Dependencies(edges).cycles()]


def assert_strictly_serializable(history: Sequence[Transaction], label: object = "") -> None:
    """Raise `AssertionError` with the offending part of a history."""
    found = anomalies(history)
    shown = "\n".join(map(str, found[:_SHOWN_ANOMALIES]))
    assert not found, f"{label}: {len(found)} anomalies in {len(history)} transactions, the first are\n{shown}"


def with_aborted_reads(history: Sequence[Transaction]) -> list[Transaction]:
    """Return a history in which aborted transactions only read, and count.

    Callers act on what they see before they are told that it was for nothing, so that should make sense too.
    """
    return [_as_reader(one) if one.outcome is Outcome.ABORTED else one for one in history]


def _as_reader(one: Transaction) -> Transaction:
    reads = [Read(key, seen) for key, seen in Footprint(one).reads.items()]
    return Transaction(f"{one.name}, aborted", one.invoked, one.completed, reads)


class Footprint:
    """What a transaction took from others (each list as it found it), and what it appended to each list."""

    def __init__(self, transaction: Transaction) -> None:
        assert transaction.invoked <= transaction.completed, f"{transaction} ended before it began"
        self.reads: dict[str, tuple[str, ...]] = {}
        self.appends: dict[str, tuple[str, ...]] = {}
        self.contradictions: list[str] = []
        for operation in transaction.operations:
            if isinstance(operation, Append):
                self.appends[operation.key] = (*self.appends.get(operation.key, ()), operation.value)
            else:
                self._read(operation)
        for key, values in self.appends.items():
            early = set(values).intersection(self.reads.get(key, ()))
            if early:
                self.contradictions.append(f"{', '.join(early)} in {key} was read before it was appended")

    def _read(self, read: Read) -> None:
        own = self.appends.get(read.key, ())
        found = read.seen[: len(read.seen) - len(own)]
        if found + own != read.seen:
            self.contradictions.append(f"{read} does not end with its own {own}")
        elif self.reads.setdefault(read.key, found) != found:
            self.contradictions.append(f"{read} is not what it read before: {Read(read.key, self.reads[read.key])}")


def _counting(footprints: dict[Transaction, Footprint]) -> dict[Transaction, None]:
    """Return what is committed, in the order of the history: also if only the readers of its values know."""
    doubtful = {
        (key, value): transaction
        for transaction, footprint in footprints.items()
        if transaction.outcome is Outcome.UNKNOWN
        for key, values in footprint.appends.items()
        for value in values
    }
    counting = {transaction for transaction in footprints if transaction.outcome is Outcome.COMMITTED}
    pending = list(counting) if doubtful else []
    while pending:
        for key, seen in footprints[pending.pop()].reads.items():
            writers = {doubtful[key, value] for value in seen if (key, value) in doubtful} - counting
            counting |= writers
            pending += writers
    return {transaction: None for transaction in footprints if transaction in counting}


class ListVersions:
    """One list: who appended what, who read how much of it, and in which order its values stand."""

    def __init__(self) -> None:
        self.readers: list[tuple[tuple[str, ...], Transaction]] = []
        self._writers: dict[str, Transaction] = {}
        self._appended: dict[Transaction, tuple[str, ...]] = {}
        self._void: set[str] = set()
        self._order: tuple[str, ...] = ()
        self._unseen: dict[str, Transaction] = {}

    def append(self, transaction: Transaction, values: tuple[str, ...], *, counts: bool) -> None:
        """Note what a transaction appended, and whether it counts."""
        self._appended[transaction] = values
        for value in values:
            assert value not in self._writers, f"{value} was appended by {self._writers[value]} and {transaction}"
            self._writers[value] = transaction
            if not counts:
                self._void.add(value)

    def settle(self) -> None:
        """Find the order of the versions. What counts and nobody saw comes after it, in any order."""
        self._order = max((seen for seen, _ in self.readers), key=len, default=())
        missing = self._writers.keys() - self._void - set(self._order)
        self._unseen = {value: writer for value, writer in self._writers.items() if value in missing}

    def flaws(self, key: str) -> Iterator[Anomaly]:
        """Yield what is wrong with this list by itself."""
        for seen, reader in self._suspects():
            yield from self._value_flaws(key, seen, reader)
        yield from self._order_flaws(key)
        yield from self._own_order_flaws(key)
        yield from self._lost_updates(key)
        for value, writer in self._unseen.items():
            later = [reader for _, reader in self.readers if _precedes(writer, reader)]
            if later:
                yield Anomaly(Kind.LOST_APPEND, (writer, later[0]), (f"{value} in {key} is gone",))

    def edges(self, key: str) -> Iterator[Edge[Transaction]]:
        """Yield the dependencies that follow from this list."""
        for edge in (*self._write_edges(key), *self._read_edges(key)):
            if edge.before is not edge.after:
                yield edge

    def _suspects(self) -> Iterator[tuple[tuple[str, ...], Transaction]]:
        """Yield the first read of everything, and what does not fit to it: others cannot show other values."""
        yield from [read for read in self.readers if read[0] == self._order][:1]
        yield from (read for read in self.readers if not self._fits(read[0]))

    def _fits(self, seen: tuple[str, ...]) -> bool:
        return self._order[: len(seen)] == seen

    def _value_flaws(self, key: str, seen: tuple[str, ...], reader: Transaction) -> Iterator[Anomaly]:
        twice = {value for value in seen if seen.count(value) > 1} if len(set(seen)) < len(seen) else ()
        for value in twice:
            involved = (reader, *([self._writers[value]] if value in self._writers else ()))
            yield Anomaly(Kind.DUPLICATE_APPEND, involved, (f"{key} holds {value} twice: {Read(key, seen)}",))
        for value in dict.fromkeys(seen):
            writer = self._writers.get(value)
            if writer is None:
                yield Anomaly(Kind.UNWRITTEN_VALUE, (reader,), (f"{key} holds {value}",))
            elif writer.outcome is Outcome.ABORTED:
                first = min((read for read in self.readers if value in read[0]), key=lambda read: len(read[0]))
                yield Anomaly(Kind.G1A, (writer, first[1]), (f"{value} was read in {key}",))

    def _order_flaws(self, key: str) -> Iterator[Anomaly]:
        for seen, reader in self.readers:
            if not self._fits(seen):
                other = next(reader for longest, reader in self.readers if longest == self._order)
                reasons = (f"{Read(key, seen)} is no beginning of {Read(key, self._order)}",)
                yield Anomaly(Kind.INCOMPATIBLE_ORDERS, (reader, other), reasons)
            writer = self._writers.get(seen[-1]) if seen else None
            last = self._appended[writer][-1] if writer is not None else ""
            if writer is not None and writer is not reader and last not in seen:
                reasons = (f"{key} was read up to {seen[-1]}, without {last} of the same transaction",)
                yield Anomaly(Kind.G1B, (writer, reader), reasons)

    def _own_order_flaws(self, key: str) -> Iterator[Anomaly]:
        """Yield whose appends are not in the order in which they were made."""
        shown: defaultdict[Transaction | None, list[str]] = defaultdict(list)
        for value in dict.fromkeys(self._order):
            shown[self._writers.get(value)].append(value)
        for writer, values in shown.items():
            if writer is not None and self._appended[writer][: len(values)] != tuple(values):
                yield Anomaly(Kind.INCOMPATIBLE_ORDERS, (writer,), (f"{key} holds its values as {' '.join(values)}",))

    def _lost_updates(self, key: str) -> Iterator[Anomaly]:
        by_version: defaultdict[tuple[str, ...], list[Transaction]] = defaultdict(list)
        for seen, reader in self.readers:
            if reader in self._appended:
                by_version[seen].append(reader)
        for seen, updates in by_version.items():
            if len(updates) > 1:
                yield Anomaly(Kind.LOST_UPDATE, tuple(updates), (f"all of them appended to {Read(key, seen)}",))

    def _writer(self, value: str) -> Transaction | None:
        return None if value in self._void else self._writers.get(value)

    def _write_edges(self, key: str) -> Iterator[Edge[Transaction]]:
        last = self._order[-1:]
        for value, following in (*pairwise(self._order), *((end, unseen) for end in last for unseen in self._unseen)):
            before, after = self._writer(value), self._writer(following)
            if before is not None and after is not None:
                yield Edge(before, after, Dependency.WW, f"{following} was appended to {key} after {value}")

    def _read_edges(self, key: str) -> Iterator[Edge[Transaction]]:
        for seen, reader in self.readers:
            writer = self._writer(seen[-1]) if seen else None
            if writer is not None:
                yield Edge(writer, reader, Dependency.WR, f"{seen[-1]} was seen in {key}")
            if not self._fits(seen):
                continue
            for value in self._order[len(seen) :][:1] or self._unseen:
                after = self._writer(value)
                if after is not None:
                    yield Edge(reader, after, Dependency.RW, f"{value} was not seen in {key}, {len(seen)} values were")


def _precedes(before: Transaction, after: Transaction) -> bool:
    """Whether one was complete before the other began. What is unknown is never complete."""
    return before.outcome is Outcome.COMMITTED and before.completed < after.invoked


def real_time(transactions: Iterable[Transaction]) -> Iterator[Edge[Transaction]]:
    """Yield who was complete before whom began, without what follows from others: a few edges a transaction.

    The frontier holds the completed transactions that none of the completed ones came after.
    """
    begins = [(transaction.invoked, 0, number, transaction) for number, transaction in enumerate(transactions)]
    ends = [(one.completed, 1, number, one) for _, _, number, one in begins if one.outcome is Outcome.COMMITTED]
    frontier: set[Transaction] = set()
    before: dict[Transaction, set[Transaction]] = {}
    for _, ended, _, transaction in sorted(begins + ends):
        if ended:
            frontier -= before[transaction]
            frontier.add(transaction)
        else:
            before[transaction] = set(frontier)
            for one in frontier:
                yield Edge(one, transaction, Dependency.RT, "it was complete before the other began")


def _circle(cycle: list[Edge[Transaction]]) -> Anomaly:
    kinds = [edge.kind for edge in cycle]
    kind = {
        Dependency.WW: Kind.G0,
        Dependency.WR: Kind.G1C,
        Dependency.RW: Kind.G_SINGLE if kinds.count(Dependency.RW) == 1 else Kind.G2,
        Dependency.RT: Kind.REAL_TIME,
    }[max(kinds)]
    steps = (f"{edge.before.name} -{edge.kind.name.lower()}-> {edge.after.name}: {edge.reason}" for edge in cycle)
    return Anomaly(kind, tuple(edge.before for edge in cycle), tuple(steps))
