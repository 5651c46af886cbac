"""Closing a state in the middle of a read of the same thread, as a host's signal handler does that closes the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from following import Following
from waiting import until

from pictact_actors.storage.state import state as state_module


def test_what_is_pending_does_not_keep_it_open_and_comes_back_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "_STALL_S", 0.05)
    following = Following(tmp_path / "home")
    following.state.start()
    following.publish({"a": b"1"})
    with following.state._lock:  # what the interrupted read holds, and the writer needs
        following.state.close()
    until(lambda: not following.state._writer.is_alive())
    following.reopen()
    assert following.state.get("a") == b"1"
    following.state.close()
