"""Rows with gaps reach the models of a campaign that learn from them, and no others.

``SDL_GAPS=10`` measures what half of all cells are worth with so many seeds, and ``-s`` shows it;
``SDL_GAPS_ROWS=9`` with so few rows.
"""

import os
from dataclasses import replace

import numpy as np
import pytest

from flows.benchmarks.decisions.loop import PAPER
from sdl.analysis.lesson_learning import learn_lesson
from sdl.campaign.definition import Campaign
from sdl.campaign.sections import Plugin
from sdl.history import History, Observation, Purpose, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.screening import screen_reply
from strategies.evaluation.simulation import Simulation
from strategies.fitting.fitting import fit_models
from strategies.fitting.training_rows import fit_rows
from strategies.plan.plan import Plan

TWIN = Twin(seed=3, session_gain=False)
COLUMNS = TWIN.space.columns(["445nm", "515nm", "630nm"])


def measured(n, twin=TWIN, seed=0, dark=0):
    """Observations at ``n`` settings at random, after so many references."""
    found = []
    places = np.vstack((np.zeros((dark, 3)), np.random.default_rng(seed).random((n, 3))))
    for seq, settings in enumerate(places):
        reply = twin.measure(twin.space.named_settings(settings))
        screened = screen_reply(twin.space, settings, reply)
        found.append(
            Observation(
                round=0,
                index=seq,
                replicate=0,
                settings=settings,
                purpose=Purpose.REFERENCE if seq < dark else Purpose.DESIGN,
                verdict=screened.verdict,
                readings=screened.readings,
                censored=screened.censored,
                seq=seq,
            )
        )
    return found


def with_gaps(observations, rng):
    """Half of the cells of the three channels are gone, of every row at least one and not all."""
    found = []
    for each in observations:
        readings = each.readings.copy()
        readings[rng.choice(COLUMNS, rng.integers(1, 3), replace=False)] = np.nan
        found.append(replace(each, readings=readings))
    return found


def history(observations):
    return History(rounds=[], planned=[], observations=observations, exams=[], findings=[], sent=len(observations))


@pytest.fixture(scope="module")
def half():
    whole = [each for each in measured(60) if not each.censored[COLUMNS].any()]
    return history(whole[:8] + with_gaps(whole[8:40], np.random.default_rng(0)))


def fitted(name, seen):
    return fit_models([Plugin(plugin=name)], TWIN.space, COLUMNS, seen, 1)


def test_a_model_that_learns_from_gaps_gets_all_rows_and_predicts_the_better_for_it(half):
    few = history(half.observations[:8])
    fresh = np.random.default_rng(1).random((50, 3))
    true = TWIN.truth(fresh)[:, COLUMNS]
    errors = []
    for seen in (few, half):
        model = fitted("any-conditional", seen)
        assert len(model.settings) == 8
        assert len(model.taught[1]) == len(seen.observations)
        off = model.model.predict(fresh) + TWIN.truth(np.zeros((1, 3)))[:, COLUMNS] - true
        errors.append(np.abs(off).mean())
    assert errors[1] < 0.7 * errors[0]


def test_a_model_that_does_not_gets_the_complete_ones(half):
    model = fitted("linear", half)
    assert len(model.settings) == len(model.taught[1]) == 8


def test_where_no_row_is_whole_the_model_is_fitted_all_the_same(half):
    gone = history(half.observations[8:])
    assert fitted("linear", gone).model is None
    model = fitted("any-conditional", gone)
    assert model.model is not None
    assert len(model.settings) == 0
    assert np.isfinite(model.scatter).all()
    assert model.parity(["445nm", "515nm", "630nm"]) is None


def test_a_channel_at_its_ceiling_is_no_gap():
    seen = measured(20)
    for each in seen[:5]:
        each.readings[COLUMNS[0]], each.censored[COLUMNS[0]] = np.nan, True
    rows = fit_rows(TWIN.space, COLUMNS, history(seen), 1)
    assert len(rows.settings) == 15
    assert len(rows.partial.settings) == 0


def half_of(lesson, seed):
    """A lesson without half of its cells."""
    gone = np.random.default_rng(seed).random((len(lesson.readings), len(lesson.channels))) < 0.5
    kept = {
        part: tuple(
            tuple(None if lost else value for value, lost in zip(row, mask, strict=True))
            for row, mask in zip(getattr(lesson, part), gone.tolist(), strict=True)
        )
        for part in ("readings", "errors")
    }
    return lesson.model_copy(update=kept)


@pytest.mark.slow
def test_half_of_the_cells_of_an_earlier_campaign_cost_at_most_three_tenths_more_requests():
    requests = {"whole": [], "half": []}
    for seed in range(200, 200 + int(os.environ.get("SDL_GAPS", "2"))):
        night = Twin(seed=5000 + seed, daylight="dark")
        seen = measured(int(os.environ.get("SDL_GAPS_ROWS", "30")), night, seed, dark=1)
        whole = learn_lesson("night", night.identity, night.space, seen, same=True)
        for name, lesson in (("whole", whole), ("half", half_of(whole, seed))):
            day = Twin(seed=1000 + seed, daylight=1500.0, memory_h=1.0)
            written = PAPER | {"models": ["any-conditional"], "seed": seed, "history": {"lessons": [lesson]}}
            rehearsal = Simulation(Plan(Campaign.parse(written), day.space), day)
            rehearsal.run()
            assert rehearsal.findings[-1].verdict is Verdict.VERIFIED
            requests[name].append(len(rehearsal.observations))
    print(requests, {name: float(np.mean(counts)) for name, counts in requests.items()})
    assert np.mean(requests["half"]) <= 1.3 * np.mean(requests["whole"])
