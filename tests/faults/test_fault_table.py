"""Every line of the fault matrix has a test that injects it, or the reason why not stands beside it."""

import pytest
from fault_matrix import MATRIX, REMARKS
from fault_table import PAGE, marked, page

LINES = [line for lines in MATRIX.values() for line in lines]


@pytest.mark.parametrize("line", LINES)
def test_a_line_has_tests_or_a_reason(line):
    assert marked().get(line) or REMARKS.get(line)


def test_marks_name_lines_that_there_are():
    assert marked().keys() <= set(LINES)
    assert REMARKS.keys() <= set(LINES)


def test_no_line_was_forgotten():
    numbers = {"I": 27, "O": 53, "M": 14, "N": 16}
    assert [f"{kind}-{number:02}" for kind, most in numbers.items() for number in range(1, most + 1)] == LINES


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python tests/faults/fault_table.py"
