"""`kill -9` at random moments: what was acknowledged is there, and nothing is half there.

Children work on one directory, one after the other. Each reports every acknowledgement through a pipe before it goes
on, and is killed after a random number of them, after a random time, or while it opens the store. The next one shows
what it found before it goes on where the last one was. All of that is held against a plain second implementation.
"""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path

import amounts
import pytest
from children import CONFIG, FOLDING, Child, open_and_write
from expected import plain
from killer import Killer, evening_streams, kill_an_evening
from workloads import WINDOW_MAX, replay

from pictact_actors import CreateMatch, Store, StoreConfig
from pictact_actors.cli.gamelog import Message, messages
from pictact_actors.cli.lines import read_lines

DATA = Path(__file__).parents[3] / "shared" / "data"
LOG, OFFICIAL = DATA / "f1-1991-2012.jsonl", DATA / "f1-1991-2012.expected.json"


CONFIGS = {"plain": CONFIG, "folding": FOLDING}


# -- a live evening


def kill(path: Path, kills: int, config: StoreConfig) -> None:
    seed = random.getrandbits(32)
    killer = Killer(evening_streams(seed, 60 * kills), in_flight=WINDOW_MAX, acknowledgements_max=60)
    kill_an_evening(killer, seed, path, kills, config)


@pytest.mark.parametrize("evening", range(amounts.EVENINGS))
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_killed_evening_keeps_what_it_acknowledged_and_nothing_by_halves(
    tmp_path: Path, config: StoreConfig, evening: int
) -> None:
    kill(tmp_path / f"evening-{evening}", amounts.KILLS_AN_EVENING, config)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_an_evening_killed_thousands_of_times_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    kill(tmp_path / "game-data", 4_000, CONFIG)


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
    for number in range(amounts.CREATIONS):
        path = tmp_path / f"game-data-{number}"
        killer = Killer([[creation]], in_flight=1, acknowledgements_max=1)
        for attempt in range(amounts.KILLS_A_CREATION):
            with Child(open_and_write, path, ((creation.post_id,), True), [creation]) as child:
                killer._lives_until(child, "opening")
                killer._watch(child, killer.rng.uniform(0, 0.01 * (attempt + 1)), 1)
                for event in child.killed():
                    killer._note(event)
        with Store.open(path, config=CONFIG) as store:
            assert plain(store.ask(creation).get()) == "active"
            killer._acknowledge("the first", "active")
            killer.verify(store)
