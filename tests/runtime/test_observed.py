"""The summary of analytics: read once, then followed, and right whatever is written, removed or loaded meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from statistics import fmean
from typing import Any

import pytest
from engines import HeldEngine, drained
from expiring import DAY_S, NOW, QUIET, WEEK_S
from games import begin
from opening import Opener

from pictact_actors import Analytics, InvalidValue, Match, RecordAnalytics, Store
from pictact_actors.model.summary import MatchMeans, summarize
from pictact_actors.storage.memory import MemoryEngine
from pictact_actors.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


class CountingEngine(MemoryEngine):
    """Counts what is read of matches, and can stand still while it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.scans = 0
        self.loading = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def scan(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, bytes]]:
        pairs = super().scan(prefix, after)
        if prefix != "analytics:":
            return pairs
        self.scans += 1
        return self._held_up(pairs)

    def _held_up(self, pairs: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        self.loading.set()
        assert self.go_on.wait(20)
        yield from pairs


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def store(open_store: Opener, engine: CountingEngine, clock: ManualClock) -> Store:
    return open_store(engine=engine, clock=clock, **QUIET)


def observe(store: Store, post_id: str, *rates: float) -> None:
    for reply in store.submit([RecordAnalytics(post_id, invalid_rate=rate) for rate in rates]):
        reply.get()


def read_anew(store: Store, subreddit: str | None = None, since: float | None = None) -> Any:
    """The same summary, from the records as they are."""
    matches = {record.post_id: record for _, record in store.scan("match:") if isinstance(record, Match)}
    records = [record for _, record in store.scan("analytics:") if isinstance(record, Analytics)]
    return summarize(
        MatchMeans.of(record)
        for record in records
        if (subreddit is None or matches[record.post_id].subreddit == subreddit)
        and (since is None or record.updated_at >= since)
    )


def test_matches_are_read_once(store: Store, engine: CountingEngine) -> None:
    begin(store, "a", "b")
    observe(store, "a", 0.25)
    for number in range(1, 20):
        observe(store, "b", number / 20)
        assert store.analytics_summary().matches == 2
        assert store.analytics_summary(subreddit="pics").samples == {"invalidRate": number + 1}
    assert engine.scans == 1


def test_a_summary_is_of_a_subreddit_and_since_a_time(store: Store, clock: ManualClock) -> None:
    begin(store, "a", "b")
    begin(store, "c", subreddit="art")
    for number, post_id in enumerate("abc"):
        clock.advance(60)
        observe(store, post_id, float(number))
    assert store.analytics_summary().invalid_rate == pytest.approx(fmean([0, 1, 2]))
    assert store.analytics_summary(subreddit="pics").invalid_rate == pytest.approx(0.5)
    assert store.analytics_summary(subreddit="nobody's").matches == 0
    assert store.analytics_summary(since=NOW + 120).matches == 2
    assert store.analytics_summary(since=NOW + 121, subreddit="pics").matches == 0
    assert store.analytics_summary().percentiles["invalidRate"]["p90"] == pytest.approx(1.8)


@pytest.mark.parametrize("since", ["yesterday", True])
def test_since_is_a_number(store: Store, since: Any) -> None:
    with pytest.raises(InvalidValue, match="epoch seconds"):
        store.analytics_summary(since=since)


def test_a_match_that_moves_to_another_subreddit_counts_there(store: Store) -> None:
    begin(store, "a")
    observe(store, "a", 0.5)
    assert store.analytics_summary(subreddit="pics").matches == 1
    store.update_match("a", subreddit="art")
    assert store.analytics_summary(subreddit="pics").matches == 0
    assert store.analytics_summary(subreddit="art").matches == 1


def test_what_is_due_does_not_count_any_more(store: Store, clock: ManualClock) -> None:
    begin(store, "a", "b")
    observe(store, "a", 0.5)
    observe(store, "b", 0.1)
    store.complete_match("a")
    assert store.analytics_summary().matches == 2
    clock.advance(WEEK_S)
    assert store.analytics_summary() == read_anew(store)
    assert store.analytics_summary().matches == 1
    store.cleanup()
    assert store.analytics_summary().invalid_rate == 0.1
    begin(store, "a")
    assert store.analytics_summary().matches == 1
    observe(store, "a", 0.3)
    assert store.analytics_summary() == read_anew(store)
    assert len(store.runtime.committed._observed) == 2


def test_a_summary_follows_whatever_is_done(store: Store, engine: CountingEngine, clock: ManualClock) -> None:
    rng = random.Random(7)
    posts = [f"t3_{number}" for number in range(8)]
    for _ in range(400):
        post_id, subreddit = rng.choice(posts), rng.choice(["pics", "art"])
        clock.advance(rng.choice([1, 60, DAY_S]))
        match rng.randrange(8):
            case 0:
                store.put_many({f"match:{post_id}": Match(post_id, subreddit=subreddit)})
            case 1:
                store.ask(RecordAnalytics(post_id, invalid_rate=rng.random())).get() if _open(store, post_id) else None
            case 2:
                store.complete_match(post_id) if _open(store, post_id) else None
            case 3:
                store.cleanup()
            case _:
                if _open(store, post_id):
                    observe(store, post_id, rng.random(), rng.random())
        asked: dict[str, Any] = {"subreddit": rng.choice([None, "pics"]), "since": rng.choice([None, clock.now() - 60])}
        found, expected = store.analytics_summary(**asked), read_anew(store, **asked)
        assert (found.matches, found.samples) == (expected.matches, expected.samples)
        assert found.invalid_rate == pytest.approx(expected.invalid_rate)
    assert engine.scans < 3 * 400


def _open(store: Store, post_id: str) -> bool:
    found = store.get_many([f"match:{post_id}"]).values()
    return any(isinstance(match, Match) and match.status == "active" for match in found)


def test_what_is_written_while_the_means_are_loaded_counts(store: Store, engine: CountingEngine) -> None:
    begin(store, "a", "b", "c")
    observe(store, "a", 0.5)
    observe(store, "b", 0.5)
    engine.go_on.clear()
    asking = threading.Thread(target=store.analytics_summary)
    asking.start()
    assert engine.loading.wait(20)
    observe(store, "a", 0.7)
    observe(store, "c", 0.1)
    store.update_match("b", subreddit="art")
    with store.transaction() as tx:
        tx.delete("analytics:b")
    engine.go_on.set()
    asking.join(20)
    assert store.analytics_summary().matches == 2
    assert store.analytics_summary().invalid_rate == pytest.approx(fmean([0.5, 0.7, 0.1]))


def test_a_load_that_fails_is_tried_anew(store: Store, engine: CountingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(store, "a")
    observe(store, "a", 0.5)

    def failing(_prefix: str, _after: str | None = None) -> Iterator[tuple[str, bytes]]:
        yield "analytics:a", b"no record"

    monkeypatch.setattr(engine, "scan", failing)
    with pytest.raises(Exception, match="does not decode"):
        store.analytics_summary()
    monkeypatch.undo()
    assert not store.runtime.committed._observed.followed
    observe(store, "a", 0.7)
    assert store.analytics_summary().invalid_rate == pytest.approx(0.6)


def test_what_another_host_wrote_is_read_anew(open_store: Opener, held: HeldEngine) -> None:
    store = open_store(engine=held, **QUIET)
    begin(store, "t3_a")
    observe(store, "t3_a", 0.5)
    assert store.analytics_summary().matches == 1
    held.inner.conflict_next("match:t3_a")
    observe(store, "t3_a", 0.7)
    drained(store)
    assert store.analytics_summary() == read_anew(store)


def test_a_summary_is_of_one_moment(store: Store) -> None:
    """Two matches that change in one step always change together."""
    begin(store, "a", "b")
    observe(store, "a", 0.0)
    observe(store, "b", 0.0)
    stop = threading.Event()

    def write() -> None:
        for number in range(300):
            both = {
                f"analytics:{post_id}": Analytics(post_id, rate, samples={"invalidRate": 1}, observations=number + 1)
                for post_id, rate in (("a", float(number)), ("b", -float(number)))
            }
            store.put_many(both)
        stop.set()

    writing = threading.Thread(target=write)
    writing.start()
    while not stop.is_set():
        assert store.analytics_summary().invalid_rate == 0.0
    writing.join(20)
