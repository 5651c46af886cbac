"""The calls of a load: a game's, the same for the same seed, and such that the store has what they need."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from loads import short

from bench.load.arrivals import Arrivals
from bench.load.mix import WEIGHTS, Mix, Operation, Query, name_of
from bench.load.plan import LoadPlan
from pictact_actors import AwardPoints, CompleteMatch, NotFound, Store


def calls(plan: LoadPlan, count: int) -> list[Operation]:
    mix = Mix(plan)
    return [*mix.opening(), *mix.crowd(), *islice(mix.operations(), count)]


def test_a_seed_decides_every_call() -> None:
    assert calls(short(), 500) == calls(short(), 500) != calls(short(seed=2), 500)


def test_players_look_far_more_often_than_they_write_and_mostly_at_one_match() -> None:
    drawn = list(islice(Mix(LoadPlan()).operations(), 20_000))
    queries = [call for call in drawn if isinstance(call, Query)]
    awards = [call for call in drawn if isinstance(call, AwardPoints)]
    assert 6 < len(queries) / (len(drawn) - len(queries)) < 12
    assert 0.28 < sum("viral" in call.post_id for call in awards) / len(awards) < 0.38
    (_, most), *_, (_, least) = Counter(call.user for call in awards).most_common()
    assert most > 20 * least


def test_one_after_the_other_no_call_is_refused_and_matches_are_completed(memory: Store) -> None:
    completed, seen = 0, Counter[str]()
    for call in calls(short(), 4_000):
        seen[name_of(call)] += 1
        completed += isinstance(call, CompleteMatch)
        if isinstance(call, Query):
            try:
                getattr(memory, call.name)(*call.arguments)
            except NotFound:  # a look at a player without points
                assert call.name in {"score", "standing", "around", "player"}
        else:
            memory.ask(call).get()
    assert completed > 20
    assert seen.keys() >= {*WEIGHTS, "close_round", "create_round", "add_trophy", "record_analytics"} - {"corrected"}


def test_calls_are_due_at_their_rate_whatever_happens_to_those_before() -> None:
    arrivals = Arrivals(iter(calls(short(), 200)), rate=1_000.0, seconds=0.05, overrun_s=5.0)
    taken = []
    while (arrival := arrivals.take()) is not None:
        taken.append(arrival.due - arrivals.began)
    assert taken == [number * 1_000_000 for number in range(50)]
    assert arrivals.left == 0


def test_calls_that_nobody_took_are_counted() -> None:
    arrivals = Arrivals(iter(calls(short(), 200)), rate=1_000.0, seconds=0.05, overrun_s=5.0)
    arrivals.take()
    arrivals.stop()
    assert arrivals.take() is None
    assert arrivals.left == 49


def test_without_a_rate_a_call_is_due_when_somebody_asks() -> None:
    arrivals = Arrivals(iter(calls(short(), 5)), rate=None, seconds=60.0, overrun_s=0.0)
    first, second = arrivals.take(), arrivals.take()
    assert first is not None
    assert second is not None
    assert arrivals.began <= first.due <= second.due
