"""Events: JSON through the host's logging, and never in the way of a write."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pictact_actors import log

EVENTS = {name: value for name, value in vars(log).items() if name.isupper()}


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")


class FullDisk(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(28, "No space left on device", record.name)


@pytest.fixture
def full_disk() -> Iterator[None]:
    handler = FullDisk()
    logging.getLogger("pictact_actors").addHandler(handler)
    yield
    logging.getLogger("pictact_actors").removeHandler(handler)


@pytest.mark.parametrize(
    ("emit", "level"),
    [(log.info, "INFO"), (log.warning, "WARNING"), (log.error, "ERROR")],
    ids=["info", "warning", "error"],
)
def test_an_event_reaches_the_hosts_logging_as_json(emit, level: str, caplog: pytest.LogCaptureFixture) -> None:  # noqa: ANN001
    with caplog.at_level(logging.INFO, "pictact_actors"):
        emit(log.STORE_OPENED, path="game-data", entries=3)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pictact_actors", level)
    assert json.loads(record.getMessage()) == {"event": "store_opened", "path": "game-data", "entries": 3}


def test_the_hosts_level_is_respected(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pictact_actors"):
        log.info(log.STORE_OPENED)
    assert not caplog.records


@pytest.mark.usefixtures("full_disk")
def test_a_full_log_disk_is_counted_and_nothing_raises() -> None:
    before = log.dropped
    log.error(log.STORE_FAILED, cause="x")
    assert log.dropped == before + 1


@pytest.mark.parametrize("fields", [{"x": Hostile()}, {"level": 3}, {"event": "again"}], ids=["repr", "level", "event"])
def test_hostile_fields_are_counted_and_nothing_raises(fields: dict[str, object]) -> None:
    before = log.dropped
    log.error(log.STORE_FAILED, **fields)
    assert log.dropped == before + 1


def test_text_that_is_no_text_is_escaped(caplog: pytest.LogCaptureFixture) -> None:
    log.error(log.RULE_FAILED, line="\ud800\nforged")
    assert caplog.records[0].getMessage().isascii()
    assert "\n" not in caplog.records[0].getMessage()


def test_event_names_are_one_of_a_kind_and_snake_case() -> None:
    assert len(set(EVENTS.values())) == len(EVENTS)
    assert all(value == name.lower() for name, value in EVENTS.items())


def test_importing_the_package_leaves_the_hosts_logging_alone() -> None:
    script = (
        "import logging, structlog; before = structlog.get_config(), logging.root.level; import pictact_actors.log;"
        "assert not logging.root.handlers and not logging.getLogger('pictact_actors').handlers;"
        "assert (structlog.get_config(), logging.root.level) == before"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
