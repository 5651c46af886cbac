from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from pictact_actors.cli.interrupts import Stopped, handled, held, uninterrupted


def test_a_signal_is_raised_where_it_may() -> None:
    with pytest.raises(Stopped) as stopped, handled():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.exit_code == 143


def step(steps: list[str]) -> None:
    with held():
        signal.raise_signal(signal.SIGINT)
        steps.append("finished")
    steps.append("not reached")


def test_a_signal_waits_for_the_end_of_a_step() -> None:
    steps: list[str] = []
    with pytest.raises(Stopped), handled():
        step(steps)
    assert steps == ["finished"]


def test_a_signal_waits_for_the_outermost_step() -> None:
    steps: list[str] = []
    with pytest.raises(Stopped), handled(), held():
        step(steps)
    assert steps == ["finished", "not reached"]


def test_a_second_signal_does_not_wait() -> None:
    with handled(), held():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)


def test_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with handled():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_never_lands_inside_an_iterator() -> None:
    landed = []

    def items() -> Iterator[int]:
        try:
            for item in range(10):
                signal.raise_signal(signal.SIGINT) if item == 3 else None
                yield item
        except Stopped:
            landed.append("inside")

    with pytest.raises(Stopped), handled():
        list(uninterrupted(items()))
    assert landed == []


def test_all_items_come_through() -> None:
    assert list(uninterrupted(range(1_000))) == list(range(1_000))
