"""Cells that are kept: none is worked out twice by the same program, and none is lost to a line that was cut off."""

import pytest

from flows.benchmarks import kept_cells
from flows.benchmarks.kept_cells import run_kept_cells
from sdl.errors import InvalidInput

CELLS = [{"number": 1}, {"number": 2}]


class Doubling:
    """Counts what it is asked."""

    def __init__(self):
        self.numbers = []

    def __call__(self, cell):
        self.numbers.append(cell["number"])
        if cell["number"] == 3:
            raise ZeroDivisionError("division by zero")
        return {"twice": 2 * cell["number"]}


@pytest.fixture
def work():
    return Doubling()


def test_what_was_finished_is_not_worked_out_again(work, tmp_path):
    file = tmp_path / "deep" / "cells.jsonl"
    first = run_kept_cells(work, CELLS, file, 0)
    assert [outcome.value for outcome in first] == [{"twice": 2}, {"twice": 4}]
    assert [o.value for o in run_kept_cells(work, CELLS[::-1], file, 0)] == [{"twice": 4}, {"twice": 2}]
    assert work.numbers == [1, 2]


def test_another_question_or_another_program_is_worked_out_anew(work, tmp_path, monkeypatch):
    run_kept_cells(work, CELLS, tmp_path / "cells.jsonl", 0)
    run_kept_cells(work, [{"number": 5}], tmp_path / "cells.jsonl", 0)
    monkeypatch.setattr(kept_cells, "digest_source", lambda: "changed")
    run_kept_cells(work, CELLS, tmp_path / "cells.jsonl", 0)
    assert work.numbers == [1, 2, 5, 1, 2]


def test_a_line_that_a_kill_cut_off_is_worked_out_again_and_spoils_no_other(work, tmp_path):
    file = tmp_path / "cells.jsonl"
    run_kept_cells(work, CELLS, file, 0)
    file.write_text(file.read_text()[:-9])
    for _ in range(2):
        assert [o.value for o in run_kept_cells(work, CELLS, file, 0)] == [{"twice": 2}, {"twice": 4}]
    assert work.numbers == [1, 2, 2]


def test_what_crashed_is_tried_again(work, tmp_path):
    for _ in range(2):
        (outcome,) = run_kept_cells(work, [{"number": 3}], tmp_path / "cells.jsonl", 0)
        assert outcome.value is None
        assert outcome.error == "ZeroDivisionError: division by zero"
    assert work.numbers == [3, 3]


def test_a_file_that_cannot_be_written_is_refused(work, tmp_path):
    (tmp_path / "cells.jsonl").mkdir()
    with pytest.raises(InvalidInput, match="cannot keep what is finished"):
        run_kept_cells(work, CELLS, tmp_path / "cells.jsonl", 0)
