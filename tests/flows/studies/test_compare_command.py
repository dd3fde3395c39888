"""The command 'sdl compare': what it says, where its page is, and a sentence for whatever is wrong with the rows."""

import numpy as np
import pytest
from comparisons import SECTIONS, WHITE
from pages import check
from problems import CHANNELS, PAPER, twin_answer, written

from strategies.solving.model_answer import choose_models

ALL = choose_models((), 60)


def test_the_command_says_what_it_does_and_where_the_page_is(sdl, dark, home, tmp_path):
    words = [word for target in WHITE for word in ("--target", target)]
    outcome = sdl("compare", dark, *words, "--model", "linear", "--model", "pls")
    assert outcome.code == 0
    assert "no worse" in outcome.said
    assert outcome.out.splitlines()[-1] == str(home / "reports" / "dark-compare.html")
    mine = tmp_path / "new" / "mine.html"
    outcome = sdl("compare", dark, *words, "--model", "pls", "--page", mine, "--json")
    assert outcome.json["page"] == str(mine)
    assert outcome.json["best"] == "pls"
    check(mine.read_text(), SECTIONS)


def test_what_cannot_be_reached_is_no_success(sdl, dark):
    assert sdl("compare", dark, "--target", "445nm=60000", "--model", "linear").code == 3


def bad(kind, settings, readings):
    """Rows in which something is wrong."""
    settings, readings = settings.copy(), readings.copy()
    column = CHANNELS.index("445nm")
    if kind in ("few", "single row"):
        n = 2 if kind == "few" else 1
        settings, readings = settings[:n], readings[:n]
    elif kind == "still settings":
        settings[:] = settings[0]
    elif kind == "still channel":
        readings[:, column] = 700
    elif kind == "one row":
        settings[:], readings[:] = settings[0], readings[0]
    elif kind == "ceiling":
        readings[:, column] = 65535
    elif kind == "never read":
        readings[:, column] = np.nan
    return settings, readings


@pytest.mark.parametrize("command", ["compare", "solve"])
@pytest.mark.parametrize(
    ("kind", "target", "sentence"),
    [
        ("still settings", WHITE, "all 60 rows have the same settings: measure at others"),
        ("still channel", WHITE, "445nm reads the same in all 60 rows: leave it free, or measure where it moves"),
        ("one row", WHITE, "all 60 rows have the same settings"),
        ("single row", WHITE, "there is one row alone: measure at others"),
        ("ceiling", WHITE, "no row has a reading below the ceiling in each of 445nm, 515nm, 630nm: measure some"),
        ("never read", WHITE, "445nm was never read in these rows; they have 415nm, 480nm,"),
        ("good", ["445nm=nan"], "445nm needs a finite number, got 'nan'"),
        ("good", ["446nm=1"], "unknown channel '446nm'; did you mean '445nm'?"),
    ],
)
def test_bad_input_is_a_sentence(sdl, rows, tmp_path, command, kind, target, sentence):
    path = written(tmp_path / "a.jsonl", *bad(kind, *rows))
    outcome = sdl(command, path, *(word for each in target for word in ("--target", each)))
    assert outcome.code == 2
    assert sentence in outcome.said
    assert outcome.out == ""


@pytest.mark.fault("N-16")
@pytest.mark.parametrize("words", ["--background 445nm=1", "--quantity q=445nm/515nm", "--knob R=0:1"])
def test_what_is_said_twice_is_not_half_forgotten(sdl, dark, words):
    outcome = sdl("solve", dark, "--target", "445nm=16384", *words.split(), *words.split())
    assert outcome.code == 2
    assert "is given twice" in outcome.said


def test_too_few_rows_are_a_sentence_for_each_model(sdl, rows, tmp_path):
    path = written(tmp_path / "a.jsonl", *bad("few", *rows))
    outcome = sdl("compare", path, "--target", "445nm=16384", "--model", "linear", "--model", "mixture")
    assert outcome.code == 2
    assert "linear has no answer: LinearProgram needs 3 rows, got 2: measure 1 more" in outcome.said


@pytest.mark.parametrize("share", ["0", "1", "nan"])
def test_a_share_of_test_rows_is_between_0_and_1(sdl, dark, share):
    outcome = sdl("compare", dark, "--target", "445nm=16384", "--test", share)
    assert outcome.code == 2
    assert "test needs a share between 0 and 1" in outcome.said


@pytest.mark.slow
def test_every_registered_model_is_compared(sdl, dark):
    words = [word for target in WHITE for word in ("--target", target)]
    result = sdl("compare", dark, *words, "--json").json
    assert {row["model"] for row in result["models"]} == set(ALL)
    for row in result["models"]:
        assert row["error"] is None, row["error"]
        assert row["unjudged"] is None, row["unjudged"]
        answer = list(row["candidates"][0]["settings"].values())
        assert answer == pytest.approx(twin_answer(PAPER), abs=0.015)
        assert min(row["scores"]["settings"]["test"]["r2"].values()) > 0.99
