"""Random commands and reads from many callers at once, explained by one order of everything."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from engines import PATIENCE_S
from history import NOW, Explanation, Operation, State, plain
from opening import Opener

from pictact_actors import (
    AddTrophy,
    AsyncStore,
    AwardPoints,
    CancelMatch,
    CloseRound,
    CompleteMatch,
    CreateMatch,
    CreateRound,
    NotFound,
    RecordAnalytics,
    Score,
    StorageFull,
    Store,
    StoreError,
    UpdateMatch,
)
from pictact_actors.model.commands import Command, PutMany
from pictact_actors.model.rules import standings
from pictact_actors.storage.engine import Commit, Conflict
from pictact_actors.storage.memory import MemoryEngine
from pictact_actors.testing import ManualClock

POSTS = [f"p{n}" for n in range(5)]
USERS = [f"u{n}" for n in range(4)]
CALLERS = 5


class Chaos(MemoryEngine):
    """An engine whose commits now and then find no room, or conflict with another host."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng

    def commit(self, commits: Sequence[Commit], ts: float, mark: float) -> int:
        chance = self._rng.random()
        if chance < 0.03:
            raise StorageFull("no space left on device")
        if chance < 0.12:
            raise Conflict(frozenset({f"match:{self._rng.choice(POSTS)}"}))
        return super().commit(commits, ts, mark)


@dataclass(frozen=True)
class Read:
    """A question, asked of the store and of a state of the model."""

    name: str
    of_store: Callable[[Store], object]
    of_state: Callable[[State], object]


def reads(post_id: str, user: str) -> list[Read]:
    keys = [f"match:{post_id}", f"score:{post_id}:{user}", f"lifetime:{user}", f"history:{user}:{post_id}"]

    def found(state: State, key: str) -> object:
        record = state.get(key)
        if record is None:
            raise NotFound(key)
        return record

    def board(state: State) -> object:
        found(state, f"match:{post_id}")
        return standings(state, post_id)[:3]

    def player(state: State) -> object:
        return [found(state, f"lifetime:{user}"), *state.scan(f"history:{user}:")]

    def shown(store: Store) -> object:
        seen = store.player(user)
        return [seen.lifetime, *sorted(seen.matches, key=lambda played: played.post_id)]

    return [
        Read(f"score {post_id} {user}", lambda s: s.score(post_id, user), lambda s: found(s, keys[1])),
        Read(f"match {post_id}", lambda s: s.match(post_id), lambda s: found(s, keys[0])),
        Read(f"board {post_id}", lambda s: s.leaderboard(post_id, 3), board),
        Read(f"player {user}", shown, player),
        Read(
            f"records {post_id} {user}",
            lambda s: s.get_many(keys),
            lambda s: {key: record for key in keys if (record := s.get(key)) is not None},
        ),
        Read(
            f"scores of {post_id}",
            lambda s: [record for _, record in s.scan(f"score:{post_id}:")],
            lambda s: list(s.scan(f"score:{post_id}:")),
        ),
    ]


class Caller:
    """One of many: does something random, again and again, and remembers what came of it."""

    def __init__(self, number: int, seed: int, store: Store) -> None:
        self.history: list[Operation] = []
        self._number = number
        self._rng = random.Random(f"{seed}-{number}")
        self._store = store
        self._sent: list[Command] = []

    def play(self, turns: int) -> list[Operation]:
        """Do turns of all kinds; return everything."""
        for _ in range(turns):
            chance = self._rng.random()
            if chance < 0.3:
                self._read(self._rng.choice(reads(self._rng.choice(POSTS), self._rng.choice(USERS))))
            elif chance < 0.7:
                self._ask([self._command()])
            else:
                self._ask([self._command() for _ in range(self._rng.randint(2, 8))])
        return self.history

    async def play_in_a_loop(self, turns: int) -> list[Operation]:
        """The same from tasks of an event loop."""
        aio = AsyncStore(self._store)
        for _ in range(turns):
            await asyncio.gather(*(self._ask_aio(aio, self._command()) for _ in range(self._rng.randint(1, 4))))
        return self.history

    def _read(self, read: Read) -> None:
        sent = time.monotonic_ns()
        outcome = _outcome(lambda: read.of_store(self._store))
        self._note((read.name, read.of_state), sent, outcome)

    def _ask(self, commands: list[Command]) -> None:
        sent = time.monotonic_ns()
        replies = self._store.submit(commands, timeout=PATIENCE_S)
        for command, reply in zip(commands, replies, strict=True):
            self._note(command, sent, _outcome(reply.get))

    async def _ask_aio(self, aio: AsyncStore, command: Command) -> None:
        sent = time.monotonic_ns()
        try:
            outcome = plain(await aio.ask(command, PATIENCE_S))
        except StoreError as error:
            outcome = type(error)
        self._note(command, sent, outcome)

    def _note(self, does: Any, sent: int, outcome: object) -> None:
        self.history.append(Operation(self._number, does, sent, time.monotonic_ns(), outcome))

    def _command(self) -> Command:
        """A command with a request id of its own, or one that was sent before, sent again."""
        rng = self._rng
        if self._sent and rng.random() < 0.1:
            return rng.choice(self._sent)
        request_id = f"c{self._number}-{len(self._sent)}"
        self._sent.append(self._new_command(rng.choice(POSTS), rng.choice(USERS), request_id))
        return self._sent[-1]

    def _new_command(self, post_id: str, user: str, request_id: str) -> Command:
        rng = self._rng
        index = rng.randint(1, 3)
        makers: list[tuple[int, Callable[[], Command]]] = [
            (40, lambda: AwardPoints(post_id, user, rng.choice([1, 2, 0.5, -1]), request_id=request_id)),
            (10, lambda: CloseRound(post_id, index, winner_user=user, points=3, request_id=request_id)),
            (8, lambda: CreateRound(post_id, index, prompt_text="?", start_ts=0, end_ts=1, request_id=request_id)),
            (5, lambda: UpdateMatch(post_id, theme=request_id, request_id=request_id)),
            (5, lambda: RecordAnalytics(post_id, invalid_rate=rng.choice([0, 0.5, 1]), request_id=request_id)),
            (10, lambda: AddTrophy(user, rng.choice(["cup", "medal", "hat"]), request_id=request_id)),
            (8, lambda: _creation(post_id, request_id)),
            (8, lambda: self._putting(request_id)),
            (2, lambda: CompleteMatch(post_id, trophies={user: ["end"]}, request_id=request_id)),
            (1, lambda: CancelMatch(post_id, request_id=request_id)),
        ]
        (maker,) = rng.choices([make for _, make in makers], [weight for weight, _ in makers])
        return maker()

    def _putting(self, request_id: str) -> Command:
        """Records of two matches that are there from the beginning, and of a user."""
        rng = self._rng
        scores = [Score(post, rng.choice(USERS), rng.randint(0, 9)) for post in rng.sample(POSTS[:2], 2)]
        return PutMany({score.key: score for score in scores}, request_id)


def _creation(post_id: str, request_id: str) -> Command:
    return CreateMatch(
        post_id, subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod", request_id=request_id
    )


def _outcome(act: Callable[[], object]) -> object:
    try:
        return plain(act())
    except StoreError as error:
        return type(error)


def history_of(store: Store, seed: int, turns: int) -> list[Operation]:
    """Let all callers play at once."""
    first = Caller(0, seed, store)
    while any(first.history[n].outcome is StorageFull for n in range(len(first.history))) or not first.history:
        first.history.clear()
        first._ask([_creation(post_id, f"begin-{post_id}") for post_id in POSTS[:2]])
    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [Caller(number, seed, store) for number in range(1, CALLERS)]
        playing = [pool.submit(caller.play, turns) for caller in callers]
        looping = pool.submit(lambda: asyncio.run(Caller(CALLERS, seed, store).play_in_a_loop(turns // 2)))
        histories = [future.result(PATIENCE_S * 3) for future in (*playing, looping)]
    return [*first.history, *(operation for history in histories for operation in history)]


def check(store: Store, seed: int, turns: int) -> None:
    """Play, and explain."""
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
    history = history_of(store, seed, turns)
    explained = Explanation(list(store.entries()), history)
    explained.assert_final(store)
    assert store.check() == []
    for post_id in POSTS:
        if explained.states[-1].get(f"match:{post_id}") is not None:
            assert store.leaderboard(post_id, 100) == standings(explained.states[-1], post_id)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shards", [1, 4])
def test_a_history_in_memory_is_strictly_serializable(
    open_store: Opener, clock: ManualClock, seed: int, shards: int
) -> None:
    check(open_store(":memory:", clock=clock, shards=shards), seed, 60)


@pytest.mark.parametrize("seed", range(4))
def test_a_history_on_disk_is_strictly_serializable(open_store: Opener, clock: ManualClock, seed: int) -> None:
    limits = {"cache_bytes_max": 8_192, "board_players_max": 4} if seed % 2 else {}
    check(open_store(clock=clock, **limits), seed, 60)


@pytest.mark.parametrize("seed", range(8))
def test_a_history_with_conflicts_and_full_disks_is_strictly_serializable(
    open_store: Opener,
    clock: ManualClock,
    seed: int,
) -> None:
    check(open_store(engine=Chaos(random.Random(seed)), clock=clock, shards=1 + seed % 4), seed, 50)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 250))
def test_many_long_histories_are_strictly_serializable(open_store: Opener, clock: ManualClock, seed: int) -> None:
    place: dict[str, Any] = [{"path": ":memory:"}, {}, {"engine": Chaos(random.Random(seed))}][seed % 3]
    limits = {"shards": 1 + seed % 5, "in_flight_max": [16_384, 32][seed % 2], "commit_group_max": 32}
    check(open_store(**place, **limits, clock=clock), seed, 300)


# -- the checker itself: planted anomalies are found


@pytest.fixture
def honest(open_store: Opener, clock: ManualClock) -> tuple[list[Any], list[Operation]]:
    """A short history that is right, and its journal."""
    store = open_store(":memory:", clock=clock)
    history = history_of(store, 1, 20)
    entries = list(store.entries())
    Explanation(entries, history)
    return entries, history


def changed(history: list[Operation], which: Callable[[Operation], bool], **fields: Any) -> list[Operation]:
    """The history with one operation altered."""
    position = next(n for n, operation in enumerate(history) if which(operation))
    return [*history[:position], replace(history[position], **fields), *history[position + 1 :]]


def is_award(operation: Operation) -> bool:
    return isinstance(operation.does, AwardPoints) and isinstance(operation.outcome, Score)


def test_a_lost_write_is_found(honest: tuple[list[Any], list[Operation]]) -> None:
    entries, history = honest
    award = next(op for op in history if is_award(op))
    lost = next(entry for entry in entries if entry.request_id == award.request_id)
    rest = [entry._replace(seq=n) for n, entry in enumerate((e for e in entries if e is not lost), 1)]
    with pytest.raises(AssertionError):
        Explanation(rest, history)


def test_a_wrong_answer_is_found(honest: tuple[list[Any], list[Operation]]) -> None:
    entries, history = honest
    with pytest.raises(AssertionError):
        Explanation(entries, changed(history, is_award, outcome=Score("p0", "u0", 1e6)))


def test_a_write_that_came_before_it_was_sent_is_found(honest: tuple[list[Any], list[Operation]]) -> None:
    entries, history = honest
    end = max(operation.answered for operation in history)
    with pytest.raises(AssertionError):
        Explanation(entries, changed(history, is_award, sent=end + 1, answered=end + 2))


def test_a_stale_read_is_found(honest: tuple[list[Any], list[Operation]]) -> None:
    entries, history = honest
    end = max(operation.answered for operation in history)
    stale = Operation(9, ("match p0", lambda state: state.get("match:p0")), end + 1, end + 2, None)
    with pytest.raises(AssertionError, match="match p0"):
        Explanation(entries, [*history, stale])


def test_a_rejection_without_a_reason_is_found(honest: tuple[list[Any], list[Operation]]) -> None:
    entries, history = honest
    end = max(operation.answered for operation in history)
    refused = Operation(9, AddTrophy("u9", "cup", request_id="x"), end + 1, end + 2, NotFound)
    with pytest.raises(AssertionError, match="AddTrophy"):
        Explanation(entries, [*history, refused])


def test_a_request_that_was_applied_twice_is_found(honest: tuple[list[Any], list[Operation]]) -> None:
    entries, history = honest
    with pytest.raises(AssertionError, match="twice"):
        Explanation([*entries, entries[-1]._replace(seq=len(entries) + 1)], history)
