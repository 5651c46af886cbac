"""What children do until they are killed: a live evening, and the replay of a log."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from children import CONFIG, FOLDING, PATIENCE_S, Questions, Report, reporting
from games import POST, begin, play

from pictact_actors import Lifetime, Match, Score, Store, StoreConfig
from pictact_actors.cli import opening, program
from pictact_actors.cli.evening import Evening, host_steps
from pictact_actors.model.commands import Command, PutMany

HOSTS = 3
WINDOW_MAX = 8
"""Commands that a host has in flight at the most."""
IMPORTED_POSTS = tuple(f"import_{number}" for number in range(4))
IMPORTED_USERS = tuple(f"import_{number}" for number in range(3))
NOW = 1_700_000_000.0
PLAYERS = tuple(f"player{number}" for number in range(20))


def evening_of(seed: int) -> Evening:
    """A lively evening: few guesses, most of them worth a write, and matches that end soon."""
    return Evening(
        seed,
        "kill",
        NOW,
        hosts=HOSTS,
        matches=2 * HOSTS,
        players=20,
        guesses_per_round=8,
        close_rate=0.6,
        cancelled_rate=0.05,
        correction_rate=0.05,
    )


def commands_of(seed: int, host: int) -> Iterator[Command]:
    """What a host sends in such an evening, without end."""
    steps = host_steps(evening_of(seed), host, lambda: False)
    return (step for step in steps if isinstance(step, Command))


def import_number(number: int) -> PutMany:
    """The `number`-th bulk write: the same number everywhere, in several shards."""
    records: dict[str, Any] = {}
    for post_id in IMPORTED_POSTS:
        records[f"match:{post_id}"] = Match(post_id, "active", "pics", 1, theme="imported", created_by="mod")
        records[f"score:{post_id}:ann"] = Score(post_id, "ann", points=number, wins=0)
    for user in IMPORTED_USERS:
        records[f"lifetime:{user}"] = Lifetime(user, trophies=tuple(f"t{place}" for place in range(number)))
    return PutMany(records, f"import/{number}")


def imports(numbers: range) -> Iterator[Command]:
    """Bulk writes, one after the other."""
    return (import_number(number) for number in numbers)


def live(
    report: Report,
    path: Path,
    questions: Questions,
    seed: int,
    starts: list[int],
    imported: int,
    config: StoreConfig = CONFIG,
) -> None:
    """Go on with an evening where it was left, each host at its own place."""
    store = reporting(report, questions, config).open(path)
    rng = random.Random()  # how commands share a hand-over is not part of the script
    scripts = [islice(commands_of(seed, host), start, None) for host, start in enumerate(starts)]
    scripts.append(imports(range(imported + 1, imported + 50)))
    hosts = [threading.Thread(target=_play, args=(report, store, script, rng), daemon=True) for script in scripts]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()


def _play(report: Report, store: Any, script: Iterator[Command], rng: random.Random) -> None:
    try:
        while window := list(islice(script, rng.randint(1, WINDOW_MAX))):
            for reply in store.submit(window):
                reply.get()
    except BaseException as error:
        report.send("failed", repr(error))
        raise


def replay(report: Report, path: Path, questions: Questions, log: Path) -> None:
    """Run `pictact replay`, with a store that reports."""
    opening.Store = reporting(report, questions)
    try:
        program.main(["replay", str(log), "--data", str(path), "--hosts", "8"])
    except SystemExit as end:  # the end of every command
        assert not end.code  # noqa: PT017 - the child tells why it failed


def complete_matches(report: Report, path: Path, first: int) -> None:
    """Play matches to their end, one after the other."""
    store = Store.open(path, config=CONFIG)
    report.send("opened")
    for number in count():
        post_id = f"t3_{first}_{number}"
        begin(store, post_id)
        play(store, {**{player: place for place, player in enumerate(PLAYERS)}, post_id: 1}, post_id)
        store.complete_match(post_id, trophies={post_id: ["cup"]})
        report.send("completed", post_id)


def completed_in(store: Store) -> int:
    """How many matches are completed: each has a place in the history of all its players, the others have none.

    One player of each, of the same name, plays nowhere else and got a trophy: nobody holds very many.
    """
    completed = {post_id for post_id in map(_post_of, store.scan("match:")) if store.match(post_id).status != "active"}
    for player in PLAYERS if completed else ():
        shown = store.player(player)
        assert {played.post_id for played in shown.matches} == completed
        assert shown.lifetime.matches_played == len(completed)
    assert {life.user for _, life in store.scan("lifetime:") if life.trophies} == completed
    return len(completed)


def _post_of(pair: tuple[str, Any]) -> str:
    return pair[0].partition(":")[2]


def write_and_close(report: Report, path: Path) -> None:
    """Write a little more, so that segments are rolled and folded too, and close the store."""
    store = Store.open(path, config=FOLDING)
    if not store.get_many([f"match:{POST}"]):
        begin(store)
    for _ in range(20):
        store.award_points(POST, "ann", 1)
        report.send("acknowledged")
    report.send("closing")
    store.close()
    report.send("closed")
    threading.Event().wait(PATIENCE_S)
