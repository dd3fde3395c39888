"""Documents that are run as a reader would run them: their blocks of code, their commands, and what these print."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
TOLERANCE = 0.02
"""Of the figures printed: libraries and machines differ in the last digits."""


class Block(NamedTuple):
    """A fenced block of a document."""

    language: str
    file: str
    """Where the reader saves it; empty if nowhere."""
    text: str


def blocks(document, *languages):
    """The fenced blocks of these languages, in their order."""
    found = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.M)
    return [Block(*block) for block in found if block[0] in languages]


def commands(document):
    """The lines that a reader types, in their order."""
    lines = [line for block in blocks(document, "console") for line in block.text.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def run(command, folder, **environment):
    """A command, or the words of one, as a reader gives it in a folder, with a data directory there."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    ours = {"PATH": path, "SDL_HOME": str(folder / "home"), "OPENBLAS_NUM_THREADS": "1"}
    words = shlex.split(command) if isinstance(command, str) else command
    return subprocess.run(
        words,
        cwd=folder,
        env=os.environ | ours | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def assert_done(done):
    """A command ended well, and showed no traceback."""
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr, done.args


def agree(printed, expected):
    """The same words, and numbers that are near."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", expected).split():
        return False
    pairs = zip(map(float, NUMBER.findall(printed)), map(float, NUMBER.findall(expected)), strict=True)
    return all(one == pytest.approx(other, rel=TOLERANCE, abs=TOLERANCE) for one, other in pairs)
