"""The example document does what it says, and prints what stands there."""

import sys

import pytest
from documents import agree, assert_done, blocks, run
from places import DEPLOYMENTS

DOCUMENT = DEPLOYMENTS / "paper.md"
END = "---- end of block ----"

pytestmark = pytest.mark.slow


def test_every_line_of_the_document(tmp_path, prefect):
    """Commands before the first Python, then all Python as one program, then the commands after it."""
    steps = blocks(DOCUMENT, "console", "python", "text")
    languages = [step.language for step in steps]
    first = languages.index("python")
    early = [line for step in steps[:first] for line in step.text.splitlines()]
    late = [line for step in steps[first:] if step.language == "console" for line in step.text.splitlines()]

    for line in early:
        assert_done(run(line.removeprefix("$ "), tmp_path))
    program = [step.text for step in steps if step.language == "python"]
    done = run([sys.executable, "-c", f"\nprint({END!r})\n".join(program)], tmp_path)
    assert_done(done)
    printed = [part.lstrip("\n") for part in done.stdout.split(END)]
    below = [steps[place + 1] for place, language in enumerate(languages) if language == "python"]
    for part, step in zip(printed, below, strict=True):
        if step.language == "text":
            assert agree(part, step.text), f"the document says\n{step.text}\nand this was printed\n{part}"
    for line in late:
        assert_done(run(line.removeprefix("$ "), tmp_path))
    assert (tmp_path / "compare.html").stat().st_size > 100_000
