"""The floors of the house and their rooms: who imports whom, what nobody uses, and how many doors a folder has."""

import subprocess
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from importlib import import_module

import pytest
from places import ROOT
from source import FILES, MODULES, OURS, each_file, floor, imported, innermost, module, uses

LABORATORY = {"numpy", "pydantic", "requests", "urllib3", "sqlalchemy", "jinja2", "matplotlib", "pyarrow"}
DECISIONS = {"numpy", "scipy", "sklearn", "gmr", "threadpoolctl"}
GENERATIVE = {"torch", "botorch", "gpytorch", "linear_operator", "ForestDiffusion", "xgboost", "zuko"}
"""Of the extra of that name: each seconds to import, and with a global state of its own. Models only may use them."""
PEERS = {"ax", "baybe", "bofire"}
"""Of the extra of that name, one file each."""
ALLOWED = {
    "sdl": LABORATORY | {"scipy.special"},
    "sdl.instruments": LABORATORY | {"scipy.special", "scipy.linalg", "scipy.sparse"},
    "sdl.instruments.configured": LABORATORY | {"asyncua", "grpc", "paho", "pyvisa", "sila2"},
    "sdl.campaign.colour": LABORATORY | {"colour"},
    "sdl.interchange.formats": LABORATORY | {"h5py"},
    "sdl.measurement.workbooks": LABORATORY | {"openpyxl"},
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
ALLOWED["flows.laboratory.wall"] = ALLOWED["flows"] | {"starlette"}  # on which Prefect's server stands too
ALLOWED["flows.laboratory.agents"] = ALLOWED["flows"] | {"fastmcp", "mcp_types"}
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
    "sdl.campaign": {"sdl": "errors formatting instruments.protocol plugins space system"},
    "sdl.skeletons": {"sdl": "campaign errors formatting instruments.protocol plugins space"},
    "sdl.instruments.several": {"sdl": "errors instruments.protocol plugins space"},
    "sdl.instruments.by_hand": {"sdl": "errors instruments.protocol space"},
    "sdl.instruments.configured": {
        "sdl": "campaign errors formatting instruments.http instruments.protocol instruments.screening plugins space "
        "system"
    },
    "sdl.instruments.claude_light": {"sdl": "errors formatting instruments.http instruments.protocol space system"},
    "sdl.instruments.emulator": {"sdl": "errors formatting instruments.protocol space system"},
    "sdl.instruments.simulated": {"sdl": "errors instruments.protocol space system"},
    "sdl.ledger": {"sdl": "errors formatting history instruments.protocol instruments.screening space system"},
    "sdl.analysis": {"sdl": "campaign formatting history space"},
    "sdl.measurement": {
        "sdl": "analysis campaign errors formatting history instruments.protocol instruments.screening ledger space "
        "system",
    },
    "sdl.reports": {"sdl": "analysis campaign errors formatting history ledger measurement space system"},
    "sdl.interchange": {
        "sdl": "analysis campaign errors formatting history instruments.claude_light instruments.protocol "
        "instruments.screening ledger measurement reports space system",
    },
    "strategies.contract": {"sdl": "errors history space"},
    "strategies.metrics": {"sdl": "errors space", "strategies": "contract"},
    "strategies.models.base": {"sdl": "errors space", "strategies": "contract"},
    "strategies.models.conformance": {"sdl": "errors space", "strategies": "contract"},
    "strategies.numerics": {"sdl": "errors space", "strategies": "contract"},
    "strategies.correction": {"sdl": "space", "strategies": "contract numerics"},
    "strategies.posterior": {"sdl": "analysis history space"},
    "strategies.designs": {"sdl": "errors space", "strategies": "contract numerics"},
    "strategies.evaluation.peers": {"sdl": "errors space", "strategies": "numerics"},
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
    "strategies.fusion": {"sdl": "campaign formatting history space", "strategies": "posterior"},
    "strategies.plan.knowledge": {
        "sdl": "analysis campaign history space",
        "strategies": "fitting fusion numerics posterior",
    },
    "strategies.plan": {
        "sdl": "analysis campaign errors formatting history plugins space",
        "strategies": "acquisitions answers contract fitting fusion numerics plan.knowledge posterior",
    },
    "strategies.models.gaussian_process": {
        "sdl": "errors space",
        "strategies": "contract models.base models.sampling numerics",
    },
    "strategies.models.linear": {"sdl": "errors space", "strategies": "contract models.base models.sampling numerics"},
    "strategies.models.private": {
        "sdl": "errors space",
        "strategies": "contract models.base models.sampling numerics",
    },
    "strategies.models.laws": {
        "sdl": "errors formatting history space",
        "strategies": "contract models.base models.sampling numerics",
    },
    "strategies.solving": {
        "sdl": "analysis errors formatting history interchange plugins space",
        "strategies": "answers contract correction fitting metrics models.base models.linear models.private numerics "
        "posterior",
    },
    "strategies.evaluation": {
        "sdl": "analysis campaign errors formatting history instruments.claude_light instruments.protocol "
        "instruments.screening instruments.simulated interchange plugins space",
        "strategies": "contract evaluation.peers fitting models.base numerics plan posterior solving",
    },
    "flows.versions": {},
    "flows.environment": {"sdl": "errors formatting"},
    "flows.server": {"sdl": "errors formatting system", "flows": "environment"},
    "flows.run_policy": {"sdl": "campaign errors formatting history instruments.configured ledger plugins system"},
    "flows.terminal": {"sdl": "formatting"},
    "flows.ui": {"sdl": "analysis campaign errors formatting history ledger reports", "flows": "environment"},
    "flows.benchmarks.bars": {"flows": "terminal"},
    "flows.benchmarks.cells": {"sdl": "errors"},
    "flows.benchmarks.kept_cells": {"sdl": "errors", "flows": "benchmarks.cells"},
    "flows.benchmarks.inverse": {
        "sdl": "errors instruments.simulated plugins reports space system",
        "strategies": "answers contract metrics models.base models.forward models.sampling numerics solving",
        "flows": "benchmarks.bars benchmarks.cells server terminal",
    },
    "flows.engine": {
        "sdl": "analysis campaign errors history instruments.protocol interchange ledger measurement plugins "
        "reports space system",
        "strategies": "fitting plan",
        "flows": "environment versions",
    },
    "flows.notebook": {
        "sdl": "analysis campaign errors formatting history instruments.protocol ledger measurement reports "
        "space system",
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
    "flows.laboratory.agents": {
        "sdl": "campaign errors formatting history ledger reports space system",
        "flows": "engine environment laboratory versions",
    },
    "flows.laboratory.wall": {
        "sdl": "errors formatting history ledger reports space system",
        "flows": "environment server ui",
    },
    "flows.manual": {
        "sdl": "analysis campaign errors history ledger measurement plugins space",
        "strategies": "contract designs",
        "flows": "engine environment run_policy ui",
    },
    "flows.studies": {
        "sdl": "campaign errors formatting history interchange reports space system",
        "strategies": "answers contract evaluation metrics models.private posterior solving",
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
    "flows.benchmarks.laws": {
        "sdl": "campaign history instruments.simulated space",
        "strategies": "evaluation models.laws numerics plan",
        "flows": "benchmarks.bars benchmarks.cells terminal",
    },
    "flows.benchmarks.rivals": {
        "sdl": "history space",
        "strategies": "acquisitions contract fitting models.laws numerics",
        "flows": "benchmarks.bars benchmarks.cells terminal",
    },
    "flows.benchmarks.fusion": {
        "sdl": "campaign history instruments.claude_light instruments.protocol instruments.simulated space",
        "strategies": "evaluation plan",
        "flows": "benchmarks.bars benchmarks.cells terminal",
    },
    "flows.benchmarks.suite": {
        "sdl": "errors",
        "flows": "benchmarks.cells benchmarks.decisions benchmarks.fusion benchmarks.inverse benchmarks.laws "
        "benchmarks.operation benchmarks.rivals versions",
    },
    "flows.cli": {
        "sdl": "analysis campaign errors formatting history instruments.claude_light instruments.emulator "
        "instruments.protocol interchange ledger measurement plugins reports skeletons space system",
        "strategies": "designs models.conformance",
        "flows": "benchmarks.decisions benchmarks.inverse benchmarks.suite campaign engine environment laboratory "
        "laboratory.agents laboratory.wall manual server studies terminal",
    },
}
"""Rooms, the lowest first, and whose names each may import beside its own; a module is of the room whose name is the
longest that it begins with."""
DATABASES = {"flows.server"}
"""Who has a database of its own beside the ledger: Prefect's."""
DOORS = {"sdl": 14, "strategies": 14, "flows": 14, "tests": 20}
"""Files and folders that one may see in a folder of each floor."""
UNCOUNTED = {"__init__.py", "__main__.py", "py.typed", "__pycache__"}


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


@pytest.mark.parametrize("top", DOORS)
def test_no_folder_has_more_doors_than_one_can_hold_in_mind(top):
    folders = [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]
    doors = {folder: [path for path in folder.iterdir() if is_door(path)] for folder in folders}
    assert {str(folder.relative_to(ROOT)): len(seen) for folder, seen in doors.items() if len(seen) > DOORS[top]} == {}


def is_door(path):
    """Whether somebody who looks for a behaviour sees this in a folder: code, and folders; records are no doors."""
    return path.name not in UNCOUNTED and not path.name.startswith(".") and (path.is_dir() or path.suffix == ".py")
