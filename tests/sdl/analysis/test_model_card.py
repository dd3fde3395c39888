"""A card says of a model what is on record, and nothing else."""

import json
import math

import numpy as np
import pytest

from sdl.analysis.model_card import model_cards
from sdl.history import (
    Control,
    Entry,
    Exam,
    Finding,
    FindingFacts,
    ForetoldFacts,
    History,
    LessonFacts,
    Observation,
    Purpose,
    ReplyClass,
    Round,
    RoundFacts,
    RoundKind,
    State,
    Verdict,
)
from sdl.space import Space

SPACE = Space.unit("x", "z", channels=("a", "b"))
CONFIG = {"seed": 7, "models": [{"plugin": "linear"}, {"plugin": "mixture", "components": 3}]}
ENTRY = Entry(
    1, "c", "C", "lamp", SPACE, CONFIG, {"sdl": "0.1.0"}, State.FINISHED, "", Control.RUN, created=0.0, updated=1.0
)


def read(seq, round_, settings, readings, purpose=Purpose.LEARNING):
    values = np.array(readings, float)
    return Observation(
        round_, seq, 0, purpose, np.array(settings), seq, ReplyClass.OK, values, np.zeros(len(values), bool)
    )


def asked(number, model, chance, **facts):
    known = {"model": model, "rows": 10 * number, "chance": chance, "uncertainty": {"b": 1.0}, **facts}
    return Round(number, RoundKind.EXAM, "t", RoundFacts(**known))


def examined(number, model, verdict, **facts):
    exam = Exam(number, "t", np.zeros(2), model, 3, np.zeros(2), np.zeros(2))
    return exam, Finding(number, "t", verdict, "said so", np.zeros(2), FindingFacts(**facts))


@pytest.fixture(scope="module")
def cards():
    scores = {"linear": {"readings": 0.5, "settings": 0.1}, "mixture": {"readings": 0.25, "settings": math.nan}}
    held = {"a": ForetoldFacts(low=0.0, high=1.0, level=0.9, mean=0.5)}
    broken = {"a": ForetoldFacts(low=0.0, high=1.0, level=0.9, mean=2.0)}
    first, refuted = examined(1, "linear", Verdict.REFUTED)
    second, passed = examined(2, "mixture", Verdict.VERIFIED, free=held)
    third, open_ = examined(3, "mixture", Verdict.INCONCLUSIVE, free=broken)
    given_up = Finding(3, "other", Verdict.NOT_REACHABLE, "no")
    compared = {"held_out": 12, "asked": 12, "missed": (2.5,), "scores": scores}
    return model_cards(
        ENTRY,
        History(
            rounds=[
                Round(0, RoundKind.DESIGN),
                asked(1, "linear", 0.5),
                asked(2, "mixture", 0.75, **compared, chosen="clearly better"),
                asked(3, "mixture", 0.25, history=LessonFacts(campaign="old"), skipped={"forest": "too few rows"}),
            ],
            observations=[
                read(0, 0, [0.25, 0.5], [9.0, np.nan], Purpose.REFERENCE),
                read(1, 0, [0.25, 0.5], [1.0, 10.0]),
                read(2, 2, [0.75, 0.5], [3.0, 30.0], Purpose.VERIFICATION),
                read(3, 3, [1.0, 1.0], [8.0, 80.0]),
            ],
            exams=[first, second, third],
            findings=[refuted, passed, open_, given_up],
        ),
    )


def test_each_model_that_was_asked_has_a_card_with_its_options_seed_and_version(cards):
    assert [(card.model, card.options, card.rounds) for card in cards] == [
        ("linear", {}, (1,)),
        ("mixture", {"components": 3}, (2, 3)),
    ]
    assert {(card.seed, card.versions["sdl"]) for card in cards} == {(7, "0.1.0")}


def test_its_data_are_the_readings_that_taught_before_its_last_round(cards):
    linear, mixture = (card.data for card in cards)
    assert (linear.rows, linear.earlier, linear.settings["x"]) == (10, None, (0.25, 0.25))
    assert (mixture.rows, mixture.earlier) == (30, "old")
    assert mixture.settings == {"x": (0.25, 0.75), "z": (0.5, 0.5)}
    assert mixture.readings == {"b": (10.0, 30.0)}, "channels of the targets, and no reference"
    assert cards[1].domain == {"x": (0.0, 1.0), "z": (0.0, 1.0)}


def test_its_calibration_is_what_was_measured_of_its_own_candidates(cards):
    linear, mixture = (card.calibration for card in cards)
    assert (linear.exams, linear.stated_chance, linear.passed) == ({"REFUTED": 1}, 0.5, 0.0)
    assert (linear.held_out, linear.missed, linear.intervals_held) == (None, {}, None)
    assert mixture.exams == {"VERIFIED": 1, "INCONCLUSIVE": 1}
    assert (mixture.stated_chance, mixture.passed) == (0.5, 0.5)
    assert (mixture.held_out, mixture.missed) == (12, {"b": 2.5})
    assert (mixture.intervals, mixture.intervals_level, mixture.intervals_held) == (2, 0.9, 0.5)


def test_what_is_not_known_is_no_number_in_json_and_said_in_words(cards):
    plain = json.loads(json.dumps([card.plain() for card in cards], allow_nan=False))
    assert plain[1]["calibration"]["energy_scores"] == {"readings": 0.25}
    words = cards[1].words()
    assert words["calibration"] == (
        "misses settings that it has not seen, 12 of them, by b 2.5 (rms); energy score 0.25 of readings; "
        "candidates 1 VERIFIED, 1 INCONCLUSIVE: 50 % passed, of 50 % as stated; 2 intervals at 90 % for channels left "
        "free: 50 % held"
    )
    assert words["limits"] == "forest could not be used: too few rows"
    assert words["data"].startswith("30 readings and those of campaign old: x 0.25 to 0.75, z 0.5 to 0.5; b 10 to 30")
    assert cards[0].words()["limits"] == "none on record"


def test_a_campaign_without_a_model_has_no_card():
    assert model_cards(ENTRY, History(rounds=[Round(0, RoundKind.DESIGN)])) == []
