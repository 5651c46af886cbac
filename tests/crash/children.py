"""Children to be killed: forked from one warm process that has imported everything and opened nothing."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any, Self

from expected import plain, seen_in
from games import POST, begin

from pictact_actors import Store, StoreConfig, StoreLocked
from pictact_actors.config import PERIOD_S_MAX
from pictact_actors.model.commands import Command
from pictact_actors.runtime.reply import Reply

PATIENCE_S = 30.0
CONFIG = StoreConfig(
    journal_segment_bytes=256 * 1024,
    state_buffer_bytes=256 * 1024,
    request_timeout_s=PATIENCE_S,
    shards=3,
    match_expiry_s=PERIOD_S_MAX,
)
"""Small files, so that segments roll and tables are compacted while children are killed; and matches that stay."""
FOLDING = replace(
    CONFIG,
    journal_segment_bytes=16 * 1024,
    journal_bytes_max=64 * 1024,
    state_buffer_bytes=64 * 1024,
    cleanup_interval_s=0.02,
)
"""Still smaller files, of which the old ones are folded into the base and compacted all the time."""
Questions = tuple[tuple[str, ...], bool]
"""The matches to be shown after opening, and whether to check everything."""

_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(["__main__", "pictact_actors", "pictact_actors.cli", "pictact_actors.cli.replay"])


class Report:
    """The child's end of the pipe. What was sent is known outside, whatever happens to the child."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, *event: Any) -> None:
        with self._lock:
            self._pipe.send(event)


class Child:
    """A process that opens a store and works, until it is killed."""

    def __init__(self, work: Callable[..., None], *args: Any) -> None:
        self._pipe, theirs = _warm.Pipe(duplex=False)
        self._process = _warm.Process(target=_run, args=(work, theirs, *args), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join(PATIENCE_S)
        self._process.close()
        self._pipe.close()

    def events(self, for_s: float = PATIENCE_S) -> Iterator[tuple[Any, ...]]:
        """Yield what the child reports, for some time or until it ends."""
        deadline = monotonic() + for_s
        while self._pipe.poll(max(0.0, deadline - monotonic())):
            try:
                event = self._pipe.recv()
            except (EOFError, OSError):  # it ended, perhaps in the middle of a report
                return
            assert event[0] != "failed", f"the child failed by itself:\n{event[1]}"
            yield event

    def killed(self) -> Iterator[tuple[Any, ...]]:
        """Kill it, at once and for good, and yield what it had reported by then."""
        self._process.kill()
        self._process.join(PATIENCE_S)
        return self.events()

    def terminate(self) -> None:
        """Ask it to end, as `kill` does without a number."""
        self._process.terminate()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    @property
    def signal(self) -> int:
        """What ended it; 0 if it ended by itself."""
        self._process.join(PATIENCE_S)
        return -(self._process.exitcode or 0)


def _run(work: Callable[..., None], pipe: Connection, *args: Any) -> None:
    report = Report(pipe)
    try:
        work(report, *args)
    except SystemExit:
        raise
    except BaseException:
        report.send("failed", traceback.format_exc())
        raise


class ReportedReply:
    """A reply whose answer is known outside before the sender has it."""

    def __init__(self, reply: Reply[Any], command: Command, report: Report) -> None:
        self._reply = reply
        self._command = command
        self._report = report

    def get(self, timeout: float | None = None) -> Any:
        answer = self._reply.get(timeout)
        self._report.send("acknowledged", self._command.request_id, plain(answer))
        return answer


class ReportingStore(Store):
    """A store in a child: what it shows after opening, and each acknowledgement, is reported."""

    report: Report
    questions: Questions = ((), False)
    config: StoreConfig = CONFIG

    @classmethod
    def open(cls, *args: Any, **options: Any) -> Self:
        cls.report.send("opening")
        store = super().open(*args, **{**options, "config": cls.config})
        posts, everything = cls.questions
        problems = store.check() if everything else []
        cls.report.send("opened", {post_id: seen_in(store, post_id) for post_id in posts}, problems, _imported(store))
        return store

    def submit(self, messages: Iterable[Command], timeout: float | None = None) -> list[Any]:
        listed = list(messages)
        replies = super().submit(listed, timeout)
        return [ReportedReply(reply, message, self.report) for reply, message in zip(replies, listed, strict=True)]


def reporting(report: Report, questions: Questions, config: StoreConfig = CONFIG) -> type[ReportingStore]:
    """The store of this child."""
    ReportingStore.report = report
    ReportingStore.questions = questions
    ReportingStore.config = config
    return ReportingStore


def _imported(store: Store) -> dict[str, Any]:
    """What `put_many` has written: all of it was written at once."""
    scores = {key: record.points for key, record in store.scan("score:import_")}
    trophies = {key: len(record.trophies) for key, record in store.scan("lifetime:import_")}
    return {**scores, **trophies}


def open_and_write(report: Report, path: Path, questions: Questions, commands: list[Command]) -> None:
    """Open a store, perhaps a new one, and send these commands one after the other."""
    store = reporting(report, questions).open(path)
    for command in commands:
        store.submit([command])[0].get()
    threading.Event().wait(PATIENCE_S)


def try_to_open(report: Report, path: Path) -> None:
    """Open a store, and stay if that works."""
    try:
        store = Store.open(path)
    except StoreLocked as error:
        report.send("outcome", str(error))
        return
    report.send("outcome", "opened")
    threading.Event().wait(PATIENCE_S)
    store.close()


def write_until_told(report: Report, path: Path, handled: bool) -> None:  # noqa: FBT001 - arguments of a process
    """Write, and report each acknowledgement; with a handler, end as a host does that handles SIGTERM."""
    if handled:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    store = Store.open(path, config=CONFIG)
    begin(store)
    while True:
        report.send("acknowledged", store.award_points(POST, "ann", 1).points)
