"""The boards of all players through a store, against a plain sort: whatever is written, and whenever it is killed."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from copying import copy_of
from games import begin, play
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from opening import SEGMENT_BYTES, Opener

from pictact_actors import InvalidKey, InvalidValue, Lifetime, NotFound, Standing, Store, StoreConfig
from pictact_actors.model.ranking import LIFETIME_ORDERS
from pictact_actors.model.totals import top_key
from pictact_actors.storage.state import counted as counted_module
from pictact_actors.storage.state import state as state_module

USERS = ("ann", "ann!", "bob", "b b", "\U0001f3c6", "zoë")
users = st.sampled_from(USERS)
points = st.sampled_from([0, -0.0, 0.5, -3, 7, 7.0, 1e-9, 2**53, -(2**53)])
lifetimes = st.builds(Lifetime, users, st.integers(-1, 2), st.integers(0, 2), points)


def plain_sort(players: dict[str, Lifetime], by: str) -> list[Standing]:
    """By the total, the largest first, then by name; equal totals share a rank (1, 2, 2, 4)."""
    order = sorted(sorted(players.values(), key=lambda one: one.user), key=lambda one: getattr(one, by), reverse=True)
    totals = [getattr(one, by) for one in order]
    return [
        Standing(1 + sum(other > total for other in totals), one.user, one.total_points, one.total_wins)
        for one, total in zip(order, totals, strict=True)
    ]


class BoardsAreSorted(RuleBasedStateMachine):
    """Write in every way there is, close, kill, and open again."""

    path: Path | str

    def __init__(self) -> None:
        super().__init__()
        self.players: dict[str, Lifetime] = {}
        self.posts = 0
        if isinstance(self.path, Path):
            shutil.rmtree(self.path, ignore_errors=True)
        self.store = self.opened()

    def opened(self) -> Store:
        return Store.open(self.path, config=StoreConfig(journal_segment_bytes=SEGMENT_BYTES, shards=2))

    def teardown(self) -> None:
        self.store.close()

    def wrote(self, lifetime: Lifetime) -> None:
        self.players[lifetime.user] = lifetime

    @rule(some=st.lists(lifetimes, min_size=1, unique_by=lambda one: one.user))
    def put_many(self, some: list[Lifetime]) -> None:
        self.store.put_many({one.key: one for one in some})
        self.players |= {one.user: one for one in some}

    @rule(first=lifetimes, second=lifetimes, gone=users)
    def transact(self, first: Lifetime, second: Lifetime, gone: str) -> None:
        with self.store.transaction() as tx:
            tx.put(first.key, first)
            tx.put(second.key, second)
            tx.delete(f"lifetime:{gone}")
        self.players |= {first.user: first, second.user: second}
        self.players.pop(gone, None)

    @rule(given=lifetimes)
    def transact_in_vain(self, given: Lifetime) -> None:
        with suppress(ZeroDivisionError), self.store.transaction() as tx:
            tx.put(given.key, given)
            raise ZeroDivisionError

    @rule(user=users, more=st.sampled_from([1, -2, 0.5]))
    def update(self, user: str, more: float) -> None:
        def change(before: Any) -> Lifetime:
            before = before or Lifetime(user)
            return replace(before, total_points=max(-(2.0**53), min(2.0**53, before.total_points + more)))

        self.wrote(self.store.update(f"lifetime:{user}", change))

    @rule(user=users, trophy=st.sampled_from(["gold", "cup"]))
    def add_trophy(self, user: str, trophy: str) -> None:
        self.wrote(self.store.add_trophy(user, trophy))

    @rule(scores=st.dictionaries(users, st.sampled_from([1, 2.5, -1]), min_size=1))
    def complete_match(self, scores: dict[str, float]) -> None:
        self.posts += 1
        begin(self.store, f"p{self.posts}")
        play(self.store, scores, f"p{self.posts}")
        if any(abs(self.players.get(user, Lifetime(user)).total_points) >= 2**53 for user in scores):
            return  # that is as many points as there can be
        self.store.complete_match(f"p{self.posts}")
        for user in scores:
            self.wrote(self.store.lifetime(user))

    @rule(by=st.sampled_from(LIFETIME_ORDERS), limit=st.integers(0, 4), offset=st.integers(0, 4))
    def page(self, by: str, limit: int, offset: int) -> None:
        expected = plain_sort(self.players, by)
        assert self.store.lifetime_leaderboard(by, limit, offset) == expected[offset : offset + limit]

    @precondition(lambda self: isinstance(self.path, Path))
    @rule(killed=st.booleans(), behind=st.booleans())
    def reopen(self, killed: bool, behind: bool) -> None:  # noqa: FBT001
        """Close, or be killed: then the files are as they were at some moment, the state behind the journal."""
        assert isinstance(self.path, Path)
        left = self.path.with_suffix(".left")
        if killed:
            copy_of(self.path, left)
        self.store.close()
        if killed:
            shutil.rmtree(self.path)
            left.rename(self.path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(state_module, "_GATHER_S", 60.0 if behind else 0.0)
            self.store = self.opened()

    @invariant()
    def shows_what_there_is(self) -> None:
        for by in LIFETIME_ORDERS:
            expected = plain_sort(self.players, by)
            assert self.store.lifetime_leaderboard(by, 100) == expected
            for position, line in enumerate(expected):
                assert self.store.lifetime_standing(line.user, by) == line
                assert self.store.lifetime_around(line.user, by, 1) == expected[max(0, position - 1) : position + 2]
                assert self.store.lifetime_leaderboard(by, 2, after=line.user) == expected[position + 1 : position + 3]

    @invariant()
    def is_clean(self) -> None:
        assert [problem for problem in self.store.check() if problem.kind != "sum"] == []


@pytest.mark.parametrize("kind", ["memory", "directory"])
def test_boards_are_a_plain_sort_whatever_happens(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted_module, "CHUNK_MAX", 4)
    monkeypatch.setattr(counted_module, "CHUNK_FEW", 2)
    BoardsAreSorted.path = tmp_path / "game" if kind == "directory" else ":memory:"
    run_state_machine_as_test(
        BoardsAreSorted,
        settings=settings(max_examples=12, stateful_step_count=12, suppress_health_check=[*HealthCheck]),
    )


@pytest.fixture
def players(store: Store) -> Store:
    """Three players; two have as many wins."""
    store.put_many({f"lifetime:{user}": Lifetime(user, wins) for user, wins in (("ann", 2), ("bob", 5), ("cat", 2))})
    return store


@pytest.fixture(autouse=True)
def sums_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Players are put here without a history, and tests end with a check."""
    monkeypatch.setattr("pictact_actors.model.integrity._sum_flaws", lambda *_: iter(()))


def test_a_board_can_be_read_page_by_page(players: Store) -> None:
    read: list[Standing] = []
    while page := players.lifetime_leaderboard(limit=2, after=read[-1].user if read else None):
        read += page
    assert [(line.rank, line.user) for line in read] == [(1, "bob"), (2, "ann"), (2, "cat")]


def test_a_page_may_begin_some_lines_behind_a_player(players: Store) -> None:
    assert [line.user for line in players.lifetime_leaderboard(offset=1, after="bob")] == ["cat"]


def test_who_never_played_has_no_place_and_no_neighbours(players: Store) -> None:
    for ask in (
        players.lifetime_standing,
        players.lifetime_around,
        lambda user: players.lifetime_leaderboard(after=user),
    ):
        with pytest.raises(NotFound, match="lifetime:zoe"):
            ask("zoe")


def test_a_place_that_cannot_be_is_a_named_error(players: Store) -> None:
    with pytest.raises(InvalidKey):
        players.lifetime_leaderboard(after="a:b")
    with pytest.raises(InvalidKey):
        players.lifetime_around("")
    with pytest.raises(InvalidValue):
        players.lifetime_around("ann", span=-1)
    with pytest.raises(InvalidValue):
        players.lifetime_around("ann", "points")


def test_nobody_sees_the_keys_of_the_order(players: Store) -> None:
    assert [key for key, _ in players.scan("")] == ["lifetime:ann", "lifetime:bob", "lifetime:cat"]
    assert list(players.scan("top:")) == []
    with pytest.raises(InvalidKey):
        players.get("top:wins:")


@pytest.mark.parametrize(
    "harm",
    [
        {"top:wins:0000000000000000:eve\t1\t1\t1": b""},
        {"due:idle:1:p": b""},
        {top_key("total_wins", Lifetime("bob", 5)): None},
    ],
)
def test_an_index_that_is_not_that_of_the_records_is_found(open_store: Opener, harm: Any) -> None:
    store = open_store(":memory:")
    store.put_many({"lifetime:bob": Lifetime("bob", 5)})
    records = store.runtime.engine._records
    before = dict(records)
    for key, value in harm.items():
        assert (key in records) == (value is None)
        records.pop(key, None) if value is None else records.update({key: value})
    assert {problem.kind for problem in store.check()} == {"index", "state"}
    records.clear()
    records.update(before)


def test_a_count_that_is_wrong_is_found(open_store: Opener) -> None:
    store = open_store()
    store.put_many({"lifetime:bob": Lifetime("bob", 5)})
    assert store.check() == []
    counted = store.runtime.engine._state._counted
    counted._counts[-1] += 1
    (problem,) = store.check()
    assert (problem.kind, problem.key) == ("count", "top:wins:")
    counted._counts[-1] -= 1
