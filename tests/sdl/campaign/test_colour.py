"""Colours as targets: the formulas are the CIE's, what is wrong is said with its key, and Delta E is kept."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from pages import check
from places import ROOT

from flows.engine.opening import open_session
from sdl.campaign.colour import ColourPart, LabColour
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.ledger.ledger import Ledger
from sdl.reports.campaign_page import render_campaign_page
from sdl.reports.campaign_summary import CampaignSummary
from sdl.space import Space
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

WAVELENGTHS = {"415nm": 415, "445nm": 445, "480nm": 480, "515nm": 515,
               "555nm": 555, "590nm": 590, "630nm": 630, "680nm": 680}  # fmt: skip
WHITE = {"415nm": 2551, "445nm": 30840, "480nm": 20789, "515nm": 64965,
         "555nm": 11006, "590nm": 17245, "630nm": 31541, "680nm": 2522}  # fmt: skip
SECTION = {"wavelengths": WAVELENGTHS, "white": WHITE}
GREEN = {"L": 71, "a": -26, "b": 19}


def written(**changes):
    target = {"name": "green", "colour": GREEN}
    return {"name": "colour", "instrument": "twin", "budget": 60, "targets": [target], "colour": SECTION} | changes


@pytest.fixture
def computed():
    """Computes the quantities of a colour for readings of its channels."""

    def quantities(part, readings):
        space = Space.unit("R", channels=part.wavelengths).with_formulas(
            {name: (quantity.formula, "") for name, quantity in part.quantities.items()}
        )
        row = [*(readings[name] for name in part.wavelengths), *[math.nan] * len(part.quantities)]
        return dict(zip(space.channel_names, space.computed(np.array(row, float)).tolist(), strict=True))

    return quantities


@pytest.mark.parametrize("share", [1.0, 0.3, 1e-3], ids=["bright", "middling", "nearly dark"])
def test_they_are_what_colour_science_makes_of_the_same_light(computed, share):
    colour = pytest.importorskip("colour")
    part, rng = ColourPart.model_validate(SECTION), np.random.default_rng(3)
    readings = {name: share * level * rng.uniform(0.05, 1) for name, level in WHITE.items()}
    found, white = computed(part, readings), computed(part, WHITE)
    light, whole = (np.array([known[f"CIE {axis}"] for axis in "XYZ"]) / 100 for known in (found, white))
    assert [found["CIE x"], found["CIE y"]] == pytest.approx(colour.XYZ_to_xy(light))
    expected = colour.XYZ_to_Lab(light, colour.XYZ_to_xy(whole))
    assert [found["L*"], found["a*"], found["b*"]] == pytest.approx(expected.tolist(), abs=2e-3)


def test_white_is_as_light_as_can_be_and_has_no_colour_and_black_has_neither(computed):
    part = ColourPart.model_validate(SECTION | {"black": dict.fromkeys(WHITE, 100.0)})
    for readings, lightness in ((WHITE, 100.0), (dict.fromkeys(WHITE, 100.0), 0.0)):
        found = computed(part, readings)
        assert [found["L*"], found["a*"], found["b*"]] == pytest.approx([lightness, 0, 0], abs=2e-3)


def test_weights_are_kept_so_that_nobody_needs_the_tables_again(monkeypatch):
    campaign = Campaign.parse(written())
    monkeypatch.setitem(sys.modules, "colour", None)
    kept = campaign.model_dump(mode="json", exclude_unset=True)
    again = Campaign.parse(kept)
    assert again == campaign
    assert again.computed == campaign.computed
    with pytest.raises(InvalidInput, match=r"colour: needs the tables .* pip install 'inverse-sdl\[colour\]'"):
        Campaign.parse(written())


def test_every_coordinate_within_its_part_is_within_delta_e_whichever_way_they_are_off():
    target = Campaign.parse(written(targets=[{"colour": GREEN | {"delta_e": 2.0}}])).targets[0]
    intervals = [target.interval(name) for name in ("L*", "a*", "b*")]
    assert [interval.wanted for interval in intervals] == list(GREEN.values())
    assert math.dist(*zip(*((interval.low, interval.wanted) for interval in intervals), strict=True)) <= 2.0 + 1e-9
    assert LabColour(**GREEN).delta_e == 1.0


def test_beside_a_colour_other_channels_may_be_wanted():
    target = Campaign.parse(written(targets=[{"colour": GREEN, "readings": {"nir": "<= 900"}}])).targets[0]
    assert set(target.readings) == {"L*", "a*", "b*", "nir"}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"colour": SECTION | {"white": {**WHITE, "445nm": 0}}}, "white needs to read more than black at 445nm"),
        ({"colour": SECTION | {"white": {"445nm": 1}}}, "colour: white and wavelengths must name the same channels"),
        ({"colour": SECTION | {"black": {"nir": 1}}}, "colour: black names channels without a wavelength: nir"),
        ({"colour": {"wavelengths": {**WAVELENGTHS, "415nm": 200}, "white": WHITE}}, "colour.wavelengths.415nm: "),
        ({"colour": {"wavelengths": {**WAVELENGTHS, "415nm": 445}, "white": WHITE}}, "need to differ"),
        ({"colour": SECTION | {"illuminant": "candle"}}, "colour.illuminant: "),
        ({"targets": [{"colour": {"L": 50, "a": 0}}]}, "targets.0.colour.b: "),
        ({"targets": [{"colour": GREEN | {"delta_e": 0}}]}, "targets.0.colour.delta_e: "),
        ({"colour": {"wavelengths": {"a": 450, "b": 550, "c": 650}, "white": {"a": 1, "b": 1, "c": 1}}},
         "CIE X: is computed from a channel that there is not, 'a'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_key_before_anything_is_measured(changes, fault):
    with pytest.raises(InvalidInput) as refused:
        prepare(written(**changes))
    assert any(fault in each for each in refused.value.faults), refused.value.faults


def test_a_target_of_a_colour_needs_the_section():
    without = {name: part for name, part in written().items() if name != "colour"}
    with pytest.raises(InvalidInput, match=r"green wants a colour: a section \[colour\] has to tell"):
        Campaign.parse(without)


@pytest.mark.parametrize("seed", [41, 42, 43])
def test_a_campaign_finds_the_settings_of_a_colour(computed, seed):
    campaign, instrument = prepare(written(seed=seed, instrument={"plugin": "twin", "seed": seed}))
    rehearsal = Simulation(Plan(campaign, instrument.space), instrument)
    rehearsal.run()
    finding = rehearsal.findings[-1]
    assert finding.verdict == "VERIFIED"
    assert "L* 7" in finding.sentence
    readings = instrument.truth(finding.settings)
    true = computed(campaign.colour, dict(zip(instrument.space.channel_names, readings.tolist(), strict=False)))
    assert math.dist([true["L*"], true["a*"], true["b*"]], GREEN.values()) <= 1.0


@pytest.mark.slow
def test_a_report_says_how_far_off_the_colour_is_and_names_no_background_of_it(tmp_path, drive):
    where = str(tmp_path / "ledger.sqlite")
    with open_session(written(instrument={"plugin": "twin", "seed": 41}), tmp_path, where) as session:
        drive(session)
    with Ledger(where) as book:
        (result,) = CampaignSummary.of(book, session.entry.name).results
        page = check(render_campaign_page(book, session.entry.name))
    means = [line.mean for line in result.lines]
    assert result.delta_e == f"{math.dist(means, GREEN.values()):.2f}, and at most 1 is allowed"
    assert f"Delta E*ab measured {result.delta_e}" in " ".join(page.text.split())
    assert result.light == ""


def test_how_numpy_prints_stays_as_it_was():
    code = "import numpy as np; from sdl.campaign.colour import ColourPart; import json, sys\n"
    code += "ColourPart.model_validate(json.loads(sys.argv[1])); print(repr(np.array([1.0])), 'colour' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code, json.dumps(SECTION)], capture_output=True, text=True, cwd=ROOT)
    assert answer.stdout.split("\n")[0] == "array([1.]) True", answer.stderr
