"""``python tests/faults/fault_table.py`` writes ``deployments/faults.md`` from the matrix and the tests' marks."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fault_matrix import MATRIX, REMARKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "deployments" / "faults.md"
HEAD = """# What may go wrong, and the tests that make it happen

Made by `python tests/faults/fault_table.py` from `fault_matrix.py` beside it and the marks `@pytest.mark.fault` of the
tests; one of them keeps this page current. Every test named here injects the fault and asserts what stands beside it.
"""


@cache  # every line of the matrix asks for it, and it reads all the tests
def marked() -> dict[str, list[str]]:
    """Tests by the line of the matrix that they inject, as ``file.py::test``, in the order of files."""
    found = defaultdict[str, list[str]](list)
    for path in sorted((ROOT / "tests").rglob("test_*.py"), key=lambda path: path.name):
        for name, ids in _of(ast.parse(path.read_text(encoding="utf-8")), ()):
            for each in ids:
                found[each].append(f"{path.name}::{name}")
    return dict(found)


def _of(node: ast.AST, inherited: tuple[str, ...], prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.ClassDef):
            yield from _of(each, (*inherited, *_ids(each)), f"{prefix}{each.name}::")
        elif isinstance(each, ast.FunctionDef) and each.name.startswith("test_"):
            yield f"{prefix}{each.name}", (*inherited, *_ids(each))


def _ids(node: ast.ClassDef | ast.FunctionDef) -> tuple[str, ...]:
    """What the decorators say, those inside ``pytest.param`` as well."""
    calls = [each for place in node.decorator_list for each in ast.walk(place) if isinstance(each, ast.Call)]
    marks = [call for call in calls if ast.unparse(call.func) == "pytest.mark.fault"]
    return tuple(dict.fromkeys(ast.literal_eval(word) for mark in marks for word in mark.args))


def page() -> str:
    """The page as it should be."""
    tests, parts = marked(), [HEAD]
    for kind, lines in MATRIX.items():
        parts.append(f"\n## {kind}\n\n| | fault | what must be seen | tests |\n|---|---|---|---|\n")
        parts += [f"| {each} | {fault} | {seen} | {_cell(each, tests)} |\n" for each, (fault, seen) in lines.items()]
    return "".join(parts)


def _cell(line: str, tests: dict[str, list[str]]) -> str:
    named = [f"`{each}`" for each in tests.get(line, [])]
    return "<br>".join([*named, *filter(None, [REMARKS.get(line, "")])])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
