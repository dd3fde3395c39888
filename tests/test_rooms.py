"""The floors of the house and their rooms: who imports whom, what nobody uses, and how many doors a folder has."""

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
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
    "sdl.instruments.configured": LABORATORY | {"asyncua", "paho", "pyvisa"},
    "sdl.measurement.sheets": LABORATORY | {"openpyxl"},
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
        "IPython",
        "pandas",
        "packaging",
        "dotenv",
        "typer",
        "rich",
    },  # five are what Prefect stands on
}
"""Third-party packages of each floor."""
ROOMS = {
    "sdl.formatting": {},
    "sdl.errors": {"sdl": "formatting"},
    "sdl.plugins": {"sdl": "errors formatting"},
    "sdl.space": {"sdl": "errors formatting"},
    "sdl.system": {"sdl": "errors"},
    "sdl.history": {"sdl": "formatting space"},
    "sdl.instruments.protocol": {"sdl": "space"},
    "sdl.instruments.screening": {"sdl": "errors formatting history instruments.protocol space"},
    "sdl.instruments.http": {"sdl": "errors formatting system"},
    "sdl.campaign": {"sdl": "errors formatting instruments.protocol plugins space"},
    "sdl.skeletons": {"sdl": "campaign errors formatting instruments.protocol plugins space"},
    "sdl.instruments.by_hand": {"sdl": "errors instruments.protocol space"},
    "sdl.instruments.configured": {
        "sdl": "campaign errors formatting instruments.http instruments.protocol instruments.screening plugins space "
        "system"
    },
    "sdl.instruments.claude_light": {"sdl": "errors formatting instruments.http instruments.protocol space"},
    "sdl.instruments.emulator": {"sdl": "errors formatting instruments.protocol space system"},
    "sdl.instruments.simulated": {"sdl": "errors instruments.protocol space"},
    "sdl.ledger": {"sdl": "errors formatting history instruments.protocol instruments.screening space system"},
    "sdl.analysis": {"sdl": "campaign history space"},
    "sdl.measurement": {
        "sdl": "analysis campaign errors formatting history instruments.protocol instruments.screening ledger space "
        "system",
    },
    "sdl.reports": {"sdl": "analysis campaign errors formatting history ledger space system"},
    "sdl.interchange": {
        "sdl": "analysis campaign errors formatting history instruments.claude_light instruments.protocol "
        "instruments.screening ledger measurement reports space system",
    },
    "strategies.contract": {"sdl": "errors space"},
    "strategies.metrics": {"sdl": "errors space", "strategies": "contract"},
    "strategies.models.base": {"sdl": "errors space", "strategies": "contract"},
    "strategies.models.conformance": {"sdl": "errors space", "strategies": "contract"},
    "strategies.numerics": {"sdl": "errors space", "strategies": "contract"},
    "strategies.correction": {"sdl": "space", "strategies": "contract numerics"},
    "strategies.posterior": {"sdl": "analysis history space"},
    "strategies.designs": {"sdl": "errors space", "strategies": "contract numerics"},
    "strategies.evaluation.peers": {"sdl": "errors space", "strategies": "contract numerics"},
    "strategies.models.forward": {"sdl": "errors space", "strategies": "models.base numerics"},
    "strategies.answers": {"sdl": "errors space", "strategies": "contract correction numerics"},
    "strategies.models.mixtures": {"sdl": "errors space", "strategies": "contract models.base models.forward numerics"},
    "strategies.acquisitions": {"sdl": "errors space", "strategies": "answers contract numerics posterior"},
    "strategies.fitting": {
        "sdl": "analysis campaign errors formatting history plugins space",
        "strategies": "contract correction metrics models.base numerics",
    },
    "strategies.models.deep": {
        "sdl": "errors space",
        "strategies": "contract designs models.base models.forward models.mixtures numerics",
    },
    "strategies.models.sampling": {
        "sdl": "errors plugins space",
        "strategies": "contract models.base models.deep numerics",
    },
    "strategies.plan": {
        "sdl": "analysis campaign errors history plugins space",
        "strategies": "acquisitions answers contract fitting numerics posterior",
    },
    "strategies.models.gaussian_process": {
        "sdl": "errors space",
        "strategies": "contract models.base models.sampling numerics",
    },
    "strategies.models.linear": {"sdl": "errors space", "strategies": "contract models.base models.sampling numerics"},
    "strategies.solving": {
        "sdl": "analysis errors history interchange plugins space",
        "strategies": "answers contract correction fitting metrics models.base models.linear numerics posterior",
    },
    "strategies.evaluation": {
        "sdl": "analysis campaign errors formatting history instruments.claude_light instruments.protocol "
        "instruments.screening instruments.simulated interchange plugins space",
        "strategies": "contract evaluation.peers fitting models.base numerics plan posterior solving",
    },
    "flows.versions": {},
    "flows.environment": {"sdl": "errors formatting"},
    "flows.server": {"sdl": "errors formatting system", "flows": "environment"},
    "flows.run_policy": {"sdl": "campaign errors formatting history ledger plugins system"},
    "flows.terminal": {"sdl": "formatting"},
    "flows.ui": {"sdl": "analysis campaign errors formatting history ledger reports"},
    "flows.benchmarks.bars": {"flows": "terminal"},
    "flows.benchmarks.cells": {"sdl": "errors"},
    "flows.benchmarks.kept_cells": {"sdl": "errors", "flows": "benchmarks.cells"},
    "flows.benchmarks.inverse": {
        "sdl": "errors instruments.simulated plugins reports space system",
        "strategies": "answers contract metrics models.base models.forward models.sampling numerics",
        "flows": "benchmarks.bars benchmarks.cells server terminal",
    },
    "flows.engine": {
        "sdl": "analysis campaign errors history instruments.protocol interchange ledger measurement plugins "
        "reports space system",
        "strategies": "fitting plan",
        "flows": "environment versions",
    },
    "flows.notebook": {
        "sdl": "campaign errors formatting history ledger measurement reports system",
        "flows": "engine environment",
    },
    "flows.campaign": {
        "sdl": "campaign errors history instruments.protocol ledger measurement space",
        "strategies": "plan",
        "flows": "engine environment run_policy server ui",
    },
    "flows.laboratory": {
        "sdl": "campaign errors formatting history instruments.claude_light instruments.emulator "
        "instruments.protocol ledger measurement plugins reports space system",
        "flows": "engine environment run_policy server ui versions",
    },
    "flows.manual": {
        "sdl": "analysis campaign errors history ledger measurement plugins space",
        "strategies": "contract designs",
        "flows": "engine environment run_policy ui",
    },
    "flows.studies": {
        "sdl": "campaign errors formatting interchange reports space",
        "strategies": "answers contract evaluation metrics posterior solving",
        "flows": "server terminal versions",
    },
    "flows.benchmarks.decisions": {
        "sdl": "analysis campaign errors history instruments.claude_light instruments.protocol interchange "
        "plugins reports space system",
        "strategies": "answers contract correction designs evaluation fitting metrics models.mixtures numerics plan "
        "solving",
        "flows": "benchmarks.bars benchmarks.cells benchmarks.kept_cells environment studies terminal versions",
    },
    "flows.benchmarks.operation": {
        "sdl": "campaign errors history instruments.claude_light instruments.emulator instruments.protocol "
        "ledger reports",
        "strategies": "designs plan",
        "flows": "benchmarks.bars campaign engine environment run_policy server studies terminal",
    },
    "flows.benchmarks.suite": {
        "sdl": "errors",
        "flows": "benchmarks.cells benchmarks.decisions benchmarks.inverse benchmarks.operation versions",
    },
    "flows.cli": {
        "sdl": "campaign errors formatting history instruments.claude_light instruments.emulator "
        "instruments.protocol interchange ledger measurement plugins reports skeletons space system",
        "strategies": "designs models.conformance",
        "flows": "benchmarks.decisions benchmarks.inverse benchmarks.suite campaign engine environment laboratory "
        "manual server studies terminal",
    },
}
"""Rooms, the lowest first, and whose names each may import beside its own; a module is of the room whose name is the
longest that it begins with."""
DATABASES = {"flows.server"}
"""Who has a database of its own beside the ledger: Prefect's."""
ARRAYS = {"flows.engine.fitting_process", "flows.engine.fitting_worker"}
"""Modules of the upper floor that hold rows in arrays, beside the benchmarks."""
DOORS = {"sdl": 14, "strategies": 14, "flows": 14, "tests": 20}
"""Files and folders that one may see in a folder of each floor."""
UNCOUNTED = {"__init__.py", "__main__.py", "py.typed", "__pycache__"}
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


def allowed(name):
    """Third-party packages of a module: those of the innermost package that the table names."""
    return ALLOWED[innermost(name, ALLOWED)]


def room(name):
    """The room of a module; its floor's own name for the packages that hold rooms."""
    return innermost(name, ROOMS) or name


def rooms_needed(path):
    """Rooms of ours that a file imports from, beside its own."""
    modules = {innermost(name, MODULES) for name in imported(path) if name.partition(".")[0] in OURS}
    # A floor's own package has no more than its version and its place.
    return {room(name) for name in modules} - {room(module(path)), *OURS}


def allowed_rooms(name):
    return {f"{floor}.{each}" for floor, words in ROOMS.get(name, {}).items() for each in words.split()}


def circle(needs):
    """The first circle in a graph, in words; empty if there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return ""


def test_all_floors_are_looked_at():
    assert {floor(path) for path in FILES} == set(OURS)
    assert len(FILES) > 40


def test_every_file_is_in_a_room_and_every_room_has_files():
    assert {name for name, path in MODULES.items() if room(name) not in ROOMS and path.name != "__init__.py"} == set()
    assert {room(name) for name in MODULES} >= set(ROOMS)


def test_the_table_names_rooms_that_there_are_and_only_lower_ones():
    lower = set()
    for name in ROOMS:
        assert allowed_rooms(name) <= lower, name
        lower.add(name)


@each_file
def test_a_file_imports_from_its_own_floor_and_those_below(path):
    # The face of ``sdl`` is that of the whole distribution: it hands on the laboratory of a notebook as well.
    floors = OURS if module(path) == "sdl" else OURS[: OURS.index(floor(path)) + 1]
    ours = [name for name in imported(path) if name.partition(".")[0] in (*OURS, "deployments", "tests")]
    assert uses(ours, floors) == []


@each_file
def test_a_file_imports_from_the_rooms_that_its_own_may_see(path):
    if module(path) in OURS:
        pytest.skip("the face of a floor hands on names of its rooms, and loads none before it is asked")
    assert rooms_needed(path) - allowed_rooms(room(module(path))) == set()


@pytest.mark.parametrize("name", sorted(name for name, path in MODULES.items() if path.name == "__init__.py"))
def test_a_package_says_in_a_sentence_what_it_is_and_offers_what_there_is(name):
    face = import_module(name)
    assert (face.__doc__ or "").strip().endswith(".")
    assert [offered for offered in getattr(face, "__all__", ()) if not hasattr(face, offered)] == []


def test_a_floor_is_entered_without_loading_what_is_heavy():
    heavy = "sqlalchemy", "pydantic", "matplotlib", "scipy", "prefect"
    code = f"import sys, sdl, strategies, flows; print([each for each in {heavy} if each in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"


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


def test_the_table_allows_nothing_that_no_file_needs():
    needed = defaultdict(set)
    for name, path in MODULES.items():
        needed[room(name)] |= rooms_needed(path)
    assert {name: unused for name in ROOMS if (unused := allowed_rooms(name) - needed[name])} == {}


def test_there_is_no_circle_among_files_and_none_among_rooms():
    files, rooms = {}, defaultdict(set)
    for name, path in MODULES.items():
        if name in OURS:  # the face of a floor loads nothing before it is asked
            continue
        files[name] = {innermost(each, MODULES) for each in imported(path)} & set(MODULES) - {name}
        rooms[room(name)] |= rooms_needed(path)
    assert circle(files) == ""
    assert circle(rooms) == ""


def test_only_the_room_of_the_ledger_knows_its_tables():
    """Whoever needs rows calls a function of the ledger."""
    outside = {name: path for name, path in MODULES.items() if room(name) not in {"sdl.ledger", *DATABASES}}
    assert [name for name, path in outside.items() if uses_sql(path)] == []
    servers = [path for name, path in MODULES.items() if room(name) in DATABASES]
    assert not any(each.startswith("sdl.ledger.tables") for path in servers for each in imported(path))


def uses_sql(path):
    return any(
        name.partition(".")[0] == "sqlalchemy" or name.startswith("sdl.ledger.tables") for name in imported(path)
    )


def test_the_upper_floor_does_no_arithmetic_on_arrays():
    upper = {name: path for name, path in MODULES.items() if floor(path) == "flows"}
    counting = [name for name, path in upper.items() if any(each.startswith("numpy") for each in imported(path))]
    assert [name for name in counting if name not in ARRAYS and not name.startswith("flows.benchmarks.")] == []


@pytest.mark.parametrize("top", DOORS)
def test_no_folder_has_more_doors_than_one_can_hold_in_mind(top):
    folders = [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]
    doors = {folder: [path for path in folder.iterdir() if is_door(path)] for folder in folders}
    assert {str(folder.relative_to(ROOT)): len(seen) for folder, seen in doors.items() if len(seen) > DOORS[top]} == {}


def is_door(path):
    """Whether somebody who looks for a behaviour sees this in a folder: code, and folders; records are no doors."""
    return path.name not in UNCOUNTED and not path.name.startswith(".") and (path.is_dir() or path.suffix == ".py")


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
