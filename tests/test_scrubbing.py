"""The scrubber: reads everything again by itself, at its pace, and says what it found."""

from __future__ import annotations

import pytest
from games import begin, play
from opening import MEMORY, Opener
from waiting import until

from pictact_actors import Store
from pictact_actors.scrubbing import Scrubber
from pictact_actors.storage.engine import Problem


def test_everything_is_read_again_now_and_then(open_store: Opener) -> None:
    store: Store = open_store(scrub_interval_s=0.01, scrub_bytes_per_s=1e9)
    begin(store)
    play(store, {"ann": 1})
    until(lambda: store.statistics().scrubs >= 3)
    assert store.statistics().scrub_problems == 0


def test_what_is_found_is_counted(open_store: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Store = open_store(MEMORY)
    found = [Problem("state", f"score:p:u{n}", "has another value") for n in range(150)]
    monkeypatch.setattr(store.runtime.engine, "scrub", lambda _pace: iter(found))
    assert len(Scrubber(store.runtime).scrub()) == 100


def test_a_slow_pass_ends_at_once_when_the_store_is_closed(open_store: Opener) -> None:
    store: Store = open_store(scrub_interval_s=0.01, scrub_bytes_per_s=1)
    begin(store)
    play(store, {f"u{n}": 1 for n in range(100)})
    until(store._services.scrubber._thread.is_alive)
    store.close()
    assert not store._services.scrubber._thread.is_alive()


def test_a_failing_pass_is_tried_again(open_store: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Store = open_store(MEMORY, scrub_interval_s=0.01)
    times: list[int] = []

    def fail(_pace: object) -> list[Problem]:
        times.append(1)
        if len(times) == 1:
            raise OSError("not now")
        return []

    monkeypatch.setattr(store.runtime.engine, "scrub", fail)
    until(lambda: store.statistics().scrubs >= 1)
