"""Cells of the back-test: each is run once, kept as a line, and one that crashes costs no other."""

from dataclasses import replace

import pytest

from flows.benchmarks.decisions import backtest_cells
from flows.benchmarks.decisions.backtest_cells import BacktestCell, run_backtest_cells
from strategies.evaluation.scenarios import SCENARIOS

DARK = SCENARIOS["dark"]


def cells_of(n):
    return [BacktestCell(DARK, "random", seed, 8) for seed in range(n)]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cells.jsonl"


def test_cells_are_run_once(file):
    cells, result = cells_of(3), []
    first = run_backtest_cells(cells[:2], file, 0, lambda ended, *_: result.append(ended))
    again = run_backtest_cells(cells, file, 0, lambda ended, *_: result.append(ended))
    assert [each.cell.seed for each in result] == [0, 1, 2]
    assert [each.run for each in again[:2]] == [each.run for each in first]


def test_another_question_is_another_cell():
    cells = [BacktestCell(DARK, "random", 0, 8), BacktestCell(DARK, "random", 0, 9)]
    cells += [BacktestCell(DARK, "random", 0, 8, "2 %"), BacktestCell(replace(DARK, lamp=(3, 1.0)), "random", 0, 8)]
    assert len({cell.key for cell in cells}) == 4


def test_the_same_question_has_the_key_that_it_always_had(monkeypatch):
    """Or what was run with an earlier copy of this version would be run again."""
    monkeypatch.setattr(backtest_cells, "__version__", "0.1.0")
    assert BacktestCell(SCENARIOS["lamp"], "sdl:random", 3, 60, "2 %").key == "486874b95bfb8a1c"


def test_a_line_cut_off_by_a_kill_is_run_again(file):
    cells, result = cells_of(2), []
    run_backtest_cells(cells, file, 0, lambda *_: None)
    whole = file.read_text()
    file.write_text(whole[:-40])
    run_backtest_cells(cells, file, 0, lambda ended, *_: result.append(ended))
    assert [each.cell.seed for each in result] == [1]
    run_backtest_cells(cells, file, 0, lambda ended, *_: result.append(ended))
    assert len(result) == 1


def test_a_cell_that_crashes_says_so_and_is_run_again(file, monkeypatch):
    def breaks(*_, **__):
        raise RuntimeError("no such\nthing")

    cells = cells_of(1)
    with monkeypatch.context() as patch:
        patch.setattr(backtest_cells, "run_backtest", breaks)
        (ended,) = run_backtest_cells(cells, file, 0, lambda *_: None)
    assert (ended.run, ended.error) == (None, "RuntimeError: no such thing")
    assert run_backtest_cells(cells, file, 0, lambda *_: None)[0].run is not None


def test_a_process_of_its_own_says_the_same(file, tmp_path):
    (here,) = run_backtest_cells(cells_of(1), file, 0, lambda *_: None)
    (there,) = run_backtest_cells(cells_of(1), tmp_path / "other.jsonl", 1, lambda *_: None)
    assert there.run == here.run
