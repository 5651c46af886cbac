"""A host that does everything with a store at once, and then closes it, forks, is interrupted, or ends. A script.

    python hosts.py PATH SEED ROUNDS ENDING        ENDING: one of `ENDINGS`, `interrupted`, or `alone`

It prints JSON Lines: how long each close took, and when its heart stood still. What goes wrong in a thread of its own
ends it with code 70 and the trace.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from acts import ACTS, post

from pictact_actors import AwardPoints, Store, StoreClosed, StoreConfig, StoreError

DRAIN_S = 5.0
CONFIG = StoreConfig(
    journal_segment_bytes=64 * 1024,
    journal_bytes_max=256 * 1024,
    state_buffer_bytes=64 * 1024,
    drain_timeout_s=DRAIN_S,
    request_timeout_s=20.0,
    shards=3,
    backup_interval_s=0.5,
    backups_kept=2,
)
WORKERS = 3
FAILED = 70
GAP_S = 0.05
BEAT_S = 0.004
ENDINGS: dict[str, int] = {
    "returns": 0,
    "forgets_to_close": 0,
    "sys_exit": 3,
    "os_exit": 4,
    "raises": 1,
    "sigterm": -signal.SIGTERM,
    "sigint": -signal.SIGINT,
    "closes_in_a_handler": 5,
}
"""How a host ends, and the code that its parent sees."""


class Pulse(threading.Thread):
    """Beats, and notes for how long it could not (s): without what the process had no processor for that it wanted."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self.gaps: list[float] = []
        self.start()

    def run(self) -> None:
        last, starved_s, over = monotonic(), _starved_s(), False
        while not over:
            over = self._over.wait(BEAT_S)
            now, starved_now_s = monotonic(), _starved_s()
            gap_s = now - last - max(0.0, starved_now_s - starved_s)
            if gap_s > GAP_S:
                self.gaps.append(gap_s)
            last, starved_s = now, starved_now_s

    def stop(self) -> list[float]:
        self._over.set()
        self.join()
        return self.gaps


def _starved_s() -> float:
    """How long the threads of this process have waited for a processor that others had."""
    waited_ns = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has just ended
            waited_ns += int((task / "schedstat").read_text().split()[1])
    return waited_ns / 1e9


def say(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def fail() -> None:
    """End at once: something went wrong that nobody would see otherwise."""
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(FAILED)


def act_until_closed(store: Store, seed: int, begun: threading.Event) -> None:
    """Do everything, in any order, until the store is closed."""
    rng = random.Random(seed)
    names = list(ACTS)
    try:
        while True:
            with suppress(StoreError):
                ACTS[rng.choice(names)](store, rng)
            begun.set()
            store.runtime.require_open()
    except StoreClosed:
        return
    except BaseException:  # noqa: BLE001 - it is reported, and ends the process
        fail()


def opened(path: Path, seed: int) -> Store:
    """A store on which everything is done at once."""
    store = Store.open(path, config=CONFIG)
    for number in range(20):
        with suppress(StoreError):
            store.create_match(f"t3_{number}", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
    for number in range(WORKERS):
        begun = threading.Event()
        threading.Thread(target=act_until_closed, args=(store, seed + number, begun), daemon=True).start()
        begun.wait(DRAIN_S)
    return store


def close(store: Store, rng: random.Random) -> None:
    """Close it from one to three threads at a time, twice."""
    began = monotonic()

    def twice() -> None:
        try:
            store.close()
            store.close()
        except BaseException:  # noqa: BLE001 - it is reported, and ends the process
            fail()

    closers = [threading.Thread(target=twice) for _ in range(rng.randrange(3))]
    for closer in closers:
        closer.start()
    twice()
    for closer in closers:
        closer.join()
    say(closed_s=monotonic() - began)


def fork(store: Store, rng: random.Random) -> None:
    """Fork; the child finds everything refused and ends in one way or another. The parent is not disturbed."""
    names, way = list(ACTS), rng.randrange(3)
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            for name in rng.sample(names, 10):
                require_refused(name, store, rng)
            store.close()
        except BaseException:  # noqa: BLE001 - it is reported, and ends the process
            fail()
        if way == 0:
            os._exit(0)
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert store.award_points("t3_1", "parent", 1).points


def require_refused(name: str, store: Store, rng: random.Random) -> None:
    try:
        ACTS[name](store, rng)
    except StoreClosed:
        return
    raise AssertionError(f"a forked child was let into {name}")


def alone(path: Path, seed: int, rounds: int) -> None:
    """Do one act after the other on a store that is not small: all that stands in the way of a heart is the store."""
    rng = random.Random(seed)
    pulse = Pulse()
    for _ in range(rounds):
        store = Store.open(path, config=CONFIG)
        for number in range(20):
            with suppress(StoreError):
                store.create_match(f"t3_{number}", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
        for reply in store.submit([AwardPoints(post(rng), f"u{rng.randrange(2_000)}", 1) for _ in range(5_000)]):
            reply.get()
        for act in ACTS.values():
            for _ in range(5):
                with suppress(StoreError):
                    act(store, rng)
        close(store, random.Random(0))
    say(gaps=pulse.stop())


def interrupted(path: Path, seed: int, rounds: int) -> None:
    """Press Ctrl-C in the middle of each act, many times; then everything still works, and is closed in time."""
    rng = random.Random(seed)
    store = Store.open(path, config=CONFIG)
    for number in range(20):
        store.create_match(f"t3_{number}", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
    for name, act in ACTS.items():
        for _ in range(rounds):
            press(lambda act=act: act(store, rng), rng.uniform(0, 0.003), name)  # type: ignore[misc]  # mypy and lambdas
    assert store.award_points("t3_1", "ann", 1).points
    say(leaked=sum(link.gate.in_flight for link in store.runtime.links))
    problems = store.check()
    assert problems == [], problems
    close(store, rng)
    with Store.open(path, config=CONFIG) as again:
        problems = again.check()
        assert problems == [], problems


def press(act: Callable[[], Any], after_s: float, name: str) -> None:
    """Interrupt the main thread in the middle of something."""
    faulthandler.dump_traceback_later(20, exit=True)
    armed = threading.Event()

    def pressing() -> None:
        armed.wait()
        threading.Event().wait(after_s)
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=pressing)
    finger.start()
    try:
        armed.set()
        until = monotonic() + 5
        while monotonic() < until:
            with suppress(StoreError):
                act()
        say(lost=name)  # Python gave it to something that cannot raise
    except KeyboardInterrupt:
        pass
    finger.join()
    faulthandler.cancel_dump_traceback_later()


def end(store: Store, ending: str) -> None:
    match ending:
        case "returns":
            store.close()
        case "sys_exit":
            sys.exit(3)
        case "os_exit":
            os._exit(4)
        case "raises":
            raise RuntimeError("the host fails")
        case "sigterm" | "sigint":
            os.kill(os.getpid(), signal.SIGTERM if ending == "sigterm" else signal.SIGINT)
            while True:
                with suppress(StoreError):
                    store.award_points("t3_1", "last", 1)
        case "closes_in_a_handler":
            signal.signal(signal.SIGTERM, lambda *_: (store.close(), sys.exit(5)))
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGTERM)).start()
            rng = random.Random(ending)
            while True:
                with suppress(StoreError):
                    ACTS[rng.choice(list(ACTS))](store, rng)


def main(path: Path, seed: int, rounds: int, ending: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.enable()
    if ending in ("interrupted", "alone"):
        (alone if ending == "alone" else interrupted)(path, seed, rounds)
        return
    rng = random.Random(seed)
    for number in range(rounds):
        store = opened(path, seed + 10 * number)
        fork(store, rng)
        close(store, rng)
    store = opened(path, seed - 1)
    fork(store, rng)
    end(store, ending)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
