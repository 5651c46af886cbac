"""Kills children at moments of a seed, and holds what the next ones find against what the dead had acknowledged."""

from __future__ import annotations

import logging
import random
import signal
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from children import CONFIG, Child
from expected import PostLedger, ledgers_of, seen_in
from workloads import HOSTS, IMPORTED_POSTS, IMPORTED_USERS, WINDOW_MAX, commands_of, live

from pictact_actors import AddTrophy, Store, StoreConfig
from pictact_actors.model.commands import Command

OPENING_S = 0.015
LIVING_S = 0.06
FULL_CHECK_EVERY = 10


class Killer:
    """Kills children at moments of a seed, and keeps the account of what they acknowledged."""

    def __init__(self, streams: Sequence[Sequence[Command]], in_flight: int, acknowledgements_max: int) -> None:
        self.seed = random.getrandbits(32)
        logging.getLogger(__name__).warning("seed %d", self.seed)
        self.rng = random.Random(self.seed)
        self.streams = streams
        self.ledgers = ledgers_of(streams)
        self.in_flight = in_flight
        self.acknowledgements_max = acknowledgements_max
        self.acknowledged: set[str | None] = set()
        self.imported = 0
        self.kills = self.verified = 0
        self._places = _places(self.ledgers)
        self._frontiers = [0] * len(streams)

    def frontiers(self) -> list[int]:
        """The first command of each stream that is not known to be there."""
        for number, stream in enumerate(self.streams):
            while self._frontiers[number] < len(stream) and self._known(stream[self._frontiers[number]]):
                self._frontiers[number] += 1
        return self._frontiers

    def questions(self) -> tuple[tuple[str, ...], bool]:
        """The matches in which something happened lately; now and then all of them."""
        everything = self.kills % FULL_CHECK_EVERY == 0
        flying = [
            command
            for stream, start in zip(self.streams, self.frontiers(), strict=True)
            for command in stream[max(0, start - self.acknowledgements_max) : start + self.in_flight]
        ]
        posts = {getattr(command, "post_id", None) for command in flying}
        return tuple(post_id for post_id in self.ledgers if everything or post_id in posts), everything

    def kill(self, child: Child) -> None:
        """Let a child live for a while, kill it, and take note of everything that it reported."""
        self.kills += 1
        how = self.rng.choice(("opening", "time", "acknowledgements", "acknowledgements"))
        with child:
            if self._lives_until(child, "opening") and how == "opening":
                self._watch(child, self.rng.uniform(0, OPENING_S), 0)
            elif self._lives_until(child, "opened"):
                count = self.rng.randint(1, self.acknowledgements_max) if how == "acknowledgements" else 0
                self._watch(child, self.rng.uniform(0, LIVING_S) if how == "time" else 20.0, count)
            self.end(child)

    def end(self, child: Child) -> None:
        """End it, and take note of what it had reported by then."""
        for event in child.killed():
            self._note(event)
        assert child.signal in (0, signal.SIGKILL)

    def verify(self, store: Store) -> None:
        """Hold a whole store against the account."""
        assert store.check() == []
        for post_id, ledger in self.ledgers.items():
            ledger.verify(seen_in(store, post_id), self.in_flight)
        for stream in self.streams:
            for command in stream:
                if command.request_id in self.acknowledged and isinstance(command, AddTrophy):
                    assert command.trophy in store.lifetime(command.user).trophies

    def _known(self, command: Command) -> bool:
        return command.request_id in self.acknowledged

    def _lives_until(self, child: Child, name: str) -> bool:
        for event in child.events():
            self._note(event)
            if event[0] == name:
                return True
        return False

    def _watch(self, child: Child, for_s: float, acknowledgements: int) -> None:
        for event in child.events(for_s):
            self._note(event)
            acknowledgements -= event[0] == "acknowledged"
            if not acknowledgements:
                return

    def _note(self, event: tuple[Any, ...]) -> None:
        match event:
            case ("acknowledged", str(request_id), answer):
                self._acknowledge(request_id, answer)
            case ("opened", seen, problems, imported):
                self._verify(seen, problems, imported)

    def _acknowledge(self, request_id: str, answer: object) -> None:
        self.acknowledged.add(request_id)
        if request_id.startswith("import/"):
            self.imported = int(request_id.removeprefix("import/"))
        elif request_id in self._places:
            ledger, place = self._places[request_id]
            ledger.acknowledge(place, answer)

    def _verify(self, seen: dict[str, Any], problems: list[Any], imported: dict[str, int]) -> None:
        assert problems == []
        for post_id, shown in seen.items():
            self.ledgers[post_id].verify(shown, self.in_flight)
            self.verified += 1
        if imported or self.imported:
            assert len(imported) == len(IMPORTED_POSTS) + len(IMPORTED_USERS)
            (number,) = set(imported.values())
            assert self.imported <= number <= self.imported + max(WINDOW_MAX, self.in_flight)


def _places(ledgers: dict[str, PostLedger]) -> dict[str | None, tuple[PostLedger, int]]:
    return {
        command.request_id: (ledger, place)
        for ledger in ledgers.values()
        for place, command in enumerate(ledger.commands)
    }


def evening_streams(seed: int, commands: int) -> list[list[Command]]:
    """What each host of an evening sends, up to a number of commands."""
    logging.getLogger(__name__).warning("script seed %d", seed)
    return [list(islice(commands_of(seed, host), commands)) for host in range(HOSTS)]


def kill_an_evening(killer: Killer, seed: int, path: Path, kills: int, config: StoreConfig = CONFIG) -> None:
    """Let one child after the other go on with an evening, and hold what is left in the end against the account."""
    for _ in range(kills):
        args = (killer.questions(), seed, killer.frontiers(), killer.imported, config)
        killer.kill(Child(live, path, *args))
    with Store.open(path, config=config, create=False) as store:
        killer.verify(store)
    assert killer.verified > kills
    assert len(killer.acknowledged) > kills
