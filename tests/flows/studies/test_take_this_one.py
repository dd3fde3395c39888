"""What solve and compare end with: which settings to take and why, or that none is to be taken."""

from copy import deepcopy

import pytest
from comparisons import QUICK, WHITE

from flows.studies.solve import solve
from flows.studies.take_this_one import take_this_one


@pytest.fixture(scope="module")
def answered(dark):
    return solve(dark, WHITE, models=QUICK, draws=300)


def test_the_likeliest_is_to_be_taken_because_rows_and_models_say_so(answered):
    first = next(row for row in answered["models"] if row["model"] == answered["first"])
    said = answered["advice"]
    assert said.startswith("Take R = 0.53")
    assert f"of {answered['first']}, because the rows give it a chance of " in said
    assert f"{100 * first['candidates'][0]['chance']:.0f} % to hit; 2 of 2 other models offer the same" in said
    assert "on 12 rows not seen it explains 99.9" in said
    assert said.endswith("Nothing of this was measured: 'sdl measure' or a campaign is to say whether it holds.")


def test_what_speaks_against_it_is_said(answered):
    changed = deepcopy(answered)
    first, *others = changed["models"]
    first["candidates"][0]["remote"] = 1.5
    first["scores"]["off"] = ["445nm"]
    for row in others:
        row["candidates"][0]["settings"]["R"] += 0.3
    said = take_this_one(changed, first)
    assert "It lies in a gap of the rows: measure there first." in said
    assert "though its intervals are off in 445nm" in said
    assert "0 of 2 other models offer the same" in said


def test_where_nothing_hits_nothing_is_to_be_taken(dark):
    result = solve(dark, ["445nm=16384", "515nm=16384", "555nm=30000"], models=["linear", "pls"])
    assert result["first"] is None
    line = result["row"]["line"]
    assert result["advice"].startswith("Take none of these: no model that explains the rows has settings that hit.")
    assert f"Nearest is what was measured in line {line}" in result["advice"]
    assert "though it misses" in result["advice"]


def test_where_no_model_answers_it_says_why(dark, register):
    register("mute", type("Mute", (), {"__init__": lambda self: 1 / 0}))
    result = solve(dark, WHITE, models=["mute"])
    assert result["advice"].startswith("Take none: mute has no answer: 'mute' failed with ZeroDivisionError")


def test_commands_end_with_it(sdl, dark, tmp_path):
    words = [word for wish in WHITE for word in ("--target", wish)]
    said = sdl("solve", dark, *words, "--model", "linear").out.strip().splitlines()
    assert said[-1].startswith("Take R = 0.53")
    compared = sdl("compare", dark, *words, "--model", "linear", "--page", tmp_path / "page.html").out.splitlines()
    assert compared[-2].startswith("Take R = 0.53")
    assert compared[-2] in (tmp_path / "page.html").read_text().replace("&#39;", "'")
