"""A campaign file says for rows that exist already which knobs there are, what settings keep, and what is wanted."""

import numpy as np
import pytest

from flows.studies.solve import solve
from flows.studies.words.campaign_words import read_campaign_words
from sdl.errors import InvalidInput

CAMPAIGN = """
name = "mixture"
[instrument]
plugin = "by-hand"
knobs = [{name = "A"}, {name = "B"}, {name = "w", low = 1, high = 8, whole = true}, {name = "l", values = [1, 2, 5]}]
channels = [{name = "y", floor = -5}, {name = "z", floor = -5}]
[constraints]
always = ["A + B <= 0.8"]
never = ["w >= 7 and l >= 5"]
[quantities]
ratio = "y / z"
[[targets]]
readings = {y = "1.1 ± 0.1", ratio = ">= 1.2", z = "0.4 .. 1.1"}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mixture.toml").write_text(CAMPAIGN)
    return tmp_path / "mixture.toml"


@pytest.fixture
def rows(tmp_path):
    """Rows of which some lie where the campaign forbids settings."""
    rng = np.random.default_rng(0)
    settings = np.column_stack((rng.random((40, 2)), rng.integers(1, 9, 40), rng.choice([1, 2, 5], 40)))
    y, z = settings @ [0.8, 0.3, 0.1, 0.0], settings @ [0.0, 0.6, 0.0, 0.1]
    table = np.column_stack((settings, y, z)) + 0.01 * rng.standard_normal((40, 6)) * [0, 0, 0, 0, 1, 1]
    np.savetxt(tmp_path / "rows.csv", table, "%.6g", ",", header="in.A,in.B,in.w,in.l,out.y,out.z", comments="")
    return tmp_path / "rows.csv"


def test_answers_keep_the_kinds_and_constraints_of_a_campaign_and_its_target_is_wanted(file, rows):
    said = read_campaign_words(file, None, None)
    assert said.targets == ["y=1.1±0.1", "ratio>=1.2", "z=0.75±0.35"]
    result = solve(rows, said.targets, space=said.space, quantities=said.quantities, models=["linear", "mixture"])
    offers = [offer["settings"] for row in result["models"] for offer in row["candidates"]]
    assert offers
    for offer in offers:
        assert offer["A"] + offer["B"] <= 0.8 + 1e-9
        assert offer["w"] in range(1, 9)
        assert offer["l"] in (1, 2, 5)
        assert not (offer["w"] >= 7 and offer["l"] >= 5)


def test_what_is_said_beside_a_campaign_stands_in_the_place_of_its_target(file, rows, sdl):
    result = sdl("solve", rows, "--campaign", file, "--target", "y>=1.2", "--model", "linear", "--json")
    assert (result.code, result.json["wanted"]) == (0, {"y": "at least 1.2"})
    (offer,), near = result.json["models"][0]["candidates"], result.json["row"]["settings"]
    for settings in (offer["settings"], near):  # the best row of all lies where settings are forbidden by now
        assert settings["A"] + settings["B"] <= 0.8 + 1e-9
    lacking = sdl("solve", rows, "--model", "linear")
    assert (lacking.code, "a target is missing" in lacking.said) == (2, True)


def test_of_several_targets_one_has_to_be_said(file):
    file.write_text(f'{CAMPAIGN}name = "one"\n[[targets]]\nname = "other"\nreadings = {{y = "maximum ± 0.1"}}\n')
    with pytest.raises(InvalidInput, match="has several targets, one, other: say with --target what is wanted"):
        read_campaign_words(file, None, None)
    file.write_text(CAMPAIGN.replace('"1.1 ± 0.1"', '"minimum ± 0.2"'))
    assert read_campaign_words(file, None, None).targets[0] == "y=minimum±0.2"
