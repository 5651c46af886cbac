"""The store in somebody else's process: it takes nothing over, prints nothing, and stops nobody's actors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pykka
import pytest
from engines import PATIENCE_S
from games import begin, play, points_of

from pictact_actors import AsyncStore, Store


class Greeter(pykka.ThreadingActor):
    """An actor of the host's."""

    def on_receive(self, message: object) -> str:
        return f"hello {message}"


class Referee(pykka.ThreadingActor):
    """An actor of the host's that uses the store."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def on_receive(self, message: str) -> object:
        return self._store.award_points("t3_a", message, 1).points


@pytest.fixture
def greeter() -> Iterator[pykka.ActorRef[Greeter]]:
    ref = Greeter.start()
    yield ref
    ref.stop()


def test_a_host_that_stops_all_its_actors_does_not_stop_the_store(
    store: Store, greeter: pykka.ActorRef[Greeter]
) -> None:
    begin(store)
    assert pykka.ActorRegistry.get_all() == [greeter]
    pykka.ActorRegistry.stop_all()
    assert not greeter.is_alive()
    assert store.award_points("t3_a", "ann", 1).points == 1
    assert store.complete_match("t3_a")


def test_closing_the_store_stops_no_actor_of_the_hosts(store: Store, greeter: pykka.ActorRef[Greeter]) -> None:
    begin(store)
    store.close()
    assert greeter.ask("host", timeout=PATIENCE_S) == "hello host"


def test_actors_of_the_host_use_the_store(store: Store) -> None:
    begin(store)
    referees = [Referee.start(store) for _ in range(4)]
    try:
        futures = [referee.ask("ann", block=False) for referee in referees for _ in range(25)]
        assert sorted(future.get(timeout=PATIENCE_S) for future in futures) == list(range(1, 101))
    finally:
        pykka.ActorRegistry.stop_all()
    assert points_of(store) == {"ann": 100}


def test_an_event_loop_of_the_hosts_goes_on_after_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        ticks: list[int] = []

        async def tick() -> None:
            while True:
                ticks.append(1)
                await asyncio.sleep(0)

        host = asyncio.create_task(tick())
        async with AsyncStore.open(tmp_path / "data") as store:
            await store.create_match("t3_a", subreddit="p", rounds_total=1, theme="t", created_by="m")
        before = len(ticks)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(ticks) > before
        assert not host.done()
        host.cancel()

    asyncio.run(main())


def test_a_blocking_store_and_an_event_loop_share_a_process(memory: Store) -> None:
    begin(memory)

    async def main() -> None:
        aio = AsyncStore(memory)
        threads = [threading.Thread(target=play, args=(memory, {"ann": 1})) for _ in range(4)]
        for thread in threads:
            thread.start()
        await asyncio.gather(*(aio.award_points("t3_a", "ann", 1) for _ in range(50)))
        for thread in threads:
            await asyncio.to_thread(thread.join)

    asyncio.run(main())
    assert points_of(memory) == {"ann": 54}


def test_several_stores_live_side_by_side(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a") as a, Store.open(tmp_path / "b") as b, Store.open(":memory:") as c:
        for store, points in ((a, 1), (b, 2), (c, 3)):
            begin(store)
            store.award_points("t3_a", "ann", points)
        assert [points_of(store)["ann"] for store in (a, b, c)] == [1, 2, 3]
        b.close()
        assert [points_of(store)["ann"] for store in (a, c)] == [1, 3]


EVENING = """
import asyncio, logging, signal, sys, threading, warnings
import structlog
def seen():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    loggers = [(name, logger.level, list(getattr(logger, "handlers", ())), getattr(logger, "propagate", None))
               for name, logger in sorted(logging.root.manager.loggerDict.items()) if name.startswith("host")]
    return (handlers, logging.root.level, list(logging.root.handlers), logging.root.manager.disable, loggers,
            structlog.get_config(), sys.excepthook, threading.excepthook, sys.getswitchinterval(),
            sys.getrecursionlimit(), list(warnings.filters), sys.stdout, sys.stderr)
logging.getLogger("host").setLevel(logging.WARNING)
before = seen()
from pictact_actors import AsyncStore, AwardPoints, NotFound, Store, StoreConfig
unhurried = StoreConfig(read_alarm_s=60, write_alarm_s=60, stall_alarm_s=60)
async def play(path):
    async with AsyncStore.open(path, config=unhurried) as store:
        await store.create_match("t3_b", subreddit="p", rounds_total=1, theme="t", created_by="m")
        await asyncio.gather(*(store.award_points("t3_b", "ann", 1) for _ in range(100)))
with Store.open(sys.argv[1], config=unhurried) as store:
    store.create_match("t3_a", subreddit="p", rounds_total=1, theme="t", created_by="m")
    for reply in store.submit([AwardPoints("t3_a", f"u{n}", n) for n in range(1000)]):
        reply.get()
    try:
        store.match("nope")
    except NotFound:
        pass
    store.leaderboard("t3_a"), list(store.scan("")), store.complete_match("t3_a")
    assert store.check() == []
asyncio.run(play(sys.argv[1]))
after = seen()
changed = [pair for pair in zip(before, after) if pair[0] != pair[1]]
assert not changed, changed
"""


def test_an_evening_changes_nothing_of_the_hosts_and_prints_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(EVENING), str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_host_that_changes_its_directory_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open("data") as store:
        monkeypatch.chdir(tmp_path.parent)
        begin(store)
        play(store, {f"u{n}": n for n in range(500)})
        assert store.check() == []
    with Store.open(tmp_path / "data", create=False) as store:
        assert len(points_of(store)) == 500
