"""Eight clients, each with one operation of a YCSB mix at a time."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle
from pathlib import Path
from time import perf_counter_ns as now_ns
from typing import Any

from bench.sample import Case, require
from bench.subjects.protocol import Draw, Stored, Subject
from bench.trials.awards import together
from bench.trials.mixes import Mix, Step, steps
from bench.trials.players import DRAWS, MATCHES, POSTS
from bench.trials.trial import Effort, Found, Trial, Turn

CLIENTS = 8
LOADED_POINTS = 2


class Ycsb(Trial):
    """One mix."""

    lasting = True

    def __init__(self, mix: Mix) -> None:
        self.name = mix.name  # type: ignore[misc]  # one for each mix
        self._mix = mix
        self._case = Case(mix.name, mix.title)

    @property
    def cases(self) -> Sequence[Case]:
        return (self._case,)

    def able(self, subject: type[Subject]) -> bool:
        return self.name not in subject.LACKS

    def start(self, subject: type[Subject], directory: Path, effort: Effort) -> Turn:
        return YcsbTurn(subject, directory, self._mix, self._case, effort)


class YcsbTurn(Turn):
    """Records of two points; an update writes one point over them, a read-modify-write adds one."""

    def __init__(self, subject: type[Subject], directory: Path, mix: Mix, case: Case, effort: Effort) -> None:
        self._kind, self._directory, self._mix, self._case = subject, directory, mix, case
        self._seconds, self._keys = effort.seconds, effort.keys
        self._subject = subject(directory)
        self._subject.create(POSTS)
        for at, post in enumerate(POSTS):
            self._subject.load(post, {f"user{n:010d}": LOADED_POINTS for n in range(at, self._keys, MATCHES)})
        self._numbers = count(self._keys)
        self._newest = self._keys - 1
        self._written: list[set[int]] = [set() for _ in range(CLIENTS)]
        self._added = [0] * CLIENTS

    def measure(self, seed: int) -> Iterator[Found]:
        plans = [steps(self._mix, self._keys, DRAWS, f"{seed}/{client}") for client in range(CLIENTS)]
        yield self._case, "", together(CLIENTS, lambda client, began: self._work(client, plans[client], began))

    def close(self) -> int:
        self._subject.close()
        written = set[int]().union(*self._written)
        inserted = sum(number >= self._keys for number in written)
        untouched = self._keys - (len(written) - inserted)
        expected = Stored(self._keys + inserted, LOADED_POINTS * untouched + len(written) + sum(self._added))
        found = self._kind.stored(self._directory)
        require(found == expected, f"{self._kind.TITLE}, {self._mix.title}: {expected} acknowledged, {found} held")
        return found.records

    def _work(self, client: int, plan: Sequence[Step], began: int) -> tuple[int, array[int]]:
        deadline, latencies = began + int(self._seconds * 1e9), array("Q")
        do = self._operations(client)
        for step in cycle(plan):
            sent = now_ns()
            if sent >= deadline and latencies:
                return len(latencies), latencies
            do[step.operation](step)
            latencies.append(now_ns() - sent)
        return 0, latencies

    def _operations(self, client: int) -> dict[str, Callable[[Step], object]]:
        subject: Any = self._subject
        written, added = self._written[client], self._added

        def update(step: Step) -> None:
            number = self._met(step)
            subject.put(*_key(number))
            written.add(number)

        def insert(_: Step) -> None:
            number = next(self._numbers)
            subject.put(*_key(number))
            written.add(number)
            self._newest = max(self._newest, number)

        def add(step: Step) -> None:
            subject.award(*_key(self._met(step)))
            added[client] += 1

        return {
            "read": lambda step: subject.score(*_key(self._met(step))),
            "update": update,
            "insert": insert,
            "scan": lambda step: subject.scan(*_key(self._met(step)), step.length),
            "add": add,
        }

    def _met(self, step: Step) -> int:
        return self._met_latest(step) if self._mix.latest else step.number

    def _met_latest(self, step: Step) -> int:
        number = self._newest - step.number
        return number if number < self._keys or self._known(number) else self._keys - 1 - step.number % self._keys

    def _known(self, number: int) -> bool:
        return any(number in written for written in self._written)


def _key(number: int) -> Draw:
    return POSTS[number % MATCHES], f"user{number:010d}"
