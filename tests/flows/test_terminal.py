"""What a terminal shows: figures whole, words folded."""

import pytest
from rich.console import Console

from flows.terminal import figure_table, split_wide_table

FIGURES = ["mean of all", "largest of all", "of the last tenth", "bar"]
ROW = ["12345.678", "13 (12 to 14)", "3.14159e-12", "99.5 %"]


def filled():
    table = figure_table("What was measured", ["kind of thing"], FIGURES, caption="by whom")
    table.add_row("a name that is somewhat longer than the others", *ROW)
    table.add_row("short", *ROW[::-1], end_section=True)
    return table


def printed(table, width):
    console = Console(width=width)
    with console.capture() as text:
        for part in split_wide_table(table, console):
            console.print(part)
    return text.get()


@pytest.mark.parametrize("width", [200, 80, 60, 40, 30])
def test_no_figure_is_cut_however_narrow_the_terminal(width):
    said = printed(filled(), width)
    assert max(map(len, said.splitlines())) <= width
    for figure in ROW:
        assert said.count(figure) == 2
    assert "…" not in said


def test_a_table_that_fits_stays_one():
    (whole,) = split_wide_table(filled(), Console(width=200))
    assert printed(whole, 200) == printed(filled(), 200)


def test_every_part_has_the_words_and_the_table_one_title_and_one_caption():
    parts = split_wide_table(filled(), Console(width=40))
    assert len(parts) > 1
    assert [str(part.columns[0].header) for part in parts] == ["kind of thing"] * len(parts)
    said = " ".join(printed(filled(), 40).split())
    assert said.count("What was measured") == said.count("by whom") == 1


def test_a_table_of_words_alone_stays_as_it_is():
    table = figure_table("Names", ["first", "second"], [])
    table.add_row("Ada", "Grace")
    assert len(split_wide_table(table, Console(width=10))) == 1
