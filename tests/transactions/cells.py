"""Records as cells that hold a number, so that a step of a transaction reads like one, and runs on a dictionary too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pictact_actors import Lifetime, Match, NotFound, Score, Store
from pictact_actors.model.keys import parse, shard_of
from pictact_actors.model.records import Record, Texts

SHARDS = 4


class Cells(Protocol):
    """What a step works on."""

    def read(self, key: str) -> int | None: ...

    def write(self, key: str, value: int) -> None: ...

    def delete(self, key: str) -> None: ...

    def scan(self, prefix: str) -> dict[str, int]: ...


Step = Callable[[Cells], object]
Condition = Callable[[int], bool]


def everything(_value: int) -> bool:
    return True


class InTransaction:
    """The cells as a transaction sees them."""

    def __init__(self, tx: Any) -> None:
        self.tx = tx

    def read(self, key: str) -> int | None:
        try:
            return value_of(self.tx.get(key))
        except NotFound:
            return None

    def write(self, key: str, value: int) -> None:
        put(self.tx, key, value)

    def delete(self, key: str) -> None:
        self.tx.delete(key)

    def scan(self, prefix: str) -> dict[str, int]:
        return {key: value_of(record) for key, record in self.tx.scan(prefix)}


class OneByOne:
    """The cells as they would be if transactions ran one after the other."""

    def __init__(self, values: Mapping[str, int]) -> None:
        self.values = dict(values)

    def read(self, key: str) -> int | None:
        return self.values.get(key)

    def write(self, key: str, value: int) -> None:
        self.values[key] = value

    def delete(self, key: str) -> None:
        self.values.pop(key, None)

    def scan(self, prefix: str) -> dict[str, int]:
        return {key: self.values[key] for key in sorted(self.values) if key.startswith(prefix)}


def record_of(key: str, value: int) -> Record:
    """A record that may be stored under a key and holds a number."""
    kind, ids, _ = parse(key)
    match kind:
        case "match":
            return Match(str(ids[0]), rounds_total=value)
        case "score":
            return Score(str(ids[0]), str(ids[1]), value)
        case "lifetime":
            return Lifetime(str(ids[0]), trophies=Texts((str(value),)))
    raise AssertionError(f"no cell can be kept under {key}")


def put(tx: Any, key: str, value: int) -> Any:
    """Write a number into a cell."""
    return tx.put(key, record_of(key, value))


def leave_with(error: BaseException | type[BaseException], store: Store, act: Callable[[Any], Any]) -> None:
    """Do something in a transaction whose block is left with an exception."""
    with store.transaction() as tx:
        act(tx)
        raise error


def value_of(record: Record) -> int:
    """The number that a record holds."""
    match record:
        case Match():
            return record.rounds_total
        case Score():
            return int(record.points)
        case Lifetime():
            return int(record.trophies[0])
    raise AssertionError(f"{record} is no cell")


def values_in(store: Store) -> dict[str, int]:
    """Every cell of a store, as it is committed."""
    return {key: value_of(record) for key, record in store.scan("")}


def fill(store: Store, values: Mapping[str, int]) -> None:
    """Put numbers into cells, and the matches that their posts need."""
    posts = {str(ids[0]) for kind, ids, _ in map(parse, values) if kind == "score"}
    records: dict[str, Record] = {f"match:{post}": Match(post) for post in posts}
    store.put_many({**records, **{key: record_of(key, value) for key, value in values.items()}})


def post_in(shard: int, nth: int = 0) -> str:
    """A post whose group lives in a shard."""
    return [f"p{n}" for n in range(200) if shard_of(f"match:p{n}", SHARDS) == shard][nth]


def user_in(shard: int, nth: int = 0) -> str:
    """A player whose group lives in a shard."""
    return [f"u{n}" for n in range(200) if shard_of(f"lifetime:u{n}", SHARDS) == shard][nth]


X, Y, Z = f"score:{post_in(0)}:ann", f"score:{post_in(1)}:bob", f"lifetime:{user_in(2)}"
"""Three cells in three shards."""
POST = post_in(0)
"""The post of the first."""


# -- steps


def read(key: str) -> Step:
    return lambda cells: cells.read(key)


def write(key: str, value: int) -> Step:
    return lambda cells: cells.write(key, value)


def add(key: str, number: int) -> Step:
    """Read a cell, then write it."""

    def step(cells: Cells) -> int:
        value = (cells.read(key) or 0) + number
        cells.write(key, value)
        return value

    return step


def delete(key: str) -> Step:
    return lambda cells: cells.delete(key)


def select(prefix: str, where: Condition = everything) -> Step:
    return lambda cells: [(key, value) for key, value in cells.scan(prefix).items() if where(value)]


def add_where(prefix: str, number: int, where: Condition = everything) -> Step:
    """Change every cell that meets a condition."""

    def step(cells: Cells) -> int:
        met = [(key, value) for key, value in cells.scan(prefix).items() if where(value)]
        for key, value in met:
            cells.write(key, value + number)
        return len(met)

    return step


def delete_where(prefix: str, where: Condition) -> Step:
    """Delete every cell that meets a condition."""

    def step(cells: Cells) -> int:
        met = [key for key, value in cells.scan(prefix).items() if where(value)]
        for key in met:
            cells.delete(key)
        return len(met)

    return step
