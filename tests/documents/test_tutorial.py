"""The tutorial, from an empty folder: its files are what 'sdl new' writes, and its commands do what it says."""

import sys

import pytest
from documents import agree, assert_done, blocks, run
from places import ROOT

TUTORIAL = ROOT / "TUTORIAL.md"
INSTALL = "pip install -e "

pytestmark = pytest.mark.slow


def install(package, folder):
    """The package as pip installs it, but where no other test can see it, and without a network."""
    alone = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    assert_done(run([sys.executable, "-m", "pip", "install", *alone, "--target", "site", f"./{package}"], folder))


def follow(block, folder):
    """Do with a block what a reader does, and return what was printed."""
    if block.file and (folder / block.file).exists():
        assert (folder / block.file).read_text() == block.text, f"{block.file} is not what the tutorial shows"
    elif block.file:
        (folder / block.file).write_text(block.text)
    elif block.language == "python":
        done = run([sys.executable, "-c", block.text], folder, PYTHONPATH="site")
        assert_done(done)
        return done.stdout
    else:
        return "".join(answer(line.removeprefix("$ "), folder) for line in block.text.splitlines())
    return ""


def answer(command, folder):
    if command.startswith(INSTALL):
        install(command.removeprefix(INSTALL), folder)
        return ""
    done = run(command, folder, PYTHONPATH="site")
    assert_done(done)
    return done.stdout


def test_every_line_of_the_tutorial(tmp_path, prefect):
    printed, everything = "", ""
    for block in blocks(TUTORIAL, "console", "python", "toml", "csv", "text"):
        if block.language == "text":
            assert agree(printed, block.text), f"the tutorial says\n{block.text}\nand this was printed\n{printed}"
        else:
            printed = follow(block, tmp_path)
            everything += printed
    verdicts = [line.strip() for line in TUTORIAL.read_text().splitlines() if line.startswith("    VERIFIED")]
    assert len(verdicts) == 4
    assert [verdict for verdict in verdicts if verdict not in everything] == []
    assert "the pumps stand at 0.0 0.0" in everything
    assert (tmp_path / "compare.html").stat().st_size > 100_000
    assert (tmp_path / "recipes.parquet").exists()
