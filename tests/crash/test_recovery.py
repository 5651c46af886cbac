"""Every file of a directory, harmed in every way: the store opens with all that it had, and says what it did."""

from __future__ import annotations

import logging
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest
from amounts import FILES_AT_REST, FILES_KILLED, RANDOM_HARMS
from harmed import (
    HARMS,
    HOLD_NOTHING,
    Sample,
    at_rest,
    harmed_at_random,
    in_memory,
    kind_of,
    opened,
    played,
    seen_in,
)

from pictact_actors import StoreDamaged

each_harm = pytest.mark.parametrize("harm", HARMS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with in_memory(tmp_path_factory.mktemp("harmed")) as home:
        yield home


@pytest.fixture(scope="module")
def samples(home: Path) -> list[Sample]:
    return list(played(home / "played"))


@pytest.fixture
def rest(samples: list[Sample]) -> Sample:
    """At rest: closed in peace."""
    return samples[0]


@pytest.fixture
def killed(samples: list[Sample]) -> Sample:
    """As a kill left it, some time after the last commit."""
    return samples[1]


def harmed(sample: Sample, name: str, harm: str, path: Path) -> Path | None:
    """A copy of a sample with one file harmed; None if that changes nothing."""
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(sample.path, path)
    return path if HARMS[harm](path / name, sample.older / name) else None


def outcome(path: Path, sample: Sample) -> list[str]:
    """Open a directory, look at everything, and return the cases that were healed."""
    with opened(path) as store:
        assert seen_in(store) == sample.seen
        assert store.check() == []
        return [recovery.case for recovery in store.statistics().recoveries]


# -- at rest


def test_a_sample_has_a_bit_of_everything(rest: Sample) -> None:
    parts = {name.partition("/")[0] for name in rest.files()}
    assert parts == {"STORE", "CLOSED", "LOCK", "ballast", "archive", "base", "journal", "state"}
    assert len(rest.files()) >= FILES_AT_REST
    assert sum(name.startswith("base/") for name in rest.files()) > 2
    assert sum(name.startswith("journal/") for name in rest.files()) > 2


@each_harm
def test_any_one_file_of_a_store_at_rest_may_be_harmed(rest: Sample, home: Path, harm: str) -> None:
    for name in rest.files():
        path = harmed(rest, name, harm, home / "game-data")
        if path is None:
            continue
        try:
            cases = outcome(path, rest)
            again = outcome(path, rest)
        except (AssertionError, StoreDamaged) as error:
            raise AssertionError(f"{name}: {harm}") from error
        told = bool(cases) or name in (*HOLD_NOTHING, "CLOSED") or name.startswith("state/")
        assert told, f"{name}: {harm}: nobody was told"
        assert again == cases, f"{name}: {harm}: it was not healed for good"


def test_an_identity_comes_back_as_it_was(rest: Sample, home: Path) -> None:
    path = harmed(rest, "STORE", "deleted", home / "game-data")
    assert path is not None
    outcome(path, rest)
    assert (path / "STORE").read_bytes() == (rest.path / "STORE").read_bytes()


def test_two_harmed_sides_are_refused_and_both_are_named(rest: Sample, home: Path) -> None:
    state = next(name for name in rest.files() if name.endswith(".ldb"))
    for name in rest.files():
        if name.startswith(("base/", "journal/")):
            path = harmed(rest, name, "half of it left", home / "game-data")
            assert path is not None
            HARMS["zeros"](path / state, path)
            with pytest.raises(StoreDamaged, match=rf"{path}/(base|journal).*; .*state.*; neither side"):
                opened(path)


def test_what_cannot_be_healed_says_which_backup_there_is(rest: Sample, home: Path) -> None:
    path = harmed(rest, max(name for name in rest.files() if "journal/" in name), "deleted", home / "game-data")
    assert path is not None
    shutil.rmtree(path / "state")
    (path / "backups").mkdir()
    (path / "backups" / "0000000000000042-0badcafe.backup").touch()
    with pytest.raises(StoreDamaged, match=r"restore the newest backup in .*backups, of commit 42"):
        opened(path)


# -- killed


ENDS = ("nothing left", "half of it left", "most of it left", "zeros", "deleted")
"""What takes away of the last segment where it ended: nobody can tell any more whether more was acknowledged."""


@each_harm
def test_any_one_file_of_a_killed_store_may_be_harmed_but_for_the_end_of_its_journal(
    killed: Sample, home: Path, harm: str
) -> None:
    last = max(name for name in killed.files() if name.startswith("journal/"))
    for name in killed.files():
        path = harmed(killed, name, harm, home / "game-data")
        if path is None:
            continue
        if name == last and harm in ENDS:
            with pytest.raises(StoreDamaged, match=rf"{path / 'journal'}.*; the state cannot make up for it"):
                opened(path)
            continue
        try:
            outcome(path, killed)
        except (AssertionError, StoreDamaged) as error:
            raise AssertionError(f"{name}: {harm}") from error


def test_a_killed_sample_has_enough_files(killed: Sample) -> None:
    assert len(killed.files()) >= FILES_KILLED


# -- anywhere


@pytest.mark.parametrize("place", [0, 1], ids=["at rest", "killed"])
def test_a_file_of_any_kind_may_be_harmed_anywhere(samples: list[Sample], home: Path, place: int) -> None:
    sample = samples[place]
    seed = random.getrandbits(32)
    logging.getLogger(__name__).warning("seed %d", seed)
    rng = random.Random(seed)
    with at_rest(Path(shutil.copytree(sample.path, home / "whole"))) as engine:
        records = dict(engine.scan(""))
    kinds = defaultdict(list)
    for name in sample.files():
        kinds[kind_of(name)].append(name)
    last = max(name for name in sample.files() if name.startswith("journal/"))
    for names in islice(cycle(kinds.values()), RANDOM_HARMS):
        path, name = home / "game-data", rng.choice(names)
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(sample.path, path)
        how = harmed_at_random(path / name, rng)
        try:
            with at_rest(path) as engine:
                assert dict(engine.scan("")) == records
                assert list(engine.check()) == []
        except (AssertionError, StoreDamaged) as error:
            if place == 0 or name != last or "cannot make up for it" not in str(error):
                raise AssertionError(f"{name}: {how}") from error
    shutil.rmtree(home / "whole")
