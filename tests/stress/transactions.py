"""What random transactions do, recorded for the checker: appends to lists, transfers between accounts.

A workload asks for one step after the other and is given the answers, so that threads and tasks of an event loop can
do the same work. Every attempt is a transaction of its own, with values that no other attempt writes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from serializability import Append, Outcome, Read, Transaction

from pictact_actors import Lifetime, Match, NotFound, PlayedMatch, Round, Score
from pictact_actors.model.records import Record, Texts

OPENING = 100
"""What each account holds in the beginning."""


class Ask(NamedTuple):
    """A method of a transaction (or of the store) to be called."""

    method: str
    args: tuple[Any, ...]
    fields: Mapping[str, Any]

    def of(self, asked: Any) -> Any:
        answer = getattr(asked, self.method)(*self.args, **self.fields)
        return dict(answer) if self.method == "scan" else answer

    async def of_aio(self, asked: Any) -> Any:
        answer = getattr(asked, self.method)(*self.args, **self.fields)
        return {key: record async for key, record in answer} if self.method == "scan" else await answer


Steps = Generator[Ask, Any, Any]


def ask(method: str, *args: Any, **fields: Any) -> Ask:
    return Ask(method, args, fields)


def found(key: str) -> Steps:
    """Ask for a record; None if there is none."""
    try:
        return (yield ask("get", key))
    except NotFound:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Recorded(Transaction):
    """A transaction and the balances that it saw, each with the transfers that led to it."""

    balances: Mapping[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)


class Attempt:
    """What one attempt did so far. `complete` says that it has nothing left to do but to commit."""

    def __init__(self, name: str, *, complete: bool = False) -> None:
        self.name = name
        self.complete = complete
        self.balances: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._invoked = time.monotonic_ns()
        self._operations: list[Append | Read] = []

    def read(self, key: str, record: Record | None) -> tuple[str, ...]:
        """Note what a list holds."""
        self._operations.append(Read(key, values(record)))
        return values(record)

    def append(self, key: str, suffix: str = "") -> str:
        """Note an append; return the value."""
        value = f"{self.name}.{len(self._operations)}{suffix}"
        self._operations.append(Append(key, value))
        return value

    def ended(self, outcome: Outcome) -> Recorded:
        return Recorded(self.name, self._invoked, time.monotonic_ns(), self._operations, outcome, self.balances)


def values(record: Record | None) -> tuple[str, ...]:
    """The list in a record."""
    if isinstance(record, Round):
        return tuple(record.reference_images)
    return tuple(record.trophies) if isinstance(record, Lifetime) else ()


def grown(key: str, record: Record | None, value: str) -> Record:
    """A record with one more value in its list."""
    held = Texts((*values(record), value))
    if key.startswith("lifetime:"):
        return replace(record or Lifetime(key.partition(":")[2]), trophies=held)
    _, post_id, index = key.split(":")
    return replace(record or Round(post_id, int(index)), reference_images=held)


class Workload(Protocol):
    keys: list[str]
    """Of all lists."""
    opening: list[Record]
    """What is there in the beginning."""

    def steps(self, attempt: Attempt, rng: random.Random) -> Steps:
        """One transaction."""

    def alone(self, attempt: Attempt, rng: random.Random) -> Steps:
        """One call outside of any transaction."""


class Lists:
    """Lists in posts (reference images of rounds) and in users (trophies): read, scanned, appended to."""

    def __init__(self, posts: int = 3, rounds: int = 2, users: int = 4) -> None:
        self._posts = [f"p{n}" for n in range(posts)]
        self._users = [f"u{n}" for n in range(users)]
        self.keys = [f"round:{post}:{index}" for post in self._posts for index in range(rounds)]
        self.keys += [f"lifetime:{user}" for user in self._users]
        self.opening = [Match(post) for post in self._posts]

    def steps(self, attempt: Attempt, rng: random.Random) -> Steps:
        kinds = [self._append, self._award, self._read, self._read_many, self._scan, self._complete]
        for _ in range(rng.randint(1, 4)):
            (step,) = rng.choices(kinds, [10, 4, 6, 4, 2, 1])
            yield from step(attempt, rng)

    def alone(self, attempt: Attempt, rng: random.Random) -> Steps:
        step = rng.choice([self._complete, self._update, self._award, self._read, self._read_many, self._scan])
        return step(attempt, rng)

    def _append(self, attempt: Attempt, rng: random.Random) -> Steps:
        key = rng.choice(self.keys)
        record = yield from found(key)
        attempt.read(key, record)
        longer = grown(key, record, attempt.append(key))
        if isinstance(longer, Round) and record is not None and rng.random() < 0.3:
            yield ask("update_round", longer.post_id, longer.index, reference_images=values(longer))
            return
        if rng.random() < 0.2:
            yield ask("delete", key)
        yield ask("put", key, longer)

    def _award(self, attempt: Attempt, rng: random.Random) -> Steps:
        """Append without reading first, with a command."""
        user = rng.choice(self._users)
        key = f"lifetime:{user}"
        after = yield ask("add_trophy", user, attempt.append(key))
        attempt.read(key, after)

    def _complete(self, attempt: Attempt, rng: random.Random) -> Steps:
        """Append to several lists with one command: a match of its own is completed."""
        post = f"match-{attempt.name}-{rng.random()}"
        yield ask("create_match", post, subreddit="pics", rounds_total=1, theme="cups", created_by="mod")
        trophies = {user: [attempt.append(f"lifetime:{user}")] for user in rng.sample(self._users, 2)}
        yield ask("complete_match", post, trophies=trophies)

    def _update(self, attempt: Attempt, rng: random.Random) -> Steps:
        key = rng.choice(self.keys)
        value = attempt.append(key)
        after = yield ask("update", key, lambda record: grown(key, record, value))
        attempt.read(key, after)

    def _read(self, attempt: Attempt, rng: random.Random) -> Steps:
        key = rng.choice(self.keys)
        attempt.read(key, (yield from found(key)))

    def _read_many(self, attempt: Attempt, rng: random.Random) -> Steps:
        wanted = rng.sample(self.keys, rng.randint(2, 5))
        records = yield ask("get_many", wanted)
        for key in wanted:
            attempt.read(key, records.get(key))

    def _scan(self, attempt: Attempt, rng: random.Random) -> Steps:
        """Read a post's lists, or those of all users: also those that are not there."""
        prefix = rng.choice([*(f"round:{post}:" for post in self._posts), "lifetime:"])
        records = yield ask("scan", prefix)
        for key in self.keys:
            if key.startswith(prefix):
                attempt.read(key, records.get(key))


class Account(NamedTuple):
    """Two records of one group: the list of all transfers that touched it, and the balance."""

    moves: str
    balance: str


class Bank:
    """Accounts of posts and users; every transfer is noted in both of its accounts."""

    def __init__(self, posts: int = 3, users: int = 3) -> None:
        names = [f"p{n}" for n in range(posts)], [f"u{n}" for n in range(users)]
        self._accounts = [Account(f"round:{post}:1", f"score:{post}:till") for post in names[0]]
        self._accounts += [Account(f"lifetime:{user}", f"history:{user}:bank") for user in names[1]]
        self.keys = [account.moves for account in self._accounts]
        self.opening = []
        for post in names[0]:
            self.opening += [Match(post), Round(post, 1), Score(post, "till", OPENING)]
        for user in names[1]:
            self.opening += [Lifetime(user, 0, 1, OPENING), PlayedMatch(user, "bank", OPENING)]

    def steps(self, attempt: Attempt, rng: random.Random) -> Steps:
        if rng.random() < 0.7:
            return self._transfer(attempt, rng)
        return rng.choice([self._audit, self._audit_one_by_one, self._audit_by_scans])(attempt, rng)

    def alone(self, attempt: Attempt, rng: random.Random) -> Steps:
        return self._audit(attempt, rng)

    def flaws(self, history: Iterable[Transaction]) -> list[str]:
        """What is wrong with the balances that committed transactions saw."""
        wrong = []
        for one in history:
            if one.outcome is Outcome.COMMITTED and isinstance(one, Recorded):
                for key, (balance, moves) in one.balances.items():
                    if balance != OPENING + sum(map(_amount, moves)):
                        wrong.append(f"{key} holds {balance} after {' '.join(moves)}, says {one}")
                total = sum(balance for balance, _ in one.balances.values())
                if len(one.balances) == len(self._accounts) and total != OPENING * len(self._accounts):
                    wrong.append(f"all accounts hold {total}, says {one}")
        return wrong

    def _transfer(self, attempt: Attempt, rng: random.Random) -> Steps:
        amount = rng.randint(1, 9)
        for account, given in zip(rng.sample(self._accounts, 2), (-amount, amount), strict=True):
            records = yield ask("get_many", account)
            self._see(attempt, [account], records)
            move = attempt.append(account.moves, f"{given:+d}")
            for record in records.values():
                yield ask("put", record.key, _moved(record, move, given))

    def _audit(self, attempt: Attempt, rng: random.Random) -> Steps:
        accounts = rng.sample(self._accounts, len(self._accounts))
        records = yield ask("get_many", [key for account in accounts for key in account])
        self._see(attempt, accounts, records)

    def _audit_one_by_one(self, attempt: Attempt, rng: random.Random) -> Steps:
        for account in rng.sample(self._accounts, len(self._accounts)):
            records = {}
            for key in rng.sample(account, 2):
                records[key] = yield from found(key)
            self._see(attempt, [account], records)

    def _audit_by_scans(self, attempt: Attempt, rng: random.Random) -> Steps:
        records: dict[str, Record] = {}
        for prefix in rng.sample(["round:", "score:", "lifetime:", "history:"], 4):
            records |= yield ask("scan", prefix)
        self._see(attempt, self._accounts, records)

    def _see(self, attempt: Attempt, accounts: Iterable[Account], records: Mapping[str, Any]) -> None:
        for account in accounts:
            moves = attempt.read(account.moves, records[account.moves])
            attempt.balances[account.moves] = records[account.balance].points, moves


def _amount(move: str) -> int:
    sign = "+" if "+" in move else "-"
    return int(sign + move.rpartition(sign)[2])


def _moved(record: Record, move: str, given: int) -> Record:
    if isinstance(record, Lifetime):
        return replace(record, trophies=Texts((*record.trophies, move)), total_points=record.total_points + given)
    if isinstance(record, Round):
        return replace(record, reference_images=Texts((*record.reference_images, move)))
    return replace(record, points=record.points + given)  # type: ignore[attr-defined]
