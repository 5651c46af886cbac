"""Hosts that play on, repeat and give up; replays that stop: what happens when the store cannot go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pictact_actors import AwardPoints, RequestTimeout, Store, StoreClosed, StoreError
from pictact_actors.cli.evening import Evening, Query
from pictact_actors.cli.gamelog import Message
from pictact_actors.cli.hosting import GameHost
from pictact_actors.cli.party import Party
from pictact_actors.cli.replaying import LogClock, Replay, ReplayStopped, Tally
from pictact_actors.model.commands import Command

AWARD = AwardPoints("t3_a", "ann", 5, request_id="r1")


class Forgetful(Store):
    """Applies every command, but loses the first answers."""

    lost = 0

    def ask(self, message: Command, timeout: float | None = None) -> Any:
        reply = super().ask(message, timeout)
        if self.lost < 2:
            reply.get()
            self.lost += 1
            raise RequestTimeout(5.0)
        return reply


def with_match(cls: type[Store]) -> Store:
    store = cls.open(":memory:")
    store.create_match("t3_a", subreddit="pics", rounds_total=1, theme="sunsets", created_by="mod")
    return store


def test_a_host_repeats_a_command_whose_answer_was_lost() -> None:
    with with_match(Forgetful) as store:
        host = GameHost(0, store, iter([AWARD]), threading.Event())
        host.run()
        assert (host.failure, host.repeated, host.writes) == (None, 2, 1)
        assert store.score("t3_a", "ann").points == 5


def test_a_host_asks_about_players_who_have_no_score_yet() -> None:
    with with_match(Store) as store:
        host = GameHost(0, store, iter([Query("score", "t3_a", "nobody")]), threading.Event())
        host.run()
        assert (host.failure, host.reads) == (None, 1)


def test_a_host_that_fails_stops_the_others() -> None:
    stop = threading.Event()
    with with_match(Store) as store:
        store.cancel_match("t3_a")
        host = GameHost(0, store, iter([AWARD]), stop)
        host.run()
    assert isinstance(host.failure, StoreError)
    assert stop.is_set()


def test_a_stopped_host_does_nothing_more() -> None:
    def steps() -> Iterator[AwardPoints]:
        yield AWARD
        pytest.fail("it went on")

    stop = threading.Event()
    stop.set()
    with with_match(Store) as store:
        host = GameHost(0, store, steps(), stop)
        host.run()
        assert host.writes == 0


def test_an_evening_on_a_store_that_fails_ends_with_its_error() -> None:
    store = Store.open(":memory:")
    store.close()
    with pytest.raises(StoreClosed):
        Party(store, Evening(1, "test", 0.0), 60).run(lambda _party: None)


def replay(message: Message, store: Store, tally: Tally) -> None:
    with Replay(store, LogClock(), tally, hosts=2, on_refusal=lambda _number, _error: None) as running:
        running.send(message)
        running.finish()


def test_a_replay_on_a_store_that_fails_names_the_line() -> None:
    store = Store.open(":memory:")
    store.close()
    tally = Tally()
    with pytest.raises(ReplayStopped, match=r"stopped at line 7: .*nothing is applied twice") as stopped:
        replay(Message(7, 100, 1.0, AWARD), store, tally)
    assert stopped.value.number == 7
    assert tally.applied == 0
