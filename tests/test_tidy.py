"""Small files, small functions, nothing left lying around."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = ("pictact_actors", "tests", "bench")
SOURCES = {str(path.relative_to(ROOT)): path for top in PLACES for path in sorted((ROOT / top).rglob("*.py"))}
TOP_LEVEL = {"pyproject.toml", "README.md", *PLACES}
VAGUE = {"utils", "util", "helper", "helpers", "manager", "common", "misc", "data", "info"}
LEFT_OVER = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

each_source = pytest.mark.parametrize("name", SOURCES)


@each_source
def test_a_file_is_short_and_named_by_a_noun(name: str) -> None:
    lines = SOURCES[name].read_text("utf-8").splitlines()
    assert len(lines) <= FILE_LINES_MAX, f"{name} has {len(lines)} lines: find the two things in it"
    assert Path(name).stem not in VAGUE, f"{name}: name it by what it is"


@each_source
def test_functions_are_short_and_catch_what_they_name(name: str) -> None:
    for node in ast.walk(ast.parse(SOURCES[name].read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{name}: {node.name} has {length} lines: split it by what it does"
        bare = isinstance(node, ast.ExceptHandler) and node.type is None
        assert not bare, f"{name}:{getattr(node, 'lineno', 0)} catches everything: name the error"


@each_source
def test_nothing_is_left_to_do_and_no_line_ends_in_blanks(name: str) -> None:
    for number, line in enumerate(SOURCES[name].read_text("utf-8").splitlines(), 1):
        assert line == line.rstrip(), f"{name}:{number} ends in blanks"
        assert not any(word in line for word in LEFT_OVER), f"{name}:{number}: do it, or open an issue"


def test_no_two_files_of_the_tests_share_a_name() -> None:
    names = Counter(Path(name).stem for name in SOURCES if name.startswith("tests/"))
    shared = [name for name, count in names.items() if count > 1 and name not in {"__init__", "conftest"}]
    assert not shared, f"{shared}: tests import each other by name, and only one of them would be found"


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("NOT CHECKED: no git or no repository here, so nobody knows what belongs to it")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    strays = {name.partition("/")[0] for name in listed.stdout.split("\0") if name} - TOP_LEVEL
    assert not {name for name in strays if not name.startswith(".")}, f"move {strays} below one of {TOP_LEVEL}"
