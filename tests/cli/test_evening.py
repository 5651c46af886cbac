from __future__ import annotations

from collections import defaultdict
from itertools import islice

import pytest

from pictact_actors.cli.evening import Evening, Query, Step, host_steps
from pictact_actors.model.commands import Command, CompleteMatch, CreateMatch

STEPS = 20_000


def evening(seed: int = 1, **changes: int) -> Evening:
    return Evening(**{"seed": seed, "label": "test", "started_at": 1000.0, **changes})  # type: ignore[arg-type]  # ints


def steps(of: Evening, host: int = 0, count: int = STEPS) -> list[Step]:
    return list(islice(host_steps(of, host, lambda: False), count))


def commands(of: list[Step]) -> list[Command]:
    return [step for step in of if isinstance(step, Command)]


@pytest.fixture(scope="module")
def played() -> list[Step]:
    return steps(evening())


def test_the_same_seed_plays_the_same_evening() -> None:
    assert steps(evening(), count=2_000) == steps(evening(), count=2_000)


def test_another_seed_and_another_host_play_another() -> None:
    first = steps(evening(), count=200)
    assert steps(evening(seed=2), count=200) != first
    assert steps(evening(), host=1, count=200) != first


def test_every_command_is_valid(played: list[Step]) -> None:
    for command in commands(played):
        command.checked()


def test_every_command_has_a_request_id_of_its_own(played: list[Step]) -> None:
    sent = [(command.group, command.request_id) for command in commands(played)]
    assert len(set(sent)) == len(sent)


def test_reads_are_far_more_frequent_than_writes(played: list[Step]) -> None:
    reads = sum(isinstance(step, Query) for step in played)
    assert reads > 10 * (len(played) - reads)


def test_matches_begin_before_anything_else_and_end_once(played: list[Step]) -> None:
    seen: dict[str, list[str]] = defaultdict(list)
    for command in commands(played):
        if hasattr(command, "post_id"):
            seen[command.post_id].append(command.NAME)
    for names in seen.values():
        assert names[0] == "create_match"
        assert names.count("create_match") == 1
        assert "complete_match" not in names[:-1]
    assert any(names[-1] == "complete_match" for names in seen.values())


def test_a_round_is_closed_before_the_next_begins(played: list[Step]) -> None:
    turns: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for command in commands(played):
        if command.NAME in ("create_round", "close_round"):
            turns[command.post_id].append((command.NAME, command.index))  # type: ignore[attr-defined]  # both have them
    for sequence in turns.values():
        assert sequence == [(("create_round", "close_round")[place % 2], place // 2) for place in range(len(sequence))]


def test_hosts_share_out_the_matches(played: list[Step]) -> None:
    of = evening(hosts=3, matches=8)
    assert sorted(slot for host in range(3) for slot in of.slots(host)) == list(range(8))
    assert {step.post_id for step in played if isinstance(step, Query)} <= {
        evening().post_id(slot, number) for slot in evening().slots(0) for number in range(1000)
    }


def test_players_have_names_of_their_own() -> None:
    assert len({evening().player(place) for place in range(5_000)}) == 5_000


def test_when_the_evening_is_over_every_match_is_brought_to_its_end() -> None:
    taken = 0

    def is_over() -> bool:
        return taken > 3_000

    open_posts = set()
    for step in host_steps(evening(), 0, is_over):
        taken += 1
        assert taken < 4_000
        if isinstance(step, CreateMatch):
            open_posts.add(step.post_id)
        elif isinstance(step, CompleteMatch) or (isinstance(step, Command) and step.NAME == "cancel_match"):
            open_posts.remove(step.post_id)  # type: ignore[attr-defined]  # both have one
    assert taken > 3_000
    assert not open_posts


def test_an_evening_that_is_over_before_it_begins_has_no_steps() -> None:
    assert list(host_steps(evening(), 0, lambda: True)) == []
