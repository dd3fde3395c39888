"""Our own source, as the tests of rooms and of conventions read it."""

import ast
from functools import cache

import pytest
from places import ROOT

OURS = ("sdl", "strategies", "flows")
FILES = sorted(path for floor in OURS for path in (ROOT / floor).rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def module(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): path for path in FILES}


def imported(path):
    """Full names of what a file imports, wherever in it: ``scipy.special.ndtr`` for a name out of a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(path):
    return path.relative_to(ROOT).parts[0]


def calls(path):
    """Dotted names of what a file calls, with the call."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def uses(names, allowed):
    """Those of the names that no package or module of the allowed ones holds."""
    return sorted({name for name in names if not any(name == each or name.startswith(f"{each}.") for each in allowed)})


def innermost(name, packages):
    """The longest of the packages that a full name stands for or lives in; empty if it lives in none."""
    while name and name not in packages:
        name = name.rpartition(".")[0]
    return name
