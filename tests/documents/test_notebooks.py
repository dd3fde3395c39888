"""The notebooks of the course run from their first cell to the last, as a learner has them: without any output."""

import nbformat
import pytest
from nbclient import NotebookClient
from places import DEPLOYMENTS

NOTEBOOKS = sorted((DEPLOYMENTS / "notebooks").glob("*.ipynb"))
SAID = {
    "01_repeats": ["30 readings: ", "readings each: ", "detection limit"],
    "02_response": ["slope ", "root mean square"],
    "03_background": ["just before", "VERIFIED teal"],
    "04_from_readings_to_settings": ["not begun", "VERIFIED white", "white.html"],
    "05_many_answers": ["VERIFIED ridge: 3 of 3 answers verified", "halfway between"],
}
"""What the cells of each have to say."""


def said_by(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield output.get("text") or output.get("data", {}).get("text/plain", "")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_twin_and_says_what_it_is_for(path, home, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    assert [cell for cell in notebook.cells if cell.get("outputs")] == []
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    words = "\n".join(said_by(notebook))
    assert [part for part in SAID[path.stem] if part not in words] == []
    assert (home / "ledger.sqlite").exists()


def test_every_notebook_begins_with_an_instrument_that_one_line_replaces():
    assert {path.stem for path in NOTEBOOKS} == set(SAID)
    first = {path.stem: nbformat.read(path, as_version=4).cells[1].source for path in NOTEBOOKS}
    assert all(source.startswith("from sdl import Lab\n") for source in first.values())
    lamps = [source for source in first.values() if 'Lab("twin"' in source]
    assert all('# The real lamp instead: Lab("claude-light", url="https://' in source for source in lamps)
    assert len(lamps) == 4
