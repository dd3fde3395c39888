"""The README does what it says: its shell lines and its Python run as a new user would run them."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [
    line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")
]


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
def test_commands_do_what_the_readme_says(tmp_path):
    (tmp_path / "deployments").symlink_to(ROOT / "deployments")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "SDL_HOME": str(tmp_path / "home")}
    assert len(COMMANDS) >= 5
    for command in COMMANDS:
        done = subprocess.run(
            shlex.split(command),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, command


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(block):
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("VERIFIED after ")


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_is_toml(block):
    assert tomllib.loads(block)


def test_every_command_is_in_the_readme():
    from flows.cli.app import app

    named = {command.name or command.callback.__name__ for command in app.registered_commands}
    missing = [name for name in named if not re.search(rf"`(?:sdl )?{name}\b", README)]
    assert not missing


def test_links_lead_somewhere():
    targets = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert targets
    assert [link for link in targets if not (ROOT / link).exists()] == []


def test_exit_codes_are_those_of_the_program():
    from flows.cli.app import EXIT

    paragraph = README[README.index("Exit codes:") :].split("\n\n")[0]
    assert [code for code in set(EXIT.values()) if not re.search(rf"\b{code}\b", paragraph)] == []
