"""The README does what it says: its shell lines and its Python run as a new user would run them."""

import sys

import pytest
from documents import assert_done, blocks, commands, run
from places import ROOT

README = ROOT / "README.md"
PICTURES = ROOT / "deployments" / "pictures"


@pytest.mark.slow
def test_commands_do_what_the_readme_says(tmp_path):
    assert len(commands(README)) >= 5
    for command in commands(README):
        assert_done(run(command, tmp_path))


@pytest.mark.parametrize("block", blocks(README, "python"))
def test_python_runs(block, tmp_path):
    done = run([sys.executable, "-c", block.text], tmp_path)
    assert_done(done)
    assert done.stdout.startswith("VERIFIED ")


def test_it_is_read_in_two_minutes():
    text = README.read_text(encoding="utf-8")
    assert len(text.encode()) <= 9_000
    assert len(text.splitlines()) <= 150


def test_its_pictures_are_small():
    assert sum(picture.stat().st_size for picture in PICTURES.glob("*.png")) < 200_000


def test_the_optional_parts_that_it_names_are_those_of_the_package():
    import re
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.findall(r"'\.\[(\w+)\]'", README.read_text(encoding="utf-8"))
    assert named
    assert set(named) <= set(extras)
