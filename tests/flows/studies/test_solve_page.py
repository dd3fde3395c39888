"""The page of an answer: all that the terminal has, safe whatever strangers wrote, and it loads nothing."""

import numpy as np
from comparisons import WHITE
from hostile import HOSTILE
from pages import check
from problems import written
from rich.text import Text

from flows.studies.solve import solve, solve_tables
from flows.studies.solve_page import write_solve_page


def test_the_page_says_first_what_to_take_and_then_all_that_the_tables_have(dark, tmp_path):
    result = solve(
        dark, WHITE, models=["linear", "pls"], draws=50, answers="2", start="R=0.5,G=0.2,B=0.5", free=["590nm"]
    )
    text = check(write_solve_page(result, tmp_path / "page.html").read_text(), ["verdict"]).text
    tables = solve_tables(result)
    assert text.index(result["advice"]) < text.index(str(tables[0].title))
    for table in tables:
        for column in table.columns:
            for cell in (column.header, *column.cells):
                assert " ".join(Text.from_markup(str(cell)).plain.split()) in text


def test_nothing_that_strangers_wrote_runs_or_hides(tmp_path):
    rng = np.random.default_rng(0)
    settings, names = (
        rng.random((40, 2)),
        [name.replace("\x00", "").replace("\n", "").replace("=", "") for name in HOSTILE],
    )
    path = written(tmp_path / "a<b>.jsonl", settings, settings @ rng.random((2, len(names))), names)
    result = solve(path, [f"{name}=0.5" for name in names], models=["linear"], draws=20)
    html = write_solve_page(result, tmp_path / "page.html").read_text()
    check(html, ["verdict"])
    assert {"\x1b", "\u202e"}.isdisjoint(html)


def test_the_command_says_where_the_page_lies(sdl, dark, tmp_path):
    words = ("solve", dark, "--model", "linear", "--target", "445nm=16384", "--draws", 20)
    done = sdl(*words, "--page", tmp_path / "answer.html")
    assert done.out.rstrip().endswith("answer.html")
    assert "Settings wanted for" in (tmp_path / "answer.html").read_text()
    refused = sdl(*words, "--page", dark / "answer.html")
    assert refused.code == 2
    assert "cannot make the folder" in refused.err
