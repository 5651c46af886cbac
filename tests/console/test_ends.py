"""A console when its process is killed, forks, forgets to close, or writes to somebody who has gone."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from askers import desk_of
from games import begin

from pictact_actors import Store, StoreConfig, StoreLocked
from pictact_actors.storage.directory import CONSOLE

HEAD = """
import os, signal, stat, sys
from pictact_actors import AwardPoints, Store, StoreClosed
from pictact_actors.console.remote import RemoteDesk
path = sys.argv[1]
def held():
    listed = os.listdir("/proc/self/fd")
    return [int(fd) for fd in listed if os.path.exists(f"/proc/self/fd/{fd}")]
def desk():
    return RemoteDesk(path, StoreClosed("unanswered"), 20)
store = Store.open(path)
store.create_match("t3_a", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
"""
Host = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Host]:
    """Start a host that has a store open and does what a script says."""
    started: list[subprocess.Popen[str]] = []

    def living(script: str) -> subprocess.Popen[str]:
        code = HEAD + textwrap.dedent(script)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "game-data")], text=True, **pipes
        )
        started.append(child)
        return child

    yield living
    for child in started:
        child.kill()
        child.communicate()


def finished(child: subprocess.Popen[str]) -> None:
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (0, "", "")


def test_what_a_killed_process_left_is_replaced(living: Host, tmp_path: Path) -> None:
    path = tmp_path / "game-data"
    child = living("print('open', flush=True); sys.stdin.read()")
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    assert desk_of(path).get("match:t3_a")["theme"] == "sunsets"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (path / CONSOLE).is_socket()
    with pytest.raises(StoreLocked):
        desk_of(path).stats()
    with Store.open(path, config=StoreConfig(console=False)) as store:
        assert store.check() == []
    with Store.open(path) as store:
        assert stat.S_IMODE((path / CONSOLE).stat().st_mode) == 0o600
        assert desk_of(path).get("match:t3_a")["theme"] == "sunsets"
        assert store.check() == []
        info = store.backup(tmp_path / "backups")
    Store.restore(info, tmp_path / "restored")
    with Store.open(tmp_path / "restored") as store:
        assert store.check() == []
    assert not (path / CONSOLE).exists()


def test_a_data_directory_restores_with_what_a_killed_process_left(living: Host, tmp_path: Path) -> None:
    child = living("print('open', flush=True); sys.stdin.read()")
    assert child.stdout is not None
    child.stdout.readline()
    child.kill()
    child.wait()
    Store.restore(tmp_path / "game-data", tmp_path / "restored")
    assert CONSOLE not in {path.name for path in (tmp_path / "restored").iterdir()}


def test_a_forked_child_takes_nothing_away(living: Host, tmp_path: Path) -> None:
    script = """
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        store.close()
        os._exit(any(stat.S_ISSOCK(os.fstat(fd).st_mode) for fd in held()))
    assert os.waitpid(pid, 0)[1] == 0
    assert desk().get("match:t3_a")["theme"] == "sunsets"
    store.close()
    """
    finished(living(script))
    assert not (tmp_path / "game-data" / CONSOLE).exists()


def test_a_forked_child_opens_a_console_of_its_own(living: Host) -> None:
    script = """
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        path += "-child"
        with Store.open(path) as own:
            own.add_trophy("ann", "gold")
            assert desk().get("lifetime:ann")["trophies"] == ["gold"]
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert desk().get("match:t3_a")["theme"] == "sunsets"
    store.close()
    """
    finished(living(script))


def test_a_host_that_forgets_to_close_leaves_no_socket(living: Host, tmp_path: Path) -> None:
    finished(living(""))
    assert (tmp_path / "game-data" / "STORE").exists()
    assert not (tmp_path / "game-data" / CONSOLE).exists()


def test_a_host_that_dies_of_broken_pipes_does_not_die_of_ours(living: Host) -> None:
    script = """
    from pictact_actors.console import wire
    from pictact_actors.console.address import connected
    from pathlib import Path
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for reply in store.submit(AwardPoints("t3_a", f"u{n}", 1) for n in range(2_000)):
        reply.get()
    for _ in range(20):
        with connected(Path(path), 5) as caller:
            caller.sendall(wire.frame_of({"version": 1, "command": "log",
                                          "arguments": {"from_seq": None, "key": None, "user": None}}))
            caller.recv(1)
    assert desk().get("match:t3_a")["theme"] == "sunsets"
    store.close()
    """
    finished(living(script))


def test_a_socket_of_somebody_who_came_later_stays(tmp_path: Path) -> None:
    path = tmp_path / "game-data"
    with Store.open(path) as store:
        begin(store)
        (path / CONSOLE).unlink()
        (path / CONSOLE).write_text("another's")
    assert (path / CONSOLE).read_text() == "another's"
