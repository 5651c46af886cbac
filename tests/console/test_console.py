"""A console in a running store: who may come in, when it is there, and that it offers no more than the command line."""

from __future__ import annotations

import logging
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from askers import PATIENCE_S, answer_to, desk_of, ends, question, said_to
from games import begin, play
from opening import MEMORY, Opener
from waiting import until

from pictact_actors import BackupInvalid, InvalidKey, NotFound, Store, StoreClosed, StoreConfig, StoreLocked
from pictact_actors.clock import monotonic
from pictact_actors.console import server, wire
from pictact_actors.console.address import Door
from pictact_actors.console.desk import Desk
from pictact_actors.console.offers import OFFERS
from pictact_actors.storage.directory import CONSOLE


@pytest.fixture
def host(open_store: Opener) -> Store:
    """A store with a match that is being played."""
    store = open_store()
    begin(store)
    play(store, {"ann": 3, "bob": 2})
    return store


@pytest.fixture
def home(open_store: Opener) -> Path:
    return open_store.path


def test_only_the_owner_may_come_in(host: Store, home: Path) -> None:
    assert host
    found = (home / CONSOLE).stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_it_is_gone_when_the_store_is_closed(host: Store, home: Path) -> None:
    host.close()
    assert not (home / CONSOLE).exists()
    with pytest.raises(StoreLocked):
        desk_of(home).stats()


def test_a_store_that_wants_none_has_none(open_store: Opener) -> None:
    open_store(console=False)
    assert not (open_store.path / CONSOLE).exists()
    open_store(MEMORY)


def test_what_is_asked_is_answered(host: Store, home: Path) -> None:
    desk = desk_of(home)
    assert desk.get("score:t3_a:ann") == host.score("t3_a", "ann").to_dict()
    assert desk.leaderboard("t3_a", None, 10, 0) == [at.to_dict() for at in host.leaderboard("t3_a")]
    assert [commit.seq for commit in desk.log(None, None, None)] == list(range(1, host.statistics().seq + 1))
    assert desk.check() == []


def test_an_error_arrives_as_it_was(host: Store, home: Path) -> None:
    assert host
    with pytest.raises(NotFound, match="score:t3_a:nobody") as missing:
        desk_of(home).get("score:t3_a:nobody")
    assert missing.value.key == "score:t3_a:nobody"
    with pytest.raises(InvalidKey, match="keys are"):
        desk_of(home).get("colour:red")
    with pytest.raises(BackupInvalid, match="cannot be written"):
        desk_of(home).backup("/dev/null")


def test_an_error_of_the_disk_arrives_as_one() -> None:
    met = wire.revived(wire.plain_error(FileExistsError(17, "File exists", "/there")))
    assert isinstance(met, FileExistsError)
    assert (met.errno, met.filename) == (17, "/there")


def test_it_offers_what_the_command_line_offers_and_nothing_else() -> None:
    assert OFFERS.keys() == {name for name in vars(Desk) if not name.startswith("_")}


@pytest.mark.parametrize(
    "asked",
    [
        question("award_points", post_id="t3_a", user="ann", points=1),
        question("__init__"),
        question("_store"),
        question("get"),
        question("get", key=7),
        question("get", key="match:t3_a", timeout=9),
        question("leaderboard", post_id="t3_a", by=None, limit=True, offset=0),
        wire.frame_of({"version": wire.VERSION + 1, "command": "stats", "arguments": {}}),
        wire.frame_of({"version": wire.VERSION, "command": ["stats"], "arguments": {}}),
        wire.frame_of({"version": wire.VERSION, "command": "stats", "arguments": None}),
        wire.frame_of({}),
    ],
)
def test_what_is_not_offered_is_refused(host: Store, home: Path, asked: bytes) -> None:
    before = host.statistics().seq
    assert answer_to(home, asked)["error"]["kind"] == "InvalidValue"
    assert host.statistics().seq == before


def test_what_is_nested_as_deep_as_a_record_may_be_travels(host: Store, home: Path) -> None:
    nested: Any = 1
    for _ in range(31):
        nested = [nested]
    lifetime = host.add_trophy("ann", "gold")
    host.put_many({"lifetime:ann": type(lifetime)("ann", unknown={"deep": nested})})
    assert desk_of(home).get("lifetime:ann")["deep"] == nested
    assert list(desk_of(home).log(None, "lifetime:ann", None))[-1].records["lifetime:ann"]["deep"] == nested  # type: ignore[index]


def test_closing_hangs_up_on_whoever_is_there(host: Store, home: Path) -> None:
    silent = said_to(home, b"")
    until(lambda: any(thread.name == "pictact-caller" for thread in threading.enumerate()))
    since = monotonic()
    host.close()
    assert monotonic() - since < PATIENCE_S / 4
    assert ends(silent)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("pictact-c")])


def test_an_answer_that_the_end_of_the_store_cuts_short_is_no_answer(
    host: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[object] = []
    asked = threading.Event()
    going = threading.Event()

    def audit(**_: object) -> Any:
        asked.set()
        going.wait(PATIENCE_S)
        return iter(())

    def ask() -> None:
        try:
            met.append(list(desk_of(home).audit(None, None)))
        except StoreClosed as error:
            met.append(error)

    monkeypatch.setattr(host, "audit", audit)
    asker = threading.Thread(target=ask)
    asker.start()
    assert asked.wait(PATIENCE_S)
    host.close()
    going.set()
    asker.join(PATIENCE_S)
    (error,) = met
    assert isinstance(error, StoreClosed)
    assert "hung up" in str(error)


def test_one_long_answer_at_a_time(host: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, going = threading.Event(), threading.Event()

    def check() -> list[object]:
        asked.set()
        going.wait(PATIENCE_S)
        return []

    monkeypatch.setattr(host, "check", check)
    first = threading.Thread(target=desk_of(home).check)
    first.start()
    assert asked.wait(PATIENCE_S)
    assert answer_to(home, question("check"))["error"]["kind"] == "Rejected"
    assert desk_of(home).get("match:t3_a")["status"] == "active"
    going.set()
    first.join(PATIENCE_S)
    monkeypatch.undo()
    until(lambda: "item" not in answer_to(home, question("check")))


def test_a_directory_with_a_long_name_has_one_too(open_store: Opener, tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30) / "game-data"
    begin(open_store(path))
    assert len(str(path / CONSOLE)) > 108
    assert desk_of(path).get("match:t3_a")["status"] == "active"
    assert stat.S_IMODE((path / CONSOLE).stat().st_mode) == 0o600


def test_where_there_can_be_none_the_store_says_so_and_works(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Unsupported(socket.socket):
        def bind(self, _address: object) -> None:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", Unsupported)
    with caplog.at_level(logging.WARNING, "pictact_actors"):
        store = open_store()
    assert "console_unavailable" in caplog.text
    begin(store)
    assert store.match("t3_a").status == "active"


def test_a_file_that_is_no_socket_stays(open_store: Opener, caplog: pytest.LogCaptureFixture) -> None:
    open_store().close()
    (open_store.path / CONSOLE).write_text("mine")
    store = open_store()
    assert "console_unavailable" in caplog.text
    begin(store)
    store.close()
    assert (open_store.path / CONSOLE).read_text() == "mine"


def test_a_store_whose_identity_is_lost_opens_with_a_socket_left_there(open_store: Opener) -> None:
    store = open_store()
    begin(store)
    store.close()
    Door(open_store.path).listener.close()
    assert (open_store.path / CONSOLE).is_socket()
    (open_store.path / "STORE").unlink()
    assert open_store().match("t3_a").status == "active"
    assert desk_of(open_store.path).get("match:t3_a")["status"] == "active"


def test_threads_and_descriptors_do_not_grow(host: Store, home: Path) -> None:
    def held() -> tuple[int, int]:
        until(lambda: not any(thread.name == "pictact-caller" for thread in threading.enumerate()))
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    before = held()
    for _ in range(50):
        desk_of(home).get("match:t3_a")
    assert held() == before
    assert host.check() == []


def test_the_console_is_on_unless_somebody_says_no() -> None:
    assert StoreConfig().console
    assert server.CALLERS_MAX <= 8
