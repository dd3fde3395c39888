"""Campaign files that are wrong: every fault at once, each with its key and what was probably meant."""

import json
import math

import pytest
from hostile import GOOD, WHITE, fault, faults

from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.formatting import format_value
from sdl.instruments.claude_light.twin import Twin


def target(**changes):
    return {"targets": [{"readings": WHITE, **changes}]}


def test_who_is_refused_leaves_no_instrument_open_but_the_one_that_it_brought(monkeypatch):
    closed = []
    monkeypatch.setattr(Twin, "close", lambda twin: closed.append(twin))
    wrong = GOOD | target(tolerance="1 percent") | {"instrument": "twin"}
    with pytest.raises(InvalidInput, match="tolerance"):
        prepare(wrong)
    assert len(closed) == 1
    with pytest.raises(InvalidInput, match="tolerance"):
        prepare(wrong, Twin())
    assert len(closed) == 1
    prepare(GOOD | {"instrument": "twin"})
    assert len(closed) == 1


# ---------------------------------------------------------------------- what is wrong


@pytest.mark.fault("N-01")
def test_every_fault_of_a_file_is_listed_at_once():
    found = faults(
        name="../..",
        budgte=3,
        seed=-1,
        instrument={"plugin": "twin", "daylite": "dark"},
        design={"plugin": "sobo", "n": 0},
        models=["linear", "mixtrue"],
        acquisition={"plugin": "uncertainty", "pool": 0},
        background={"evry": 5},
        verification={"replicates": 0, "confidence": 1},
        targets=[
            {"name": "a", "readings": {"514nm": 1000}, "tolerance": "1 percent"},
            {"name": "b", "readings": {"515nm": 70000}},
            {"readings": {"nir": 100}, "toleranc": 5},
        ],
    )
    text = "\n".join(found)
    for expected in (
        "name: a name needs letters or digits",
        "budgte: unknown key; did you mean 'budget'?",
        "seed: Input should be greater than or equal to 0, got -1",
        "instrument.daylite: 'twin' has no such option; did you mean 'daylight'?",
        "design.n: Input should be greater than or equal to 1, got 0",
        "design: unknown design 'sobo'; did you mean 'sobol'?",
        "models.1: unknown inverse model 'mixtrue'; did you mean 'mixture'?",
        "acquisition: needs pool >= 1",
        "background.evry: unknown key; did you mean 'every'?",
        "verification.replicates: needs 'planned' or a whole number from 1 to 10000, got 0",
        "verification.confidence: Input should be less than 1, got 1",
        "targets.0.tolerance: needs a number above 0 or a percentage such as '1 %', got '1 percent'",
        "targets.2.toleranc: unknown key; did you mean 'tolerance'?",
    ):
        assert expected in text
    assert "targets.0: unknown channel" not in text, "what the instrument has is not known while it cannot be built"
    assert len(found) == 13


def test_what_the_instrument_cannot_do_is_listed_with_the_faults_of_the_file():
    found = faults(
        budget=0,
        targets=[
            {"readings": {"nir": "x"}},
            {"name": "b", "readings": {"514nm": 1000, "infra": 2}, "tolerance": 0},
            {"name": "c", "readings": {"515nm": 70000}, "shade": "red"},
        ],
    )
    assert [each.split(",")[0] for each in found] == [
        "budget: Input should be greater than or equal to 1",
        "targets.0.readings.nir: needs a number",
        "targets.1.tolerance: needs a number above 0 or a percentage such as '1 %'",
        "targets.2.shade: unknown key; known are 'answers'",
        "targets.1: unknown channel '514nm'; did you mean '515nm'?",
        "targets.1: unknown channel 'infra'; known are '415nm'",
        "targets.2: 515nm = 70000 ± 1e-09 counts reaches the ceiling of the sensor",
    ]


@pytest.mark.fault("N-01")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"instrument": "twn"}, "instrument: unknown instrument 'twn'; did you mean 'twin'?"),
        (
            {"instrument": {"plugin": "twin", "sed": 1}},
            "instrument.sed: 'twin' has no such option; did you mean 'seed'?",
        ),
        ({"instrument": {"seed": 1}}, "instrument.plugin: is missing"),
        ({"instrument": 5}, "instrument: needs a table, got 5"),
        ({"targets": []}, "targets: Tuple should have at least 1 item"),
        ({"models": []}, "models: Tuple should have at least 1 item"),
        ({"budget": 10**9}, "budget: Input should be less than or equal to 1000000, got 1000000000"),
        ({"budget": "many"}, "budget: Input should be a valid integer"),
        ({"stop": {"exams": 0}}, "stop.exams: Input should be greater than or equal to 1, got 0"),
        ({"background": {"max_age_s": math.nan}}, "background.max_age_s: Input should be a finite number, got nan"),
        ({"verification": {"replicates": 1, "noise": "estimated"}}, "verification: replicates needs at least 2"),
        ({"verification": {"replicates": True}}, "verification.replicates: needs 'planned' or a whole number"),
        ({"verification": {"function-x": 1}}, "verification.function-x: unknown key; known are 'confidence'"),
        ({"function-x": 1}, "function-x: unknown key; known are 'acquisition'"),
    ],
    ids=str,
)
def test_a_fault_stands_with_its_key(change, expected):
    assert fault(**change).startswith(expected)


@pytest.mark.fault("I-11")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"readings": {"515nm": 70000}}, "reaches the ceiling of the sensor, 65535: a reading there says"),
        ({"readings": {"515nm": 65000}}, "515nm = 65000 ± 650 counts reaches the ceiling of the sensor"),
        ({"readings": {"515nm": -1}}, "515nm = -1 counts is below the least that the sensor can return, 0"),
        ({"readings": {"515nm": math.nan}}, "targets.0.readings.515nm: needs a number, or words"),
        ({"readings": {"515nm": math.inf}}, "targets.0.readings.515nm: needs a number, or words"),
        ({"readings": {"514nm": 5000}}, "targets.0: unknown channel '514nm'; did you mean '515nm'?"),
        ({"readings": {}}, "targets.0.readings: Dictionary should have at least 1 item"),
        ({"readings": {"515nm": 0}}, "tolerance at 515nm must be above 0; give it in counts, not as a share of 0"),
        ({"tolerance": {"445nm": 5}}, "tolerance and readings must name the same channels, check 515nm, 630nm"),
        ({"tolerance": {"445nm": 0, "515nm": {}, "630nm": 1}}, "'1 %', got 0, {}"),
        ({"name": ""}, "targets.0.name: String should have at least 1 character"),
        ({"name": "a\nb"}, "targets.0.name: needs a name without line ends and control characters, got 'a\\nb'"),
        ({"name": "\x1b[31mred"}, "targets.0.name: needs a name without line ends and control characters"),
    ],
    ids=str,
)
def test_a_target_that_cannot_be_verified_is_refused(change, expected):
    assert expected in fault(**target(**change))


@pytest.mark.parametrize(
    "value",
    [0, -1, math.nan, math.inf, "1 percent", "0 %", "-1 %", "1", "%", "1e999 %", True, None, [1], 10**400],
    ids=format_value,
)
def test_a_tolerance_is_a_number_above_0_or_a_percentage(value):
    assert "targets.0.tolerance: needs a number above 0 or a percentage such as '1 %'" in fault(
        **target(tolerance=value)
    )


def test_two_targets_of_one_name_are_two_too_many():
    twice = [{"name": "a", "readings": WHITE}] * 2 + [{"name": "b", "readings": WHITE}]
    assert fault(targets=twice) == "targets: every target needs a name of its own, found twice: a"


# ---------------------------------------------------------------------- what cannot succeed


def test_a_budget_from_which_no_model_can_learn_is_refused():
    wide = {"instrument": "material", "targets": [{"readings": {"modulus": 0.09}}], "budget": 60}
    assert faults(**wide) == (
        "budget: 60 requests are too few for every model: linear needs 1024 readings of 1024 knobs; raise it, name "
        "another model (pls) or give the ledger of an earlier campaign as history",
    )
    assert faults(**wide, models=["mixture"])[0].startswith("budget: 60 requests are too few for every model: mixture ")
    prepare({**GOOD, **wide, "models": ["mixture", "pls"]})
    prepare({**GOOD, **wide, "instrument": {"plugin": "material", "side": 4}})


@pytest.mark.fault("N-15")
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"budget": 20, "verification": {"replicates": 30}},
            "verification.replicates: 30 requests are more than",
        ),
        (
            {"targets": [{"name": f"t{k}", "readings": {"445nm": 16384}, "tolerance": 9} for k in range(150)]},
            "targets: 150 requests are more than the budget of 100 allows",
        ),
        ({"instrument": {"plugin": "twin", "noise": math.inf}}, "instrument.noise: Input should be a finite number"),
        ({"instrument": {"plugin": "twin", "daylight": math.nan}}, "instrument.daylight.*finite number"),
        ({"budget": 20, "design": {"n": 40}}, "design.n: 40 requests are more than the budget of 20 allows"),
        (
            {"targets": [{"readings": {"445nm": 16384}, "tolerance": 1e-300}]},
            "no number of that size shows so small an error",
        ),
        ({"targets": [{"readings": {"445nm": True}}]}, "targets.0.readings: .*needs no true or false"),
        ({"budget": True}, "budget: .*needs no true or false"),
        ({"seed": False}, "seed: .*needs no true or false"),
        ({"design": {"n": True}}, "design.n: .*needs no true or false"),
        ({"background": {"every": 8, "max_age_s": True}}, "background.max_age_s: .*needs no true or false"),
        ({"verification": {"confidence": True}}, "verification.confidence: .*needs no true or false"),
    ],
    ids=lambda part: part if isinstance(part, str) else json.dumps(part),
)
def test_what_cannot_succeed_is_refused_before_the_first_request(change, fault):
    with pytest.raises(InvalidInput, match=fault):
        prepare(GOOD | change)


def test_what_may_be_true_or_false_is_taken():
    campaign, _ = prepare(GOOD | {"fitting": {"ahead": True}, "instrument": {"plugin": "twin", "session_gain": False}})
    assert campaign.ahead


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"fitting": {"ahead": True}}, "fitting.ahead: a plate is proposed from the plate before it"),
        ({"history": {"campaigns": ["earlier"]}}, "history: what an earlier campaign taught and how wells at the rim"),
    ],
)
def test_what_does_not_go_with_a_plate_is_refused(changes, fault):
    written = {"name": "plate", "instrument": "plate-reader", "targets": [{"readings": {"450nm": 0.5}}], "budget": 100}
    with pytest.raises(InvalidInput, match=fault):
        prepare(written | changes)
