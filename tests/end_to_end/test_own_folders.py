"""A person's own folders ``flows``, ``strategies`` and ``sdl`` in the working directory never stand before ours."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from services import ENDED, Lab

from flows import environment
from sdl.ledger.ledger import Ledger

pytestmark = pytest.mark.slow

CAMPAIGN = """
name       = "white"
instrument = "twin"
budget     = 40
fitting    = { limit_s = 600 }   # fits in a process of their own

[[targets]]
readings  = { 445nm = 16384, 515nm = 16384, 630nm = 16384 }
tolerance = "5 %"
"""


@pytest.fixture
def project(tmp_path):
    """A folder as a Prefect project has it, whose modules must not be imported."""
    folder = tmp_path / "project"
    for name in ("flows", "strategies", "sdl", "prefect_project"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text('raise RuntimeError("a module of the project was imported")\n')
    (folder / "lab.toml").write_text('[instruments]\ntwin = "twin"\n')
    (folder / "white.toml").write_text(CAMPAIGN)
    return folder


def run(lab, project, program, *words):
    command = [Path(sys.executable).with_name(program), *map(str, words)]
    options = {"capture_output": True, "text": True, "check": False, "timeout": 300}
    done = subprocess.run(command, cwd=project, env=lab.environment, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_campaign_with_its_server_and_its_fits(project, tmp_path):
    lab = Lab(tmp_path / "home")
    assert "VERIFIED" in run(lab, project, "sdl", "run", "white.toml")
    with Ledger(tmp_path / "home" / "ledger.sqlite") as book:
        assert [finding.verdict for finding in book.history(book.entry("white").id).findings][-1] == "VERIFIED"


def test_the_runs_of_the_service(project, tmp_path):
    lab = Lab(tmp_path / "home")
    lab.service = {
        "api": json.loads(run(lab, project, "sdl", "up", "lab.toml", "--port", 0, "--detach", "--json"))["api"]
    }
    try:
        served = lab.trigger("calibrate")
        assert lab.until(served, ENDED)["type"] == "COMPLETED", lab.words
    finally:
        run(lab, project, "sdl", "down")


def test_the_runs_of_a_worker(project, tmp_path, prefect_server):
    lab = Lab(tmp_path / "home")
    lab.service = {"api": prefect_server}
    lab.environment |= {"PREFECT_API_URL": prefect_server, "PREFECT_HOME": str(tmp_path / "prefect")}
    run(lab, project, "sdl", "deploy", "lab.toml")
    pooled = lab.trigger("measure", {"settings": {"R": 0.1, "G": 0.2, "B": 0.3}})
    run(lab, project, "prefect", "worker", "start", "--pool", "laboratory", "--run-once")
    assert lab.until(pooled, ENDED)["type"] == "COMPLETED"


def test_a_run_does_its_work_where_the_service_was_started(tmp_path):
    code = (
        "import os; from pathlib import Path; from flows.run_policy import import_path as paths;"
        "paths.leave_project(Path('elsewhere')); print(os.getcwd()); paths.return_to_project(); print(os.getcwd())"
    )
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "elsewhere"), str(tmp_path)]


@pytest.mark.parametrize("given", ["lab.sqlite", "sqlite:///lab.sqlite"])
def test_a_ledger_is_the_same_file_wherever_a_run_is(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = environment.ledger(given, tmp_path)
    monkeypatch.chdir("/")
    Ledger(where).close()
    assert (tmp_path / "lab.sqlite").exists()
