"""The floors of the house: who imports whom, and what nobody uses."""

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("sdl", "strategies", "flows")
FILES = sorted(path for floor in OURS for path in (ROOT / floor).rglob("*.py"))

LABORATORY = {"numpy", "pydantic", "requests", "urllib3", "sqlalchemy", "jinja2", "matplotlib", "pyarrow"}
DECISIONS = {"numpy", "scipy", "sklearn", "gmr", "threadpoolctl"}
GENERATIVE = {"torch", "botorch", "gpytorch", "linear_operator", "ForestDiffusion", "xgboost", "zuko"}
"""Of the extra of that name: each seconds to import, and with a global state of its own. Models only may use them."""
PEERS = {"ax", "baybe", "bofire"}
"""Of the extra of that name, one file each."""
ALLOWED = {
    "sdl": LABORATORY | {"scipy.special"},
    "sdl.instruments": LABORATORY | {"scipy.special", "scipy.linalg", "scipy.sparse"},
    "strategies": DECISIONS,
    "strategies.models": DECISIONS | GENERATIVE,
    "strategies.evaluation.peers": DECISIONS | GENERATIVE | PEERS | {"pandas"},
    "flows": LABORATORY
    | DECISIONS
    | {
        "prefect",
        "alembic",
        "uvicorn",
        "httpx",
        "packaging",
        "typer",
        "rich",
    },  # four are what Prefect stands on
}
"""Third-party packages of each floor."""
BELOW = {"sdl": {"sdl"}, "strategies": {"sdl", "strategies"}, "flows": {"sdl", "strategies", "flows"}}
RUNS_CODE = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve", "code", "runpy"}
BUILT_IN_DANGERS = {"eval", "exec", "compile", "__import__"}
WORLD = {
    *("time", "datetime", "os", "pathlib", "io", "socket", "subprocess", "threading", "multiprocessing", "random"),
    *("asyncio", "logging", "urllib", "http", "sqlite3", "tempfile", "shutil"),
}
"""What a decision has no business with: files, networks, clocks, and chance that is not handed down."""
CLOCKS = {"strategies.models.base.time_budget"}
"""Who may look at the clock: a training has only so much time."""
CONTAINERS = {
    "strategies.models.mixtures.forest": {"get_state", "set_state"},
    "strategies.models.conformance": {"get_state", "random"},
    "strategies.evaluation.peers.library_guard": {"get_state", "set_state", "seed"},
}
"""Who may touch the global generator: to undo what a library does to it, and to see that a model does not."""
GENERATORS = {"Generator", "default_rng", "SeedSequence", "BitGenerator", "PCG64", "Philox"}

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


def allowed(name):
    """Third-party packages of a module: those of the innermost package that the table names."""
    while name not in ALLOWED:
        name = name.rpartition(".")[0]
    return ALLOWED[name]


def test_all_floors_are_looked_at():
    assert {floor(path) for path in FILES} == set(OURS)
    assert len(FILES) > 40


@each_file
def test_a_file_imports_from_its_own_floor_and_those_below(path):
    ours = [name for name in imported(path) if name.partition(".")[0] in (*OURS, "deployments", "tests")]
    assert uses(ours, BELOW[floor(path)]) == []


@each_file
def test_a_floor_keeps_to_its_packages(path):
    strange = [n for n in imported(path) if n.partition(".")[0] not in (*OURS, *sys.stdlib_module_names)]
    assert uses(strange, allowed(module(path))) == []


@pytest.mark.fault("N-02", "N-06", "M-14")
@each_file
def test_nothing_that_can_run_code_is_read_or_built(path):
    assert [name for name in imported(path) if name.partition(".")[0] in RUNS_CODE] == []
    for name, call in calls(path):
        assert name not in BUILT_IN_DANGERS, f"line {call.lineno}: {name}"
        assert name.rpartition(".")[2] not in ("read_pickle", "to_pickle"), f"line {call.lineno}: {name}"
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert options.get("allow_pickle", "False") == "False", f"line {call.lineno}: {name}"
        assert options.get("verify", "True") == "True", f"line {call.lineno}: {name}"
        assert options.get("shell", "False") == "False", f"line {call.lineno}: {name}"


@each_file
def test_chance_is_handed_down_and_never_global(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
            assert node.attr in GENERATORS | CONTAINERS.get(module(path), set()), (
                f"line {node.lineno}: np.random.{node.attr}"
            )
    assert (
        uses(
            [name for name in imported(path) if name.startswith("numpy.random.")],
            {f"numpy.random.{g}" for g in GENERATORS},
        )
        == []
    )
    unseeded = [call.lineno for name, call in calls(path) if name.endswith("default_rng") and not call.args]
    assert floor(path) != "strategies" or not unseeded


@pytest.mark.parametrize("path", [p for p in FILES if floor(p) == "strategies"], ids=module)
def test_a_decision_knows_neither_files_nor_clocks(path):
    world = WORLD - {"time"} if module(path) in CLOCKS else WORLD
    assert [name for name in imported(path) if name.partition(".")[0] in world] == []
    assert "open" not in {name for name, _ in calls(path)}


def test_there_is_no_circle():
    def nearest(name):
        """The module of ours that a full name stands for or lives in."""
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        return name

    needs = {name: {nearest(each) for each in imported(path)} & set(MODULES) - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")
