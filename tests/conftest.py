"""Fixtures for more than one file."""

import gc
import json
import logging
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from comparisons import QUICK, WHITE
from hypothesis import settings
from places import ROOT
from postgres import programs, running
from problems import twin_rows, written

from flows import environment
from flows.cli import app as cli
from flows.engine.outcome import recorded_end, summarize_outcome
from flows.server import server
from flows.studies.compare import study_models
from sdl import plugins
from sdl.ledger.ledger import Ledger
from strategies.plan.steps import Stop

pytest_plugins = ["traps"]
pytest.register_assert_rewrite(
    "desk", "hostile", "pages", "rehearsing"
)  # a claim that fails there shows its values too

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


def pytest_collection_finish():
    """What was imported and collected stays to the end, so the garbage collector need not look through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def environment_of_its_own():
    """What a test, or a command that it runs in this process, sets in the environment, in NumPy's printing and as
    the folder it works in, ends with it."""
    before, folder = dict(os.environ), Path.cwd()
    with np.printoptions():
        yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server that lives as long as the tests."""
    if (found := programs()) is None:
        pytest.skip("no PostgreSQL here: install Debian's package 'postgresql' to run this")
    with running(found) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    """Where a new ledger may lie: a file, and a database of a server."""
    if request.param == "sqlite":
        return str(tmp_path / "lab" / "ledger.db")
    return request.getfixturevalue("postgres").fresh()


@pytest.fixture
def ledger(tmp_path):
    """A ledger in a file."""
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def desk(where):
    """A ledger with one campaign on an instrument that is held."""
    from desk import Desk

    made = Desk(where)
    yield made
    made.close()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A folder whose data directory alone may be written to."""
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "home").mkdir()
    (folder / "outside.txt").write_text("untouched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture
def paper():
    """The campaign file that we ship; its instrument is for the test to name."""
    return tomllib.loads((ROOT / "deployments" / "paper.toml").read_text(encoding="utf-8"))


@pytest.fixture
def drive():
    """Executes the steps of a session's plan as the campaign flow does, without Prefect."""

    def to_its_end(session):
        with recorded_end(session):
            while not isinstance(step := session.propose(), Stop):
                session.execute(step)
            session.execute(step)
        return summarize_outcome(session.ledger, session.entry.name)

    return to_its_end


# ---------------------------------------------------------------------- models compared


@pytest.fixture(scope="session")
def rows():
    """Sixty settings of the twin in the dark, and their readings."""
    readings, settings = twin_rows(60)
    return settings, readings


@pytest.fixture(scope="session")
def dark(rows, tmp_path_factory):
    """The file of these rows."""
    return written(tmp_path_factory.mktemp("comparing") / "dark.jsonl", *rows)


@pytest.fixture(scope="session")
def found(dark):
    """The quick models on sixty rows in the dark."""
    return study_models(dark, WHITE, models=QUICK, draws=300)


@pytest.fixture
def register(monkeypatch):
    """Registers strangers' models by name, beside the quick ones."""
    strangers, load = {}, plugins.load
    monkeypatch.setattr(plugins, "names", lambda group: tuple(sorted({*QUICK, *strangers})))
    monkeypatch.setattr(plugins, "load", lambda group, name: strangers.get(name) or load(group, name))
    return lambda name, model: strangers.__setitem__(name, model)


# ---------------------------------------------------------------------- the command line and Prefect


@dataclass(frozen=True)
class Told:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def said(self):
        """All its words on one line, since lines are broken where the terminal ends."""
        return " ".join(f"{self.out} {self.err}".split())

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data directory, which every command of the test uses."""
    monkeypatch.setenv("SDL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.delenv("SDL_LEDGER", raising=False)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it would hide what is not flushed
    return tmp_path / "home"


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory):
    """The URL of one Prefect server for all tests, so that each command costs 2 seconds and not 12."""
    directory = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment.SETTINGS, "PREFECT_HOME": str(directory)}.items():
            patch.setenv(name, value)
        patch.delenv("PREFECT_API_URL", raising=False)
        yield server.api(directory)


@pytest.fixture
def prefect(prefect_server, home, monkeypatch):
    """Flows of this process and of its children use the one Prefect server."""
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    with temporary_settings({PREFECT_API_URL: prefect_server, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield prefect_server


@pytest.fixture
def no_prefect(monkeypatch):
    """Prefect must not be needed."""
    monkeypatch.setattr(server, "api", lambda _: pytest.fail("Prefect was started"))


@pytest.fixture
def sdl(home, capfd, monkeypatch):
    """Runs a command in this process; whatever comes of it, it shows no traceback."""
    log = logging.getLogger("sdl")
    handlers = list(log.handlers)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["sdl", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        result = Told(ended.value.code or 0, *capfd.readouterr())
        assert "Traceback" not in result.out + result.err
        return result

    yield run
    log.handlers[:] = handlers


@pytest.fixture
def spawn(home):
    """Starts a command as a process of its own, in a group of its own."""
    started = []

    def run(*words):
        command = [Path(sys.executable).with_name("sdl"), *map(str, words)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=os.environ, start_new_session=True, text=True, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ended():
    """Waits for a process to end by itself; whatever came of it, it showed no traceback."""

    def wait(process, within_s=300):
        out, err = process.communicate(timeout=within_s)
        assert "Traceback" not in out + err
        return Told(process.returncode, out, err)

    return wait
