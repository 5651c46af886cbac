"""What children do until they are killed: a live evening, and the replay of a log."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from children import Questions, Report, reporting

from pictact_actors import Lifetime, Match, Score
from pictact_actors.cli import opening, program
from pictact_actors.cli.evening import Evening, host_steps
from pictact_actors.model.commands import Command, PutMany

HOSTS = 3
WINDOW_MAX = 8
"""Commands that a host has in flight at the most."""
IMPORTED_POSTS = tuple(f"import_{number}" for number in range(4))
IMPORTED_USERS = tuple(f"import_{number}" for number in range(3))
NOW = 1_700_000_000.0


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


def live(report: Report, path: Path, questions: Questions, seed: int, starts: list[int], imported: int) -> None:
    """Go on with an evening where it was left, each host at its own place."""
    store = reporting(report, questions).open(path)
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
