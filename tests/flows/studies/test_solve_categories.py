"""Rows with a category: what is asked of the rows of one name is answered from those alone."""

import numpy as np
import pytest

from flows.studies.solve import solve
from sdl.errors import InvalidInput

YIELDS = {"ethanol": 40.0, "toluene": 60.0, "water": 10.0}
TARGET = ["yield=55±0.5"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Of each solvent the yield at twelve temperatures: 0.3 more a degree, less what the solvent takes."""
    rng, path = np.random.default_rng(1), tmp_path_factory.mktemp("rows") / "solvents.csv"
    lines = [
        f"{name},{warmth:.2f},{at + 0.3 * warmth + rng.normal(0, 0.1):.3f}"
        for name, at in YIELDS.items()
        for warmth in rng.uniform(20, 80, 12)
    ]
    path.write_text("\n".join(["in.solvent,in.T,out.yield", *lines]))
    return path


def test_settings_are_found_from_the_rows_of_one_name(rows):
    found = solve(rows, TARGET, models=["linear"], knobs=["solvent=ethanol"])
    (model,) = found["models"]
    assert model["candidates"][0]["settings"]["T"] == pytest.approx((55 - 40) / 0.3, abs=2.0)
    assert found["rows"] == 12
    assert "rows with solvent = ethanol alone were used, 12 of 36" in found["notes"]
    (cold,) = solve(rows, TARGET, models=["linear"], knobs=["solvent = water", "T=20 .. 80"])["models"]
    assert not cold["reachable"], "water gives 34 at most"


def test_compare_takes_them_too(rows, sdl, tmp_path):
    words = ("--target", *TARGET, "--model", "linear", "--knob", "solvent=toluene", "--page", tmp_path / "page.html")
    assert sdl("compare", rows, *words, "--json").json["rows"] == 12
    assert "rows with solvent = toluene alone were used, 12 of 36" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ([], "solvent: settings are found here for numbers alone: say whose rows count, as --knob solvent=NAME"),
        (["solvent=watr"], "knob 'solvent' needs one of ethanol, toluene, water, got 'watr'; did you mean 'water'?"),
        (["solvent=water", "solvent=ethanol"], "the name of solvent is given twice"),
        (["solvnt=water"], "'solvnt=water': no knob 'solvnt'; did you mean 'solvent'?"),
        (["T=water"], "the range of T needs LOW .. HIGH, as in 3000 .. 4000, got 'water'"),
    ],
)
def test_other_words_are_refused_with_what_to_write(rows, knobs, said):
    with pytest.raises(InvalidInput, match=said.replace("?", r"\?")):
        solve(rows, TARGET, models=["linear"], knobs=knobs)


def test_a_category_alone_has_no_setting_to_find(tmp_path):
    (tmp_path / "a.csv").write_text("in.solvent,out.y\nwater,1\noil,2\nwater,1.1\n")
    with pytest.raises(InvalidInput, match="with solvent = water no knob is left"):
        solve(tmp_path / "a.csv", ["y=1"], knobs=["solvent=water"])
