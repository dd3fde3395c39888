"""The examples of the docstrings give what stands below them."""

import doctest
from importlib import import_module

import pytest
from places import ROOT

FLOORS = ("sdl", "strategies", "flows")
FILES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py") if ">>> " in path.read_text("utf-8"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_hold(name):
    found = doctest.testmod(import_module(name))
    assert found.attempted
    assert not found.failed
