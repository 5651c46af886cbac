"""Open stores when the process forks or ends. Each test is a small host of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from games import begin, points_of
from opening import Opener

from pictact_actors import Store

HEAD = """
import os, sys, signal, threading, time
from pictact_actors import AwardPoints, Store, StoreClosed, StoreError, StoreLocked
path = sys.argv[1]
def game(path):
    store = Store.open(path)
    store.create_match("t3_a", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
    store.award_points("t3_a", "ann", 1)
    return store
def child_says(act):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            act()
        except BaseException as error:
            print("child:", repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
def refused(act):
    try:
        act()
    except StoreClosed as error:
        assert "parent" in str(error) or "closed" in str(error), error
    else:
        raise AssertionError("not refused")
"""


def host(path: Path, script: str, *flags: str) -> str:
    """Run a host to its end; return what it printed."""
    code = HEAD + textwrap.dedent(script)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", *flags, "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_a_forked_child_is_refused_and_the_parent_goes_on(tmp_path: Path) -> None:
    script = """
    store = game(path)
    changes = store.changes(1)
    def act():
        refused(lambda: store.match("t3_a"))
        refused(lambda: store.score("t3_a", "ann"))
        refused(lambda: store.get_many(["match:t3_a"]))
        refused(lambda: list(store.scan("")))
        refused(lambda: store.leaderboard("t3_a"))
        refused(lambda: store.lifetime_leaderboard())
        refused(lambda: store.award_points("t3_a", "ann", 1))
        refused(lambda: store.tell(AwardPoints("t3_a", "ann", 1)))
        refused(lambda: store.submit([AwardPoints("t3_a", "ann", 1)])[0].get())
        refused(store.check)
        refused(store.statistics)
        refused(lambda: next(changes))
        refused(store.changes)
        store.close()
        store.close()
    child_says(act)
    assert store.award_points("t3_a", "ann", 1).points == 2
    assert store.check() == []
    store.close()
    """
    assert host(tmp_path / "data", script) == ""
    with Store.open(tmp_path / "data") as store:
        assert points_of(store) == {"ann": 2}


@pytest.mark.parametrize("place", ["path + '-child'", "':memory:'"])
def test_a_forked_child_opens_a_store_of_its_own(tmp_path: Path, place: str) -> None:
    script = f"""
    store = game(path)
    def act():
        with game({place}) as own:
            assert own.award_points("t3_a", "ann", 5).points == 6
            assert own.check() == []
    child_says(act)
    store.close()
    """
    assert host(tmp_path / "data", script) == ""


def test_a_fork_in_the_middle_of_many_waits_leaves_the_child_able_to_wait(tmp_path: Path) -> None:
    script = """
    from pictact_actors.runtime import reply
    store = game(path)
    held, forked = threading.Event(), threading.Event()
    def wait():
        with reply._MAKING:
            held.set()
            forked.wait()
    threading.Thread(target=wait, daemon=True).start()
    held.wait()
    def act():
        with game(":memory:") as own:
            assert own.award_points("t3_a", "ann", 5).points == 6
    child_says(act)
    forked.set()
    store.close()
    """
    assert host(tmp_path / "data", script) == ""


def test_a_child_that_lives_on_does_not_keep_the_parents_directory(tmp_path: Path) -> None:
    script = """
    store = game(path)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    store.close()
    with Store.open(path) as again:
        assert again.award_points("t3_a", "ann", 1).points == 2
    os.close(writing)
    os.waitpid(pid, 0)
    """
    assert host(tmp_path / "data", script) == ""


def test_forking_under_load_harms_neither_side(tmp_path: Path) -> None:
    script = """
    store = game(path)
    over = threading.Event()
    def write(host):
        while not over.is_set():
            store.award_points("t3_a", f"h{host}", 1)
    hosts = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in hosts:
        thread.start()
    for _ in range(10):
        child_says(lambda: refused(lambda: store.award_points("t3_a", "ann", 1)))
    over.set()
    for thread in hosts:
        thread.join()
    assert store.check() == []
    store.close()
    """
    assert host(tmp_path / "data", script) == ""


def test_a_host_that_forgets_to_close_ends_and_keeps_what_it_sent(tmp_path: Path) -> None:
    script = """
    store = game(path)
    for n in range(2_000):
        store.tell(AwardPoints("t3_a", "ann", 1))
    """
    assert host(tmp_path / "data", script) == ""
    with Store.open(tmp_path / "data") as store:
        assert points_of(store) == {"ann": 2_001}
        assert store.check() == []


@pytest.mark.parametrize("way_out", ["sys.exit(0)", "raise SystemExit", "os._exit(0)", "pass"])
def test_what_was_acknowledged_is_there_however_the_host_ends(tmp_path: Path, way_out: str) -> None:
    script = f"""
    store = game(path)
    store.award_points("t3_a", "bob", 5)
    {way_out}
    """
    assert host(tmp_path / "data", script) == ""
    with Store.open(tmp_path / "data") as store:
        assert points_of(store) == {"ann": 1, "bob": 5}
        assert store.check() == []


def test_a_host_that_ends_while_threads_write_is_not_held_up(tmp_path: Path) -> None:
    script = """
    store = game(path)
    started = threading.Event()
    def write():
        try:
            while True:
                store.award_points("t3_a", "ann", 1)
                started.set()
        except StoreClosed:
            pass
    threading.Thread(target=write, daemon=True).start()
    started.wait()
    """
    host(tmp_path / "data", script)
    with Store.open(tmp_path / "data") as store:
        assert points_of(store)["ann"] >= 2
        assert store.check() == []


def test_importing_without_opening_starts_nothing(tmp_path: Path) -> None:
    script = """
    assert threading.active_count() == 1
    assert not os.path.exists(path)
    """
    assert host(tmp_path / "data", script) == ""


def test_a_closed_store_leaves_no_thread_behind(tmp_path: Path) -> None:
    script = """
    for place in (path, ":memory:"):
        game(place).close()
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(20)
    assert threading.active_count() == 1, threading.enumerate()
    """
    assert host(tmp_path / "data", script) == ""


def test_a_dropped_store_can_be_opened_again_in_the_same_process(open_store: Opener) -> None:
    store = open_store()
    begin(store)
    store.close()
    assert open_store().match("t3_a")
