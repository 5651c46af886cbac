"""Updates by a function: whatever it returns or raises, what is written is a checked record under its key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from world import NOW, World

from pictact_actors.errors import InvalidKey, InvalidValue, NotFound
from pictact_actors.model.deciding import digest
from pictact_actors.model.keys import parse
from pictact_actors.model.records import Lifetime, Record, Score
from pictact_actors.model.updating import FunctionExited, FunctionFailed, Update

KEY = "score:t3_a:ann"
Fn = Callable[[Any], Any]


class Hostile:
    """A value that cannot even be looked at."""

    @property  # type: ignore[misc]  # that is the point
    def __class__(self) -> type:
        raise RuntimeError("no class for you")

    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")

    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class Special(Score):
    """A record class of somebody else's."""


def plus(points: float) -> Fn:
    return lambda score: Score("t3_a", "ann", points) if score is None else replace(score, points=score.points + points)


def test_a_function_gets_the_record_or_none_and_its_record_is_written(game: World) -> None:
    assert game.do(Update(KEY, plus(5))) == game.records[KEY]
    assert game.do(Update(KEY, plus(2.5))) == game.records[KEY]
    assert game.records[KEY].points == 7.5  # type: ignore[attr-defined]  # a score


def test_an_updated_record_has_the_times_of_one_that_is_put(game: World) -> None:
    first = game.do(Update(KEY, plus(5)))
    game.now += 60
    same = game.do(Update(KEY, lambda score: replace(score, wins=0)))
    more = game.do(Update(KEY, plus(1)))
    assert isinstance(first, Score)
    assert isinstance(same, Score)
    assert isinstance(more, Score)
    assert [score.created_at for score in (first, same, more)] == [NOW] * 3
    assert [score.updated_at for score in (first, same, more)] == [NOW, NOW + 60, NOW + 60]
    assert first.reached_at == same.reached_at < more.reached_at


UNFIT: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "a number": lambda: 7,
    "a map": lambda: {"points": 7},
    "a class": lambda: Score,
    "a list": lambda: [Score("t3_a", "ann", 1)],
    "somebody else's": lambda: Score("t3_a", "bob", 1),
    "of another match": lambda: Score("t3_b", "ann", 1),
    "another kind": lambda: Lifetime("ann"),
    "no kind": Record,
    "a class of the caller's": lambda: Special("t3_a", "ann", 1),
    "hostile": Hostile,
    "a hostile id": lambda: Score(Hostile(), "ann"),  # type: ignore[arg-type]  # mistakes of the caller's, all of them
    "a text for points": lambda: Score("t3_a", "ann", "many"),  # type: ignore[arg-type]
    "not a number": lambda: Score("t3_a", "ann", float("nan")),
    "a bool for points": lambda: Score("t3_a", "ann", True),
    "too many points": lambda: Score("t3_a", "ann", 2**60),
    "hostile points": lambda: Score("t3_a", "ann", Hostile()),  # type: ignore[arg-type]
    "a time before all": lambda: Score("t3_a", "ann", 1, created_at=-1.0),
    "a hostile field": lambda: Score("t3_a", "ann", 1, unknown={"x": Hostile()}),
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_cannot_be_written_under_the_key_is_an_invalid_value(game: World, what: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        game.do(Update(KEY, lambda _score: UNFIT[what]()))  # type: ignore[no-any-return]
    assert KEY not in game.records
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("made", [None, 7, Score("t3_a", "bob", 1), Lifetime("ann")], ids=repr)
def test_a_wrong_return_is_told_what_to_return(game: World, made: object) -> None:
    with pytest.raises(InvalidValue, match="must return the Score to be written under score:t3_a:ann"):
        game.do(Update(KEY, lambda _score: made))  # type: ignore[arg-type,return-value]


def test_a_trophy_that_is_no_id_is_an_invalid_value(world: World) -> None:
    with pytest.raises(InvalidValue, match="no ':'"):
        world.do(Update("lifetime:ann", lambda _: Lifetime("ann", trophies=["a:b"])))  # type: ignore[arg-type]


def test_lists_that_a_function_brings_are_frozen(world: World) -> None:
    won = ["gold"]
    world.do(Update("lifetime:ann", lambda _: Lifetime("ann", trophies=won)))  # type: ignore[arg-type]
    won.append("silver")
    assert world.records["lifetime:ann"].trophies == ["gold"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [ValueError("mine"), NotFound("mine"), StopIteration(1), MemoryError()], ids=repr)
def test_what_a_function_raises_is_carried_with_its_own_trace(game: World, error: Exception) -> None:
    def broken(_: object) -> Score:
        raise error

    with pytest.raises(FunctionFailed) as caught:
        game.do(Update(KEY, broken))
    assert caught.value.error is error
    assert caught.value.trace is not None
    assert caught.value.trace.tb_frame.f_code is broken.__code__


def test_an_error_of_a_function_that_is_no_python_has_no_trace(game: World) -> None:
    with pytest.raises(FunctionFailed) as caught:
        game.do(Update(KEY, len))  # type: ignore[arg-type]
    assert isinstance(caught.value.error, TypeError)
    assert caught.value.trace is None


@pytest.mark.parametrize("exit_of", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_a_function_does_not_end_a_thread_that_is_not_its_own(game: World, exit_of: BaseException) -> None:
    def leave(_: object) -> Score:
        raise exit_of

    with pytest.raises(FunctionExited, match=type(exit_of).__name__):
        game.do(Update(KEY, leave))


async def waiting(_: object) -> Score:
    return Score("t3_a", "ann")


@pytest.mark.parametrize("fn", [None, 7, "f", waiting], ids=["none", "a number", "a text", "a coroutine"])
def test_only_a_plain_function_can_be_called(fn: Any) -> None:
    with pytest.raises(InvalidValue, match="fn"):
        Update(KEY, fn).checked()


@pytest.mark.parametrize("key", ["nothing", "", "score:t3_a", "request:match:t3_a:r1", 7, None], ids=repr)
def test_only_a_record_of_the_users_can_be_updated(key: Any) -> None:
    with pytest.raises(InvalidKey):
        Update(key, plus(1)).checked()


@pytest.mark.parametrize(
    "key", ["match:t3_a", "round:t3_a:1", KEY, "analytics:t3_a", "lifetime:ann", "history:ann:t3_a"]
)
def test_an_update_belongs_to_the_group_of_its_key(key: str) -> None:
    assert Update(key, plus(1)).checked().group == parse(key).group


def test_the_same_request_id_is_done_once_whatever_the_function_is(game: World) -> None:
    first = game.do(Update(KEY, plus(5), "r1"))
    game.do(Update(KEY, plus(1)))
    assert game.do(Update(KEY, plus(100), "r1")) == first
    assert digest(Update(KEY, plus(1))) == digest(Update(KEY, plus(2), "r2"))


def test_the_same_request_id_for_another_key_is_an_invalid_value(game: World) -> None:
    game.do(Update(KEY, plus(5), "r1"))
    with pytest.raises(InvalidValue, match="different command"):
        game.do(Update("score:t3_a:bob", plus(5), "r1"))


def test_an_update_that_failed_may_be_sent_again_with_the_same_id(game: World) -> None:
    with pytest.raises(InvalidValue):
        game.do(Update(KEY, lambda _: None, "r1"))  # type: ignore[arg-type,return-value]
    assert game.do(Update(KEY, plus(5), "r1")) == game.records[KEY]


def test_a_request_id_of_an_update_is_checked_like_any_other() -> None:
    with pytest.raises(InvalidKey):
        Update(KEY, plus(1), "a:b").checked()
