"""`kill -9` at random moments: what was acknowledged is there, and nothing is half there.

Children work on one directory, one after the other. Each reports every acknowledgement through a pipe before it goes
on, and is killed after a random number of them, after a random time, or while it opens the store. The next one shows
what it found before it goes on where the last one was. All of that is held against a plain second implementation.
"""

from __future__ import annotations

import json
import logging
import random
import signal
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from children import CONFIG, Child, open_and_write
from expected import PostLedger, ledgers_of, plain, seen_in
from workloads import HOSTS, IMPORTED_POSTS, IMPORTED_USERS, WINDOW_MAX, commands_of, live, replay

from pictact_actors import AddTrophy, CreateMatch, Store
from pictact_actors.cli.gamelog import Message, messages
from pictact_actors.cli.lines import read_lines
from pictact_actors.model.commands import Command

DATA = Path(__file__).parents[3] / "shared" / "data"
LOG, OFFICIAL = DATA / "f1-1991-2012.jsonl", DATA / "f1-1991-2012.expected.json"
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
            assert self.imported <= number <= self.imported + WINDOW_MAX


def _places(ledgers: dict[str, PostLedger]) -> dict[str | None, tuple[PostLedger, int]]:
    return {
        command.request_id: (ledger, place)
        for ledger in ledgers.values()
        for place, command in enumerate(ledger.commands)
    }


# -- a live evening


def kill_an_evening(path: Path, kills: int) -> None:
    script_seed = random.getrandbits(32)
    logging.getLogger(__name__).warning("script seed %d", script_seed)
    streams = [list(islice(commands_of(script_seed, host), 60 * kills)) for host in range(HOSTS)]
    killer = Killer(streams, in_flight=WINDOW_MAX, acknowledgements_max=60)
    for _ in range(kills):
        args = (killer.questions(), script_seed, killer.frontiers(), killer.imported)
        killer.kill(Child(live, path, *args))
    with Store.open(path, config=CONFIG, create=False) as store:
        killer.verify(store)
    assert killer.verified > kills
    assert len(killer.acknowledged) > kills


def test_a_killed_evening_keeps_what_it_acknowledged_and_nothing_by_halves(tmp_path: Path) -> None:
    kill_an_evening(tmp_path / "game-data", 130)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_an_evening_killed_thousands_of_times_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    kill_an_evening(tmp_path / "game-data", 4_000)


# -- a replay


@pytest.fixture(scope="module")
def log() -> list[tuple[bytes, Message]]:
    if not LOG.exists():
        pytest.skip(f"NOT TESTED: the game log is not here: {LOG}")
    with LOG.open("rb") as file:
        sent = [message for message in messages(read_lines(file)) if isinstance(message, Message)]
    lines = LOG.read_bytes().splitlines(keepends=True)
    return [(lines[message.number - 1], message) for message in sent]


def kill_a_replay(path: Path, log: list[tuple[bytes, Message]], acknowledgements_max: int) -> None:
    """Replay a log to its end, with as many kills as it takes."""
    commands = [message.command for _, message in log]
    killer = Killer([commands], in_flight=1_100, acknowledgements_max=acknowledgements_max)
    part = path.with_suffix(".jsonl")
    while (start := killer.frontiers()[0]) < len(log):
        part.write_bytes(b"".join(line for line, _ in log[start : start + 2_000]))
        killer.kill(Child(replay, path, killer.questions(), part))
    logging.getLogger(__name__).warning("%d kills", killer.kills)
    with Store.open(path, config=CONFIG, create=False) as store:
        killer.in_flight = 0
        killer.verify(store)
        assert killer.kills > len(log) / acknowledgements_max
        hold_against_the_official_results(store)


def hold_against_the_official_results(store: Store) -> None:
    official = json.loads(OFFICIAL.read_text())
    lifetimes = [store.lifetime(key.partition(":")[2]) for key, _ in store.scan("lifetime:")]
    assert {life.user: life.total_wins for life in lifetimes if life.total_wins} == official["wins"]
    assert {life.user: life.matches_played for life in lifetimes} == official["matchesPlayed"]
    assert {life.user: list(life.trophies) for life in lifetimes if life.trophies} == official["trophies"]
    for post_id, standings in official["standings"].items():
        for driver, points in standings:
            played = {match.post_id: match for match in store.player(driver).matches}
            assert played[post_id].points == points


def test_a_killed_replay_ends_in_the_official_standings(tmp_path: Path, log: list[tuple[bytes, Message]]) -> None:
    kill_a_replay(tmp_path / "game-data", log, acknowledgements_max=260)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_a_replay_killed_a_thousand_times_ends_in_the_official_standings(
    tmp_path: Path, log: list[tuple[bytes, Message]]
) -> None:
    kill_a_replay(tmp_path / "game-data", log, acknowledgements_max=18)


# -- a directory that is only being created


def test_a_creation_killed_at_any_moment_is_taken_up_again(tmp_path: Path) -> None:
    creation = CreateMatch(
        "t3_a", subreddit="pics", rounds_total=1, theme="first", created_by="mod", request_id="the first"
    )
    for number in range(12):
        path = tmp_path / f"game-data-{number}"
        killer = Killer([[creation]], in_flight=1, acknowledgements_max=1)
        for attempt in range(6):
            with Child(open_and_write, path, ((creation.post_id,), True), [creation]) as child:
                killer._lives_until(child, "opening")
                killer._watch(child, killer.rng.uniform(0, 0.01 * (attempt + 1)), 1)
                for event in child.killed():
                    killer._note(event)
        with Store.open(path, config=CONFIG) as store:
            assert plain(store.ask(creation).get()) == "active"
            killer._acknowledge("the first", "active")
            killer.verify(store)
