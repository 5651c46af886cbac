"""Hosts that close, fork, are interrupted and end while everything is being done: real processes, real signals.

None is ended by a signal that it did not send itself, none hangs for longer than the store may drain, and the heart
of a host never stands still for longer than 50 ms. That is measured where no other thread of the host's competes for
the interpreter: three that only count make gaps of 100 ms.
"""

from __future__ import annotations

import ctypes
import json
import logging
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from acts import ACTS
from hosts import DRAIN_S, ENDINGS, Pulse

from pictact_actors import Store
from pictact_actors.model import commands

HOST = Path(__file__).with_name("hosts.py")
PATIENCE_S = 110.0
SLACK_S = 3.0
"""What closing may take on top of draining: what is in flight in the end, and a busy machine."""


NO_ACTS = {"open", "close", "runtime", "quarantine"}
"""The beginning, the end, and what only reads memory."""


class Life(dict[str, Any]):
    """What a host said, and how it ended."""


def live(path: Path, rounds: int, ending: str) -> Life:
    seed = random.getrandbits(32)
    logging.getLogger(__name__).warning("seed %d", seed)
    command = [sys.executable, "-W", "ignore", str(HOST), str(path), str(seed), str(rounds), ending]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as host:
        try:
            output, errors = host.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            host.send_signal(signal.SIGABRT)  # it hangs, and says where
            output, errors = host.communicate()
    said = [json.loads(line) for line in output.splitlines()]
    return Life(
        code=host.returncode,
        errors=errors,
        closed_s=[event["closed_s"] for event in said if "closed_s" in event],
        stood_still=[gap_s for event in said for gap_s in event.get("gaps", ())],
        interrupted=ending == "interrupted",
    )


def require_unharmed(path: Path, life: Life, code: int) -> None:
    assert life["code"] == code, life["errors"]
    assert "Fatal" not in life["errors"]
    if not life["interrupted"]:  # Ctrl-C may land where Python itself can only mention it
        assert "Exception ignored" not in life["errors"]
    assert all(closed_s < DRAIN_S + SLACK_S for closed_s in life["closed_s"])
    with Store.open(path) as store:
        assert store.check() == []


def test_the_acts_are_all_there_is() -> None:
    assert {cls.NAME for cls in commands.COMMANDS.values()} <= ACTS.keys()
    assert {name for name in dir(Store) if not name.startswith("_")} - NO_ACTS <= ACTS.keys()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_host_that_does_everything_at_once_closes_forks_and_ends_unharmed(tmp_path: Path, ending: str) -> None:
    life = live(tmp_path / "game-data", 2, ending)
    require_unharmed(tmp_path / "game-data", life, ENDINGS[ending])
    assert len(life["closed_s"]) == 2


def test_ctrl_c_in_the_middle_of_anything_leaves_a_store_that_works(tmp_path: Path) -> None:
    life = live(tmp_path / "game-data", 2, "interrupted")
    require_unharmed(tmp_path / "game-data", life, 0)


def test_a_heart_that_stands_still_is_noticed() -> None:
    pulse = Pulse()
    ctypes.PyDLL(None).usleep(400_000)  # keeps the interpreter lock
    assert pulse.stop()


def test_no_heart_stands_still(tmp_path: Path) -> None:
    for attempt in range(3):  # what the store does, it does every time; a busy machine does something else
        path = tmp_path / str(attempt)
        life = live(path, 2, "alone")
        require_unharmed(path, life, 0)
        if not life["stood_still"]:
            return
    pytest.fail(f"a heart stood still for {max(life['stood_still']):.3f} s")


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_a_thousand_rounds_of_close_fork_and_exit_harm_nobody(tmp_path: Path) -> None:
    for number in range(1_000 // 4):
        ending = list(ENDINGS)[number % len(ENDINGS)]
        path = tmp_path / str(number % 10)
        require_unharmed(path, live(path, 3, ending), ENDINGS[ending])


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_ctrl_c_thousands_of_times(tmp_path: Path) -> None:
    for number in range(20):
        require_unharmed(tmp_path / str(number), live(tmp_path / str(number), 10, "interrupted"), 0)
