"""The distribution ``inverse-sdl``: what is in it, and that it works where nothing else of ours is."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import requests
from places import ROOT
from services import secret_headers

NEEDED = (
    "sdl/py.typed",
    "flows/cli/reference.md",
    "sdl/instruments/claude_light/twin_parameters.json",
    *(f"sdl/reports/templates/{path.name}" for path in (ROOT / "sdl/reports/templates").iterdir()),
    *(f"flows/laboratory/wall/page/{path.name}" for path in (ROOT / "flows/laboratory/wall/page").iterdir()),
)
LARGEST = 0.9e9
"""Bytes of an environment that can run a campaign and the service."""
CAMPAIGN = """
name       = "white"
instrument = "twin"

[[targets]]
readings  = { 445nm = 16384, 515nm = 16384, 630nm = 16384 }
tolerance = "5 %"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the source distribution, and the wheel that was built from it alone."""
    folder = tmp_path_factory.mktemp("distribution")
    left_out = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "sdl-data")
    shutil.copytree(ROOT, folder / "checkout", ignore=left_out)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, folder / "checkout"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def wheel_of(folder):
    (wheel,) = folder.glob("inverse_sdl-*-py3-none-any.whl")
    return wheel


def test_the_wheel_has_every_module_with_its_files_and_no_test(built):
    with zipfile.ZipFile(wheel_of(built)) as wheel:
        names = set(wheel.namelist())
    ours = {
        str(path.relative_to(ROOT)) for floor in ("sdl", "strategies", "flows") for path in (ROOT / floor).rglob("*.py")
    }
    assert not {*ours, *NEEDED} - names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"sdl", "strategies", "flows"}


def test_the_source_distribution_has_no_test(built):
    (archive,) = built.glob("inverse_sdl-*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", *NEEDED} <= names
    assert not [name for name in names if name.startswith(("tests", "."))]


def test_a_fault_leads_to_the_reference_where_only_the_wheel_is(built, tmp_path):
    with zipfile.ZipFile(wheel_of(built)) as wheel:
        wheel.extractall(tmp_path / "wheel")
    code = """from flows.cli.documentation import pages_about; print(*pages_about(["budget: needs a number"]))"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "wheel")}
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, capture_output=True)
    place, number = done.stdout.decode().partition(" ")[0].split(":")
    assert place == "wheel/flows/cli/reference.md", done.stderr.decode()
    assert (tmp_path / place).read_text("utf-8").splitlines()[int(number) - 1].startswith("| `budget` | requests")


@pytest.mark.slow
def test_the_wheel_runs_a_campaign_and_the_service_in_an_empty_environment(built, tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    programs, work = environment / "bin", tmp_path / "work"
    work.mkdir()
    (work / "white.toml").write_text(CAMPAIGN)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_", "PYTHON"))}

    def run(program, *words):
        command = [programs / program, *map(str, words)]
        options = {"capture_output": True, "text": True, "check": False, "timeout": 1800}
        done = subprocess.run(command, cwd=work, env=clean, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel_of(built))
    assert sum(path.lstat().st_size for path in environment.rglob("*")) < LARGEST
    assert Path(run("python", "-c", "import flows; print(flows.__file__)")).is_relative_to(environment)
    run("python", "-m", "pip", "check")
    assert run("sdl", "--version").startswith("sdl ")
    assert "VERIFIED" in run("sdl", "run", "white.toml")
    result = json.loads(run("sdl", "up", "--port", 0, "--detach", "--json"))
    try:
        found = requests.post(
            f"{result['api']}/deployments/filter", json={}, headers=secret_headers(result["api"]), timeout=20
        ).json()
        assert {"calibrate", "campaign", "verify"} <= {each["entrypoint"].rpartition(".")[2] for each in found}
    finally:
        run("sdl", "down")
