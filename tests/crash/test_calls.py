"""Every system call that changes a file goes wrong, one after the other: nothing acknowledged is lost or half there.

A child gives a command, or opens, closes, cleans up or folds, and at its n-th call it is killed (before the call, or in
the middle of a write), or the call fails with EIO or ENOSPC, once or from then on for ever. The ordinary tests kill
commands at all of their calls, and take some at random of the rest; the long ones take all of them.
"""

from __future__ import annotations

import errno
import logging
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cleaning
import deeds
import pytest
from copying import copy_of
from deeds import COMMANDS, FILLER, bare, fill, opened, shown
from games import begin, begin_round, play
from preload import CHANGING, FAIL, FOR_EVER, KILL, OPEN, STALL, SYNC, TEAR, Fault, Outcome, Preloaded, preloaded
from test_cleaning import verify as verify_cleaned

from pictact_actors import Store, StoreError, errors

KILLS = [Fault(KILL), Fault(TEAR)]
ERRORS = [
    Fault(FAIL, code=code, times=times, kinds=CHANGING | OPEN)
    for code in (errno.EIO, errno.ENOSPC)
    for times in (1, FOR_EVER)
]
CALLS_MAX = 2_000
STALL_MS = 2_000


@dataclass(frozen=True)
class Image:
    """A directory to begin with, and what it shows before and after a command that answers so."""

    path: Path
    before: Any = None
    after: Any = None
    answer: Any = None

    def copy(self, home: Path) -> Path:
        """The directory once more."""
        path = home / "data"
        shutil.rmtree(path, ignore_errors=True)
        return path if not self.path.exists() else copy_of(self.path, path)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    with preloaded(tmp_path_factory.mktemp("library"), Path(deeds.__file__)) as process:
        yield process


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """For each command a directory in which it comes next, with hardly any room in the journal segment."""
    home = tmp_path_factory.mktemp("images")
    path = home / "data"
    with opened(path, create=True) as store:
        begin(store, FILLER)
        begin_round(store, 1, FILLER)
    return {name: _image(path, home / f"before-{place}", name) for place, name in enumerate(COMMANDS)}


def _image(path: Path, to: Path, name: str) -> Image:
    with opened(path) as store:
        fill(store)
        before = shown(store)
    copy_of(path, to)
    with opened(path) as store:
        answer = bare(COMMANDS[name](store))
        return Image(to, before, shown(store), answer)


@pytest.fixture(scope="module")
def played(images: dict[str, Image]) -> Image:
    """A directory as a crash leaves it, after many segments."""
    path = images["award_points"].path.with_name("played")
    copy_of(images["award_points"].path, path)
    crashed = path.with_name("crashed")
    with opened(path) as store:
        for turn in range(3):
            play(store, {f"user{number}": turn for number in range(60)}, FILLER)
        copy_of(path, crashed)
        return Image(crashed, shown(store))


@pytest.fixture(scope="module")
def due(tmp_path_factory: pytest.TempPathFactory) -> Image:
    path = tmp_path_factory.mktemp("due") / "data"
    details = cleaning.prepare(path)
    return Image(path, details)


# -- what has to hold


def verify_command(outcome: Outcome, path: Path, image: Image, name: str) -> None:
    """Whatever went wrong: it is done if it was answered, else done or not, and once when it is repeated."""
    acknowledged = [at for at in (outcome.first("answered"), outcome.first("repeated")) if at]
    assert all(answer == (image.answer,) for answer in acknowledged)
    (seen,) = outcome.first("seen") or (None,)
    assert seen in (None, image.before, image.after)
    assert seen in (None, image.after) or not outcome.first("answered")
    require_good(outcome)
    with opened(path) as store:
        assert store.check() == []
        assert shown(store) in ([image.after] if acknowledged else [image.before, image.after])
        assert bare(COMMANDS[name](store)) == image.answer
        assert shown(store) == image.after


def require_good(outcome: Outcome, *others: str) -> None:
    """Every refusal is one of our errors, and no problem was found."""
    assert outcome.signal in (0, signal.SIGKILL)
    assert outcome.first("problems") in (None, ([],))
    for event in outcome.events:
        if event[0] == "refused":
            known = getattr(errors, event[2], None)
            assert event[2] in others or (isinstance(known, type) and issubclass(known, StoreError)), event


def sweep(task: Callable[[Fault], Outcome], faults: list[Fault], chosen: int | None) -> int:
    """Let a task go wrong at calls at random, or at every one of them; return at how many."""
    seed = random.getrandbits(32)
    rng = random.Random(seed)
    calls = {kinds: _calls_of(task, kinds) for kinds in {fault.kinds for fault in faults}}
    tried = 0
    for fault in faults:
        points = range(1, calls[fault.kinds] + 1)
        for at in points if chosen is None else sorted(rng.sample(points, min(chosen, len(points)))):
            try:
                task(fault.from_call(at))
            except BaseException:
                logging.getLogger(__name__).warning("seed %d, %s", seed, fault.from_call(at))
                raise
            tried += 1
    return tried


def _calls_of(task: Callable[[Fault], Outcome], kinds: int) -> int:
    (count,) = task(Fault(kinds=kinds)).first("calls") or (0,)
    assert 0 < count < CALLS_MAX
    return int(count)


# -- commands


def sweep_command(
    process: Preloaded, images: dict[str, Image], home: Path, name: str, faults: list[Fault], chosen: int | None
) -> None:
    image = images[name]

    def task(fault: Fault) -> Outcome:
        path = image.copy(home)
        outcome = process.run("command", path, fault, name=name)
        verify_command(outcome, path, image, name)
        return outcome

    assert sweep(task, faults, chosen)


each_command = pytest.mark.parametrize("name", COMMANDS)
for_long = pytest.mark.timeout(3_600)


@each_command
def test_a_command_killed_at_any_call_is_done_or_not(
    process: Preloaded, images: dict[str, Image], tmp_path: Path, name: str
) -> None:
    sweep_command(process, images, tmp_path, name, KILLS[:1], None)
    sweep_command(process, images, tmp_path, name, KILLS[1:], 1)


@each_command
def test_a_command_whose_calls_fail_is_done_or_refused(
    process: Preloaded, images: dict[str, Image], tmp_path: Path, name: str
) -> None:
    sweep_command(process, images, tmp_path, name, ERRORS, 1)


@pytest.mark.long
@for_long
@each_command
def test_a_command_that_goes_wrong_at_every_call_is_done_or_not(
    process: Preloaded, images: dict[str, Image], tmp_path: Path, name: str
) -> None:
    sweep_command(process, images, tmp_path, name, KILLS + ERRORS, None)


# -- steps in the life of a store


def verify_opening(outcome: Outcome, path: Path, image: Image) -> None:
    """It opens, or says why not; it opens when calls work again, and shows what was there."""
    require_good(outcome)
    assert all(event[1] == image.before for event in outcome.events if event[0] == "seen")
    assert outcome.signal or outcome.first("reopened")
    with opened(path, create=True) as store:
        assert store.check() == []
        assert shown(store) == image.before


def verify_closing(outcome: Outcome, path: Path, image: Image) -> None:
    """Everything that was acknowledged is there, however the store was closed."""
    require_good(outcome)
    assert outcome.first("answered") == ()
    with opened(path) as store:
        assert store.check() == []
        assert store.score(FILLER, "late").points == 1
        assert len(shown(store)) == len(image.before) + 1


def verify_folding(outcome: Outcome, path: Path, image: Image) -> None:
    """Nothing changes by it."""
    require_good(outcome, "OSError")
    with opened(path) as store:
        assert store.check() == []
        assert shown(store) == image.before


def verify_cleanup(outcome: Outcome, path: Path, image: Image) -> None:
    """Nothing that is due is seen again, and every detail is archived once."""
    require_good(outcome)
    verify_cleaned(path, image.before)


def verify_backup(outcome: Outcome, path: Path, image: Image) -> None:
    """The store is as it was, and every backup that was declared can be restored."""
    require_good(outcome)
    assert outcome.signal or outcome.first("repeated")
    for (taken,) in filter(None, (outcome.first("taken"), outcome.first("repeated"))):
        restored = path.with_name("restored")
        shutil.rmtree(restored, ignore_errors=True)
        Store.restore(taken, restored)
        verify_folding(outcome, restored, image)
    verify_folding(outcome, path, image)


STEPS = {
    "opening": ("played", verify_opening, {"create": False}),
    "creating": ("nothing", verify_opening, {"create": True}),
    "closing": ("played", verify_closing, {}),
    "folding": ("played", verify_folding, {}),
    "cleanup": ("due", verify_cleanup, {}),
    "backup": ("played", verify_backup, {}),
}
"""The steps, with the directory in which they begin, what has to hold after them, and how they are done."""


@pytest.fixture
def beginnings(played: Image, due: Image, tmp_path: Path) -> dict[str, Image]:
    return {"played": played, "due": due, "nothing": Image(tmp_path / "nothing", before={})}


def sweep_step(
    process: Preloaded,
    beginnings: dict[str, Image],
    home: Path,
    name: str,
    faults: list[Fault],
    chosen: int | None,
) -> None:
    beginning, verify, details = STEPS[name]
    image = beginnings[beginning]

    def task(fault: Fault) -> Outcome:
        path = image.copy(home)
        outcome = process.run("opening" if name == "creating" else name, path, fault, **details)
        verify(outcome, path, image)
        return outcome

    assert sweep(task, faults, chosen)


each_step = pytest.mark.parametrize("name", STEPS)


@each_step
def test_a_step_killed_at_a_call_loses_nothing(
    process: Preloaded, beginnings: dict[str, Image], tmp_path: Path, name: str
) -> None:
    sweep_step(process, beginnings, tmp_path, name, KILLS, 6)


@each_step
def test_a_step_whose_calls_fail_loses_nothing(
    process: Preloaded, beginnings: dict[str, Image], tmp_path: Path, name: str
) -> None:
    sweep_step(process, beginnings, tmp_path, name, ERRORS, 2)


@pytest.mark.long
@for_long
@each_step
def test_a_step_that_goes_wrong_at_every_call_loses_nothing(
    process: Preloaded, beginnings: dict[str, Image], tmp_path: Path, name: str
) -> None:
    sweep_step(process, beginnings, tmp_path, name, KILLS + ERRORS, None)


# -- a disk that stands still


def test_a_sync_that_takes_seconds_holds_up_no_reads_and_restarts_nobody(
    process: Preloaded, images: dict[str, Image], tmp_path: Path
) -> None:
    path = images["award_points"].copy(tmp_path)
    outcome = process.run("stalled", path, Fault(STALL, 1, kinds=SYNC, stall_ms=STALL_MS))
    require_good(outcome)
    reads, slowest_ms = outcome.first("read") or (0, STALL_MS)
    assert reads > STALL_MS / 100
    assert slowest_ms < STALL_MS / 4
    assert outcome.first("restarts") == (0,)
    assert outcome.first("answered") == (5,)
