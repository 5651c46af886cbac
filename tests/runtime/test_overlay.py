"""What a shard has decided and the committer has not published yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictact_actors import Score
from pictact_actors.model.records import Record
from pictact_actors.runtime.overlay import ABSENT, Overlay

ANN, BOB = "score:t3_a:ann", "score:t3_a:bob"


def score(points: int, user: str = "ann") -> Score:
    return Score("t3_a", user, points)


def decide(overlay: Overlay, number: int, **points: int) -> None:
    """Decide a batch."""
    overlay.until = number
    overlay.newer.update({f"score:t3_a:{user}": score(given, user) for user, given in points.items()})


def seen(overlay: Overlay, key: str) -> object:
    """What a shard finds."""
    return overlay.newer.get(key, overlay.older.get(key, ABSENT))


@pytest.fixture
def overlay() -> Overlay:
    return Overlay()


def test_what_was_decided_last_is_seen(overlay: Overlay) -> None:
    decide(overlay, 1, ann=1, bob=1)
    decide(overlay, 2, ann=2)
    assert seen(overlay, ANN) == score(2)
    assert overlay.all() == {ANN: score(2), BOB: score(1, "bob")}


def test_a_deletion_is_not_an_absence(overlay: Overlay) -> None:
    overlay.newer[ANN] = None
    assert seen(overlay, ANN) is None
    assert seen(overlay, BOB) is ABSENT


def test_nothing_is_left_once_everything_is_published(overlay: Overlay) -> None:
    decide(overlay, 1, ann=1)
    decide(overlay, 2, ann=2)
    overlay.forget(2)
    assert not overlay
    assert overlay.all() == {}


def test_what_is_not_published_is_never_forgotten(overlay: Overlay) -> None:
    decide(overlay, 1, ann=1)
    overlay.forget(0)
    decide(overlay, 2, bob=2)
    overlay.forget(1)
    overlay.forget(1)
    assert seen(overlay, BOB) == score(2, "bob")


def test_what_somebody_else_wrote_is_not_seen_any_more(overlay: Overlay) -> None:
    decide(overlay, 1, ann=1, bob=1)
    overlay.forget(0)
    decide(overlay, 2, ann=2)
    overlay.purge([ANN, "score:t3_a:nobody"])
    assert seen(overlay, ANN) is ABSENT
    assert seen(overlay, BOB) == score(1, "bob")


@given(st.lists(st.one_of(st.integers(0, 3), st.none()), max_size=60), st.integers(1, 5))
def test_every_record_is_seen_until_it_is_published_and_few_stay_longer(keys: list[int | None], lag: int) -> None:
    overlay = Overlay()
    unpublished: list[tuple[int, str, Record]] = []
    published = 0
    for number, key in enumerate(keys, 1):
        overlay.forget(published)
        if key is None:
            published = max(published, number - lag)
            unpublished = [item for item in unpublished if item[0] > published]
        else:
            record = score(number)
            decide(overlay, number)
            overlay.newer[f"score:t3_a:{key}"] = record
            unpublished.append((number, f"score:t3_a:{key}", record))
        latest = {name: record for _, name, record in unpublished}
        assert {name: seen(overlay, name) for name in latest} == latest
