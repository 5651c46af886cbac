"""What is done while a system call goes wrong: one command, or one step in the life of a store. Run as a script."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import cleaning
from images import CONFIG as SMALL
from once import STEPS, TIMES, content, plain
from preload import Calls, report, serve
from waiting import until

from pictact_actors import AwardPoints, Store, StoreClosed, StoreConfig, StoreError
from pictact_actors.storage.embedded import EmbeddedEngine
from pictact_actors.storage.state import state as state_module
from pictact_actors.testing import ManualClock

NOW = 1_700_000_000.0
FILLER = "t3_filler"
ATTEMPTS = 5
CONFIG = replace(
    SMALL,
    journal_bytes_max=2 * SMALL.journal_segment_bytes,
    cleanup_interval_s=3_600.0,
    request_timeout_s=20.0,
    shards=2,
)
"""Small files, and nobody cleans up by himself."""
COMMANDS: dict[str, Callable[[Store], Any]] = {
    **STEPS,
    "update_round": lambda store: store.update_round(FILLER, 1, prompt_text="!", request_id="another prompt"),
    "cancel_match": lambda store: store.cancel_match(FILLER, request_id="cancelled"),
}


def opened(path: str | Path, config: StoreConfig = CONFIG, *, create: bool = False) -> Store:
    return Store.open(path, config=config, clock=ManualClock(NOW), create=create)


def bare(answer: Any) -> Any:
    """An answer without its times, as it arrives from another process."""
    return _timeless(json.loads(json.dumps(plain(answer), default=lambda at: at.to_dict())))


def _timeless(value: Any) -> Any:
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    if isinstance(value, dict):
        return {name: _timeless(item) for name, item in value.items() if name not in TIMES}
    return value


def shown(store: Store) -> dict[str, Any]:
    """Everything in a store, as it arrives from another process; read again if the state is reopened meanwhile."""
    for _ in range(ATTEMPTS - 1):
        with suppress(StoreClosed):
            return json.loads(json.dumps(content(store)))  # type: ignore[no-any-return]
    return json.loads(json.dumps(content(store)))  # type: ignore[no-any-return]


def fill(store: Store) -> None:
    """Leave so little room in the last journal segment that the next command needs another one."""
    engine = store.runtime.engine
    assert isinstance(engine, EmbeddedEngine)
    journal, frame_bytes, room = engine._journal, 1_000, 0
    until(lambda: engine._state.pending() == 0)
    for turn in range(20):
        before = journal.written_bytes()
        room = journal._segment.size - journal._end.offset
        if room < 120:
            return
        theme = f"{turn}" + "x" * max(0, room - frame_bytes - 50)
        store.update_match(FILLER, theme=theme)
        frame_bytes = min(frame_bytes, journal.written_bytes() - before - len(theme))
    raise AssertionError(f"{room} bytes are left")


# -- tasks


def command(path: str, calls: Calls, name: str) -> None:
    """Give a command while calls go wrong, look at everything, and give it again when they work."""
    store = opened(path)
    calls.arm()
    _attempt("answered", lambda: bare(COMMANDS[name](store)))
    _wait_for_the_state(store)
    report("seen", shown(store))
    report("calls", calls.disarm())
    _attempt("repeated", lambda: bare(COMMANDS[name](store)))
    _wait_for_the_state(store, repaired=True)
    report("problems", [repr(problem) for problem in store.check()])
    store.close()


def opening(path: str, calls: Calls, *, create: bool) -> None:
    """Open a store while calls go wrong, and again when they work."""
    calls.arm()
    _attempt("opened", lambda: _looked_into(path, create=create))
    report("calls", calls.disarm())
    _attempt("reopened", lambda: _looked_into(path, create=create, checked=True))


def closing(path: str, calls: Calls) -> None:
    """Close a store that was written to while calls go wrong."""
    store = opened(path)
    store.award_points(FILLER, "late", 1)
    report("answered")
    calls.arm()
    _attempt("closed", store.close)
    report("calls", calls.disarm())


def cleanup(path: str, calls: Calls) -> None:
    """Clean up, and give back the space, while calls go wrong; then again when they work."""
    store = cleaning.opened(Path(path))
    cleaning.archiving._LINES_MAX = cleaning.LINES_MAX
    calls.arm()
    _attempt("cleaned", lambda: bool(store.cleanup()))
    report("calls", calls.disarm())
    _attempt("repeated", lambda: bool(store.cleanup()))
    _wait_for_the_state(store, repaired=True)
    report("problems", [repr(problem) for problem in store.check()])
    store.close()


def folding(path: str, calls: Calls) -> None:
    """Fold the journal while calls go wrong, and again when they work. Only one thread may: there are no actors."""
    engine = EmbeddedEngine.open(path, CONFIG, ManualClock(NOW))
    calls.arm()
    _attempt("folded", lambda: _fold(engine))
    report("calls", calls.disarm())
    _attempt("repeated", lambda: _fold(engine))
    report("problems", [repr(problem) for problem in engine.check()])
    engine.close()


def backup(path: str, calls: Calls) -> None:
    """Take a backup, into the directory itself, while calls go wrong, and another one when they work."""
    store = opened(path)
    calls.arm()
    _attempt("taken", lambda: str(store.backup().path))
    report("calls", calls.disarm())
    _attempt("repeated", lambda: str(store.backup().path))
    report("problems", [repr(problem) for problem in store.check()])
    store.close()


def stalled(path: str, calls: Calls) -> None:
    """Read while a command waits for a disk that stands still."""
    store = opened(path)
    before, slowest_s, reads = shown(store), 0.0, 0
    calls.arm()
    reply = store.submit([AwardPoints(FILLER, "late", 5)])[0]
    while not reply.done():
        begun = monotonic()
        if shown(store) == before:
            slowest_s, reads = max(slowest_s, monotonic() - begun), reads + 1
    calls.disarm()
    report("answered", reply.get().points)
    report("read", reads, int(slowest_s * 1_000))
    report("restarts", sum(shard.restarts for shard in store.statistics().shards))
    store.close()


def _attempt(name: str, work: Callable[[], Any]) -> None:
    """Report what came of something, or with which error of ours it was refused."""
    try:
        answer = work()
    except (StoreError, OSError) as error:
        report("refused", name, type(error).__name__, str(error))
    else:
        report(name, answer)


def _looked_into(path: str, *, create: bool, checked: bool = False) -> None:
    with opened(path, create=create) as store:
        report("seen", shown(store))
        if checked:
            report("problems", [repr(problem) for problem in store.check()])


def _fold(engine: EmbeddedEngine) -> None:
    engine.roll()
    for _ in engine.reclaim(urgent=True):
        pass


def _wait_for_the_state(store: Store, *, repaired: bool = False) -> None:
    """Wait until LevelDB has everything; while it cannot be written, only if that is to end now."""
    engine = store.runtime.engine
    assert isinstance(engine, EmbeddedEngine)
    state = engine._state
    until(lambda: not state.pending() or (state.failure is not None and not repaired))


if __name__ == "__main__":
    state_module._GATHER_S = state_module._RETRY_S = 0.01  # nobody else waits for the state
    with suppress(KeyboardInterrupt):
        serve({task.__name__: task for task in (command, opening, closing, cleanup, folding, backup, stalled)})
