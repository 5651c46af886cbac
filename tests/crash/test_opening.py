"""Opening what is open, what is not ours, and what is not writable; forking, and ending without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import CONFIG, Child, try_to_open, write_until_told
from games import POST, begin, play, points_of

from pictact_actors import NotAStore, Store, StoreLocked

TIMEOUT_S = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "game-data"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """An open store with a match, which has to work to the end of the test."""
    with Store.open(path, config=CONFIG) as store:
        begin(store)
        yield store
        play(store, {"ann": 1})
        assert store.check() == []


def contents(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def outcome(child: Child) -> str:
    """How a child's attempt to open a store ended."""
    return next(event[1] for event in child.events() if event[0] == "outcome")


# -- held by somebody


def test_a_second_store_in_the_same_process_is_refused_and_the_first_goes_on(store: Store, path: Path) -> None:
    with pytest.raises(StoreLocked, match=f"held by process {os.getpid()}; close that store first"):
        Store.open(path)
    assert store.match(POST).post_id == POST


@pytest.mark.parametrize("spelling", ["link", "game-data/../game-data", "other/../link/."])
def test_another_spelling_of_the_path_is_the_same_directory(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    (path.parent / "link").symlink_to(path)
    (path.parent / "other").mkdir()
    monkeypatch.chdir(path.parent)
    for name in (spelling, path.parent / spelling):
        with pytest.raises(StoreLocked):
            Store.open(name)
    assert store.match(POST).post_id == POST


def test_a_store_in_another_process_is_refused_and_named(store: Store, path: Path) -> None:
    with Child(try_to_open, path) as child:
        assert f"held by process {os.getpid()}" in outcome(child)
    assert store.match(POST).post_id == POST


def test_a_store_of_another_process_is_named_and_free_when_that_is_gone(path: Path) -> None:
    with Child(try_to_open, path) as child:
        assert outcome(child) == "opened"
        with pytest.raises(StoreLocked, match=f"held by process {child.pid}"):
            Store.open(path)
        list(child.killed())
    with Store.open(path) as store:
        assert store.check() == []


def test_a_closed_store_can_be_opened_at_once_again_and_again(path: Path) -> None:
    for number in range(5):
        with Store.open(path, config=CONFIG) as store:
            begin(store, f"t3_{number}")
    with Store.open(path, config=CONFIG) as store:
        assert len(list(store.scan("match:"))) == 5


# -- not ours


def test_a_file_instead_of_a_directory_is_refused_and_untouched(path: Path) -> None:
    path.write_bytes(b"my diary")
    with pytest.raises(NotAStore, match="it is a file"):
        Store.open(path)
    assert path.read_bytes() == b"my diary"


@pytest.mark.parametrize("name", ["notes.txt", "journal/monday.md", "state/000005.ldb", "STORE.d/x"])
def test_a_directory_of_something_else_is_refused_and_untouched(path: Path, name: str) -> None:
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(b"mine")
    before = contents(path)
    with pytest.raises(NotAStore, match="something else"):
        Store.open(path)
    assert contents(path) == before


@pytest.fixture
def read_only(path: Path) -> Iterator[Path]:
    """A file system that takes no writes, not even root's; unmounted at the end."""
    path.mkdir()
    with Store.open(path / "made-before", config=CONFIG) as store:
        begin(store)
    (path / "empty").mkdir()
    for options in (["--bind", str(path)], ["-o", "remount,ro,bind"]):
        mounted = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True, check=False)  # noqa: S607
        if mounted.returncode:
            pytest.skip(f"NOT TESTED: a read-only mount needs root: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)  # noqa: S607


@pytest.mark.parametrize("name", ["made-before", "empty", "not-there"])
def test_a_read_only_directory_is_refused_with_its_reason(read_only: Path, name: str) -> None:
    with pytest.raises(NotAStore, match="Read-only file system"):
        Store.open(read_only / name)


# -- forks


FORKS = """
import os, signal, sys, threading, time
from pictact_actors import Store, StoreClosed, StoreConfig

def refused(call):
    try:
        call()
    except StoreClosed as error:
        return "parent process" in str(error)
    return False

store = Store.open(sys.argv[1], config=StoreConfig(state_buffer_bytes=65536, cache_bytes_max=4096))
store.create_match("m", subreddit="s", rounds_total=1, theme="t", created_by="mod")
done = threading.Event()
written = [0] * 3
def write(place):
    while not done.is_set():
        store.award_points("m", f"user{place}-{written[place] % 50}", 1)
        written[place] += 1
writers = [threading.Thread(target=write, args=(place,)) for place in range(3)]
for writer in writers:
    writer.start()
for number in range(20):
    while sum(written) < 20 * number:
        time.sleep(0.001)
    child = os.fork()
    if not child:
        calls = [lambda: store.award_points("m", "ann", 1), lambda: store.score("m", "user0-0"),
                 lambda: store.leaderboard("m"), lambda: list(store.scan("")), lambda: store.get_many(["match:m"]),
                 lambda: store.submit([]) or store.match("m"), lambda: store.check()]
        ok = all([refused(call) for call in calls])
        store.close()
        sys.exit(0 if ok else 3)  # the whole interpreter ends here, with everything it inherited
    signal.alarm(20)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child"
    signal.alarm(0)
done.set()
for writer in writers:
    writer.join()
assert store.check() == []
assert sum(record.points for _, record in store.scan("score:")) == sum(written)
store.close()
print("fine")
"""


def test_a_forked_child_is_refused_and_ends_well_while_its_parent_goes_on(path: Path) -> None:
    assert ran(FORKS, path) == (0, "fine\n", "")


FORK_AND_DIE = """
import os, signal, sys
from pictact_actors import Store
store = Store.open(sys.argv[1])
if not os.fork():
    print(os.getpid(), flush=True)
    signal.pause()
signal.pause()
"""


def test_a_directory_is_free_when_its_holder_is_gone_although_a_child_lives_on(path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK_AND_DIE, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        child = int(host.stdout.readline())
        try:
            with pytest.raises(StoreLocked):
                Store.open(path)
            host.kill()
            host.wait(TIMEOUT_S)
            with Store.open(path) as store:
                begin(store)
        finally:
            os.kill(child, signal.SIGKILL)


# -- ends


def ran(script: str, *args: object) -> tuple[int, str, str]:
    """Run a host of its own; return its exit code and what it said."""
    command = [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning", "-c", script]
    host = subprocess.run([*command, *map(str, args)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return host.returncode, host.stdout, host.stderr


ENDS_WITHOUT_CLOSING = """
import sys, threading
from contextlib import suppress
from pictact_actors import AwardPoints, Store, StoreClosed
store = Store.open(sys.argv[1])
store.create_match("t3_a", subreddit="s", rounds_total=1, theme="t", created_by="mod")
store.submit([AwardPoints("t3_a", f"user{number % 20}", 1) for number in range(2_000)])
how = sys.argv[2]
if how == "reading":
    def read():
        with suppress(StoreClosed):
            while True:
                list(store.scan(""))
                store.leaderboard("t3_a")
    for _ in range(3):
        threading.Thread(target=read, daemon=True).start()
if how == "exit":
    sys.exit(0)
if how == "cursor":
    pairs = store.scan("")
    next(pairs)
"""


@pytest.mark.parametrize("how", ["the end", "exit", "reading", "cursor"])
def test_a_host_that_ends_without_closing_ends_well_and_finishes_what_was_in_flight(path: Path, how: str) -> None:
    assert ran(ENDS_WITHOUT_CLOSING, path, how) == (0, "", "")
    with Store.open(path) as store:
        assert store.check() == []
        assert points_of(store) == {f"user{number}": 100 for number in range(20)}


@pytest.mark.parametrize("handled", [False, True], ids=["by default", "with a handler that exits"])
def test_a_terminated_host_keeps_what_was_acknowledged(path: Path, handled: bool) -> None:  # noqa: FBT001 - a parameter
    with Child(write_until_told, path, handled) as child:
        events = child.events()
        acknowledged = [next(events) for _ in range(50)]
        child.terminate()
        acknowledged += events
        assert child.signal == (0 if handled else signal.SIGTERM)
    with Store.open(path, config=CONFIG) as store:
        assert store.check() == []
        assert store.score(POST, "ann").points >= max(points for _, points in acknowledged)


def test_a_store_closed_by_two_threads_and_used_by_others_ends_every_call(path: Path) -> None:
    script = """
import sys, threading
from pictact_actors import Store, StoreClosed
store = Store.open(sys.argv[1])
store.create_match("t3_a", subreddit="s", rounds_total=1, theme="t", created_by="mod")
started, ended = threading.Barrier(12), []
def use(call):
    started.wait(20)
    try:
        while True:
            call()
    except StoreClosed:
        ended.append(call)
calls = [lambda: store.award_points("t3_a", "ann", 1), lambda: list(store.scan("")), lambda: store.match("t3_a"),
         lambda: store.leaderboard("t3_a"), lambda: store.check()]
users = [threading.Thread(target=use, args=(call,)) for call in calls * 2]
closers = [threading.Thread(target=lambda: (started.wait(20), store.close())) for _ in range(2)]
for thread in users + closers:
    thread.start()
for thread in users + closers:
    thread.join(20)
print(len(ended))
"""
    assert ran(script, path) == (0, "10\n", "")
    with Store.open(path) as store:
        assert store.check() == []
