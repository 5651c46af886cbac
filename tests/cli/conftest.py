"""Verbs for tests of the command line: `run` a command in this process, `start` one as a child."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ran import PROGRAM, Ran, Run, Start

from pictact_actors import Store
from pictact_actors.cli import program


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "game-data"


@pytest.fixture
def run(data: Path) -> Run:
    def run(*args: str, stdin: bytes | str | None = None) -> Ran:
        result = CliRunner().invoke(program, [*_on(data, args)], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def start(data: Path) -> Iterator[Start]:
    children: list[subprocess.Popen[str]] = []

    def start(*args: str, **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1", **pipes.pop("env", {})}
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, *_on(data, args)], env=environment, **pipes)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def _on(data: Path, args: Sequence[str]) -> list[str]:
    needs_data = args and not args[0].startswith("-") and "--data" not in args
    return [*args, "--data", str(data)] if needs_data else list(args)


@pytest.fixture
def played(data: Path) -> Path:
    """Return a directory in which one match was played to its end and another goes on."""
    with Store.open(data) as store:
        for post_id in ("t3_done", "t3_open"):
            store.create_match(post_id, subreddit="pics", rounds_total=2, theme="sunsets", created_by="mod")
            store.create_round(post_id, 0, prompt_text="Where?", start_ts=100, end_ts=200)
            store.award_points(post_id, "ann", 2.5, request_id=f"{post_id}-ann")
            store.close_round(post_id, 0, winner_user="bob", points=10)
        store.record_analytics("t3_done", invalid_rate=0.5)
        store.complete_match("t3_done", trophies={"bob": ["best"]})
    return data


@pytest.fixture(autouse=True)
def whole(data: Path) -> Iterator[None]:
    """Check the store that a test leaves behind."""
    yield
    if (data / "STORE").exists():
        with Store.open(data) as store:
            assert store.check() == []
