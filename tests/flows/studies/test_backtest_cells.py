"""Cells of the back-test: each is run once, kept as a line, and one that crashes or dies costs no other."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from processes import alive, children, waited_for

from flows.studies import backtest_cells
from flows.studies.backtest_cells import DIED, Cell
from strategies.evaluation import backtest
from strategies.evaluation.backtest_problems import PROBLEMS

DARK = PROBLEMS["dark"]


@pytest.fixture
def in_this_process(monkeypatch):
    """For what is claimed of the file alone: a process of its own takes seconds to begin."""
    monkeypatch.setattr(backtest_cells, "_pool", ThreadPoolExecutor)


@pytest.mark.usefixtures("in_this_process")
def test_cells_are_run_once(tmp_path):
    cells, told = [Cell(DARK, "random", seed, 8) for seed in range(3)], []
    first = backtest_cells.run(cells[:2], tmp_path / "cells.jsonl", 1, told.append)
    again = backtest_cells.run(cells, tmp_path / "cells.jsonl", 1, told.append)
    assert [each.cell.seed for each in told] == [0, 1, 2]
    assert [each.run for each in again[:2]] == [each.run for each in first]


def test_another_question_is_another_cell():
    keys = {Cell(DARK, "random", 0, 8).key, Cell(DARK, "random", 0, 9).key, Cell(DARK, "random", 0, 8, "2 %").key}
    assert len(keys | {Cell(replace(DARK, lamp=(3, 1.0)), "random", 0, 8).key}) == 4


@pytest.mark.usefixtures("in_this_process")
def test_a_line_cut_off_by_a_kill_is_run_again(tmp_path):
    cells, told = [Cell(DARK, "random", seed, 8) for seed in range(2)], []
    file = tmp_path / "cells.jsonl"
    backtest_cells.run(cells, file, 1, lambda _: None)
    whole = file.read_text()
    file.write_text(whole[:-40])
    backtest_cells.run(cells, file, 1, told.append)
    assert [each.cell.seed for each in told] == [1]
    backtest_cells.run(cells, file, 1, told.append)
    assert len(told) == 1


@pytest.mark.usefixtures("in_this_process")
def test_a_cell_that_crashes_says_so_and_is_run_again(tmp_path, monkeypatch):
    def breaks(*_):
        raise RuntimeError("no such\nthing")

    with monkeypatch.context() as patch:
        patch.setattr(backtest, "run", breaks)
        ended = backtest_cells.attempt(Cell(DARK, "random", 0, 8))
    assert (ended.run, ended.error) == (None, "RuntimeError: no such thing")
    file = tmp_path / "cells.jsonl"
    file.write_text(ended.line())
    assert backtest_cells.run([ended.cell], file, 1, lambda _: None)[0].run is not None


def _dies(cell):
    if cell.seed == 1:
        os._exit(9)
    return backtest_cells.Ended(cell, backtest.Run(1, True, "", True, 1, 1, 0, []), "", 0.0)


@pytest.mark.slow
def test_a_process_that_dies_takes_one_cell_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(backtest_cells, "attempt", _dies)
    cells = [Cell(DARK, "random", seed, 8) for seed in range(3)]
    ended = backtest_cells.run(cells, tmp_path / "cells.jsonl", 1, lambda _: None)
    assert [each.error for each in ended] == ["", DIED, ""]


@pytest.mark.slow
def test_no_process_outlives_the_one_that_wants_its_runs(tmp_path):
    words = ("backtest", "--problem", "dark", "--strategy", "sdl", "--seeds", "500", "--into", str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-m", "flows.cli.app", *words], stderr=subprocess.DEVNULL)
    try:
        waited_for(lambda: (tmp_path / "cells.jsonl").exists() and (tmp_path / "cells.jsonl").read_text())
        workers = children(parent.pid)
    finally:
        parent.kill()
        parent.wait()
    assert workers
    waited_for(lambda: not any(alive(each) for each in workers))
