"""Exactly once: a step that is repeated with its request id gets the first answer, whatever happened in between."""

from __future__ import annotations

import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from children import CONFIG, Child
from copying import copy_of
from once import ANN, POST, STEPS, content, do_all, done

from pictact_actors import InvalidValue, Store


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What is there after each step was done once."""
    with Store.open(":memory:") as store:
        for name in STEPS:
            done(store, name)
        return content(store)


def repeated(path: Path, answers: dict[str, Any], expected: dict[str, Any]) -> None:
    """Open a directory, do everything again, and find each answer and the end as they were."""
    with Store.open(path, config=CONFIG) as store:
        for name in STEPS:
            answer = done(store, name)
            assert name not in answers or answer == answers[name], name
        assert content(store) == expected
        assert store.check() == []


@pytest.mark.parametrize("answered", [1, len(STEPS) // 2, len(STEPS)])
def test_what_a_killed_host_repeats_is_done_once(tmp_path: Path, answered: int, expected: dict[str, Any]) -> None:
    answers: dict[str, Any] = {}
    with Child(do_all, tmp_path / "data") as child:
        for _, name, answer in child.events():
            answers[name] = answer
            if len(answers) == answered:
                break
        answers.update({name: answer for _, name, answer in child.killed()})
        assert child.signal == signal.SIGKILL
    assert len(answers) >= answered
    repeated(tmp_path / "data", answers, expected)


@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_what_is_repeated_after_a_crash_behind_any_step_is_done_once(
    tmp_path: Path, steps: int, expected: dict[str, Any]
) -> None:
    with Store.open(tmp_path / "data", config=CONFIG) as store:
        answers = {name: done(store, name) for name in list(STEPS)[:steps]}
        copy_of(tmp_path / "data", tmp_path / "crashed")
    repeated(tmp_path / "crashed", answers, expected)
    repeated(tmp_path / "data", answers, expected)


def test_any_order_of_repetitions_gets_the_first_answers(tmp_path: Path, expected: dict[str, Any]) -> None:
    with Store.open(tmp_path / "data", config=CONFIG) as store:
        answers = {name: done(store, name) for name in STEPS}
    with Store.open(tmp_path / "data", config=CONFIG) as store:
        seq = store.statistics().seq
        for name in random.sample(list(STEPS), len(STEPS)):
            assert done(store, name) == answers[name]
        assert content(store) == expected
        assert store.statistics().seq == seq


def test_another_command_under_an_old_id_is_refused_after_a_crash_too(tmp_path: Path) -> None:
    with Store.open(tmp_path / "data", config=CONFIG) as store:
        for name in STEPS:
            done(store, name)
        copy_of(tmp_path / "data", tmp_path / "crashed")
    others = (
        lambda store: store.award_points(POST, "ann", 6, request_id="first"),
        lambda store: store.award_points(POST, "ann", 5, request_id="doubled"),
        lambda store: store.update(f"score:{POST}:bob", replace, request_id="doubled"),
        lambda store: store.update(ANN, replace, request_id="first"),
        lambda store: store.add_trophy("ann", "silver", request_id="trophy"),
        lambda store: store.complete_match(POST, request_id="completed"),
        lambda store: store.put_many({ANN: store.score(POST, "ann")}, request_id="brought"),
        lambda store: store.transact(lambda tx: tx.award_points(POST, "ann", 2, request_id="in tx")),
        lambda store: store.transact(lambda tx: tx.cancel_match(POST, request_id="created")),
    )
    with Store.open(tmp_path / "crashed", config=CONFIG) as store:
        before = content(store)
        for other in others:
            with pytest.raises(InvalidValue, match="different command"):
                other(store)
        assert content(store) == before
