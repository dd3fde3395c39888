"""The example document does what it says, and prints what stands there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from places import DEPLOYMENTS

DOCUMENT = DEPLOYMENTS / "paper.md"
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
TOLERANCE = 0.02
"""Of the figures printed: libraries and machines differ in the last digits."""

END = "---- end of block ----"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect")]


def steps():
    """Blocks in order; a block of text is what the block of Python before it prints."""
    return re.findall(r"```(console|python|text)\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)


def agree(printed, expected):
    """The same words, and numbers that are near."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", expected).split():
        return False
    pairs = zip(map(float, NUMBER.findall(printed)), map(float, NUMBER.findall(expected)), strict=True)
    return all(one == pytest.approx(other, rel=TOLERANCE, abs=TOLERANCE) for one, other in pairs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("paper")


def run(command, folder):
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"PATH": path, "SDL_HOME": str(folder / "home"), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_every_line_of_the_document(folder):
    """Commands before the first Python, then all Python as one program, then the commands after it."""
    blocks = steps()
    first = [language for language, _ in blocks].index("python")
    commands = [(place < first, line) for place, (language, block) in enumerate(blocks) if language == "console"
                for line in block.splitlines()]  # fmt: skip

    def told(early):
        for line in (line for before, line in commands if before is early):
            done = run(shlex.split(line.removeprefix("$ ")), folder)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    told(early=True)
    program = [block for language, block in blocks if language == "python"]
    done = run([sys.executable, "-c", f"\nprint({END!r})\n".join(program)], folder)
    assert done.returncode == 0, done.stderr
    printed = [each.lstrip("\n") for each in done.stdout.split(END)]
    after = [blocks[place + 1] for place, (language, _) in enumerate(blocks) if language == "python"]
    for said, (language, expected) in zip(printed, after, strict=True):
        if language == "text":
            assert agree(said, expected), f"the document says\n{expected}\nand this was printed\n{said}"
    told(early=False)
    assert (folder / "compare.html").stat().st_size > 100_000
