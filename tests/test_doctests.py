"""The examples in the docstrings of the package are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import pictact_actors

FACES = {"pictact_actors", "pictact_actors.store", "pictact_actors.testing", "pictact_actors.config"}
MODULES = sorted(
    {"pictact_actors"}
    | {module.name for module in pkgutil.walk_packages(pictact_actors.__path__, "pictact_actors.")}
    - {"pictact_actors.__main__"}
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert tried.failed == 0
    assert tried.attempted > 0 or name not in FACES


def test_the_faces_have_examples() -> None:
    assert set(MODULES) >= FACES
