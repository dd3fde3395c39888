"""Solving for sides and for what is computed from channels: offers, tables and refusals, on rows of the twin."""

import json

import numpy as np
import pytest

from flows.studies.compare import compare_models
from flows.studies.solve import solve, solve_tables
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin

SIDES = ["445nm>=20000", "515nm<=9000", "630nm=12000:16000"]
MODELS = ["linear", "mixture"]


def truth(offer):
    settings = np.array([[offer["settings"][knob] for knob in "RGB"]])
    return dict(zip(Twin().space.channel_names, Twin().truth(settings)[0], strict=True))


def test_offers_lie_well_on_the_side_that_is_asked_for(dark):
    result = solve(dark, SIDES, models=MODELS, draws=200)
    assert result["first"] in MODELS
    for row in result["models"]:
        offer = row["candidates"][0]
        read = truth(offer)
        assert read["445nm"] >= 20000
        assert read["515nm"] <= 9000
        assert 12000 <= read["630nm"] <= 16000
        assert offer["chance"] > 0.9
        assert not offer["misses"]
    assert result["wanted"] == {"445nm": "at least 20000", "515nm": "at most 9000", "630nm": "14000 ± 2000"}
    assert result["target"] == {"445nm": 20000, "515nm": 9000, "630nm": 14000}
    assert result["tolerance"] == {"445nm": None, "515nm": None, "630nm": 2000}
    json.dumps(result, allow_nan=False)
    assert "at least 20000" in str(solve_tables(result)[0].title)


def test_a_side_that_nothing_gives_is_not_reachable(dark):
    row = solve(dark, ["445nm>=64000", "515nm<=2000", "630nm>=64000"], models=["linear"], draws=50)["models"][0]
    assert not row["reachable"]
    assert row["nearest"]["readings"]["445nm"] < 64000


def test_what_is_computed_is_wanted_like_a_channel(dark):
    asked = {"quantities": ["ratio=445nm / 630nm", "twice = 2 * ratio"], "models": MODELS, "draws": 200}
    result = solve(dark, ["ratio=1.5±0.1", "515nm>=12000"], **asked)
    offer = next(row for row in result["models"] if row["model"] == result["first"])["candidates"][0]
    read = truth(offer)
    assert read["445nm"] / read["630nm"] == pytest.approx(1.5, abs=0.15)
    assert read["515nm"] >= 12000
    assert any("ratio, twice is computed" in note for note in result["notes"])


@pytest.mark.slow
def test_models_are_compared_on_sides_and_on_what_is_computed(dark):
    asked = {"quantities": ["ratio=445nm / 630nm"], "models": MODELS, "draws": 100}
    result = compare_models(dark, ["ratio>=1.2", "515nm=9000:14000"], **asked)
    assert result["best"] in MODELS
    assert result["wanted"]["ratio"] == "at least 1.2"


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"targets": ["445nm>=70000"]}, "445nm >= 70000 counts reaches the ceiling of the sensor, 65535"),
        ({"targets": ["445nm=4000:3000"]}, "445nm needs the least before the most, got '4000:3000'"),
        ({"targets": ["445nm>5"]}, "'445nm>5' needs the form CHANNEL=READING"),
        ({"targets": ["445nm>=12e3"], "answers": "all"}, "answers: whole regions meet 445nm with one bound"),
        ({"quantities": ["ratio"]}, "'ratio' needs the form NAME=FORMULA, as in ratio=445nm/630nm"),
        ({"quantities": ["ratio=eval(445nm)"]}, "ratio unknown function 'eval'"),
        ({"quantities": ["ratio=445nm/631nm"]}, "ratio: is computed from a channel that there is not, '631nm'"),
        ({"quantities": ["515nm=445nm/630nm"]}, "515nm: a knob or channel has that name already"),
    ],
)
def test_what_cannot_be_asked_is_a_fault(dark, asked, fault):
    with pytest.raises(InvalidInput) as raised:
        solve(dark, **{"targets": ["445nm=16384"]} | asked)
    assert any(each.startswith(fault) for each in raised.value.faults), raised.value.faults
