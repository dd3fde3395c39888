"""What holds of every file: no code of others is run, chance is handed down, decisions know no world, names speak."""

import ast
from collections import defaultdict

import pytest
from source import FILES, MODULES, calls, each_file, floor, imported, module, tree, uses

ARRAYS = {"flows.engine.fitting_process", "flows.engine.fitting_worker"}
"""Modules of the upper floor that hold rows in arrays, beside the benchmarks."""
VAGUE = {"run", "table", "write"}
"""Names that say nothing of what a function runs, shows or writes."""
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


@pytest.mark.fault("N-02", "N-06", "M-14")
@each_file
def test_nothing_that_can_run_code_is_read_or_built(path):
    assert [name for name in imported(path) if name.partition(".")[0] in RUNS_CODE] == []
    for name, call in calls(path):
        assert name not in BUILT_IN_DANGERS, f"line {call.lineno}: {name}"
        assert name.rpartition(".")[2] not in ("read_pickle", "to_pickle"), f"line {call.lineno}: {name}"
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert options.get("allow_pickle", "False") == "False", f"line {call.lineno}: {name}"
        # 'trusted' is of a type that has no False.
        assert options.get("verify", "True") in ("True", "trusted"), f"line {call.lineno}: {name}"
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


def test_the_upper_floor_does_no_arithmetic_on_arrays():
    upper = {name: path for name, path in MODULES.items() if floor(path) == "flows"}
    counting = [name for name, path in upper.items() if any(each.startswith("numpy") for each in imported(path))]
    assert [name for name in counting if name not in ARRAYS and not name.startswith("flows.benchmarks.")] == []


def test_a_public_class_name_has_one_meaning():
    places = defaultdict(list)
    for name, path in MODULES.items():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@each_file
def test_a_public_function_says_what_it_is_about(path):
    functions = [node.name for node in tree(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not VAGUE & set(functions)
