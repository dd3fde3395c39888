"""Cells of a benchmark: each in a process that may die, which costs no other cell, and that ends with its parent."""

import os
import subprocess
import sys

import cell_works
import pytest

from flows.benchmarks.cells import run_cells, work_out_all
from sdl.errors import SdlError

CELLS = [{"n": n} for n in range(3)]


@pytest.fixture(autouse=True)
def works_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(cell_works.__file__))


def outcomes(work, cells=CELLS, processes=1, **options):
    by_place = dict(run_cells(work, cells, processes, **options))
    return [by_place[place] for place in range(len(cells))]


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_every_cell_is_worked_out_here_or_in_processes(processes):
    values = work_out_all(cell_works.double, CELLS, processes)
    assert [each["twice"] for each in values] == [0, 2, 4]
    assert ({each["process"] for each in values} == {os.getpid()}) is (processes == 0)
    assert len({each["process"] for each in values}) <= max(processes, 1)


def test_what_a_model_prints_is_no_answer():
    assert [each.value["twice"] for each in outcomes(cell_works.double_aloud)] == [0, 2, 4]


@pytest.mark.parametrize(
    ("options", "why"),
    [({}, "ended with code 9: out of memory"), ({"kill": True}, "was killed by signal 9: out of memory")],
)
def test_a_process_that_dies_takes_one_cell_with_it(options, why):
    found = outcomes(cell_works.die_over_one, [cell | options for cell in CELLS])
    assert [each.error for each in found] == ["", why, ""]
    assert [each.value and each.value["twice"] for each in found] == [0, None, 4]


def test_a_fault_of_the_work_ends_in_a_sentence():
    assert [each.error for each in outcomes(cell_works.refuse)] == [f"ValueError: no {n}" for n in range(3)]


def test_a_benchmark_that_needs_every_cell_names_those_that_came_to_nothing():
    done = []
    with pytest.raises(SdlError, match=r"1 of 3 cells came to nothing: \{'n': 1\}: ended with code 9"):
        work_out_all(cell_works.die_over_one, CELLS, 1, lambda *counts: done.append(counts))
    assert done == [(1, 3), (2, 3), (3, 3)], "the others were worked out all the same"


def test_a_cell_that_takes_too_long_is_ended(tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    (late,) = outcomes(cell_works.wait_for_ever, [{"pipe": str(pipe)}], limit_s=0.2)
    os.close(reader)
    assert late.error == "ended after its 0.2 s"


def test_no_process_outlives_the_one_that_wants_its_cells(tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    code = "import cell_works, sys; from flows.benchmarks.cells import run_cells;"
    code += "list(run_cells(cell_works.wait_for_ever, [{'pipe': sys.argv[1]}], 1))"
    parent = subprocess.Popen([sys.executable, "-c", code, pipe])
    try:
        with pipe.open() as words:
            assert words.readline() == "begun\n"
            parent.kill()
            assert words.read() == "", "the pipe ends when the process that holds it does"
    finally:
        parent.kill()
        parent.wait()


def test_no_process_outlives_the_wish_for_its_cells():
    cells = run_cells(cell_works.double, [{"n": 1}, {"n": 2}], 1)
    _, first = next(cells)
    cells.close()
    with pytest.raises(ProcessLookupError):
        os.kill(first.value["process"], 0)
