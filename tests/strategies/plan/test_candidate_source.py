"""Campaigns whose model is no guide: a response that bends, of which a line and a few components know nothing."""

from dataclasses import replace

import numpy as np
import pytest

from sdl.campaign.definition import Campaign
from sdl.history import RoundKind, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Patience, Reply
from sdl.instruments.simulated.robotic_arm import RoboticArm
from sdl.instruments.simulated.sinewave import Sinewave
from sdl.space import Channel, Knob, Space
from strategies.answers.corrected_reachability import patience, stuck
from strategies.answers.probable_settings import probable_settings
from strategies.correction.constant_model import ConstantModel
from strategies.correction.kriging import Kriging, kriged
from strategies.correction.length_scales import length_scales
from strategies.correction.rows import TrainingRows, unshared
from strategies.evaluation.scenarios import SCENARIOS
from strategies.evaluation.simulation import Simulation
from strategies.fitting.fitting import fit_models
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit

NOBODY = np.empty((0, 2))


def rehearsed(name, seed, budget=60, **changes):
    problem = SCENARIOS[name]
    written = problem.campaign(seed, budget)
    instrument = problem.build(1000 + seed)
    done = Simulation(Plan(written.model_copy(update=changes), instrument.space), instrument)
    done.run()
    return done


@pytest.mark.parametrize(("name", "seed"), [("sinewave", 0), ("sinewave", 3), ("robotic-arm", 6), ("robotic-arm", 7)])
def test_a_bent_response_is_solved_all_the_same(name, seed):
    done = rehearsed(name, seed)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    assert len(done.observations) < 40


def test_no_candidate_is_examined_that_is_expected_to_miss():
    done = rehearsed("robotic-arm", 7)
    assert [each.kind for each in done.rounds].count(RoundKind.LEARNING) >= 3, "also in a row"
    for each in done.rounds:
        if each.kind is RoundKind.EXAM:
            assert each.facts.chance >= 0.1


@pytest.mark.fault("M-04")
def test_a_few_rows_of_a_bent_response_do_not_tell_what_is_out_of_reach():
    for seed in range(3):
        assert Verdict.NOT_REACHABLE not in {
            each.verdict for each in rehearsed("robotic-arm", seed, budget=13).findings
        }


class Peak:
    """Two knobs, and a response that is next to nothing but for a hill on a fiftieth of the box."""

    identity, patience = "peak", Patience()
    space = Space(knobs=(Knob(name="x"), Knob(name="y")), channels=(Channel(name="z", floor=None, integral=False),))

    def measure(self, settings):
        off = np.hypot(settings["x"] - 0.8, settings["y"] - 0.3) / 0.06
        return Reply(settings, {"z": float(np.exp(-off * off) + 0.001 * settings["x"])}, "")

    def close(self):
        pass


def searched(instrument, readings, tolerance, seed=1):
    written = {"name": "x", "instrument": "twin", "seed": seed, "budget": 150, "background": {"every": 0}}
    campaign = Campaign.parse(written | {"targets": [{"readings": readings, "tolerance": tolerance}]})
    done = Simulation(Plan(campaign, instrument.space), instrument)
    done.run()
    return done


@pytest.mark.fault("M-04")
@pytest.mark.parametrize("seed", range(3))
def test_a_hill_that_no_reading_was_near_is_not_said_to_be_out_of_reach_too_soon(seed):
    done = searched(Peak(), {"z": 0.8}, 0.1, seed)
    gave_up = [each for each in done.findings if each.verdict is Verdict.NOT_REACHABLE]
    assert not gave_up or len(done.observations) > patience(2)


@pytest.mark.fault("M-04")
@pytest.mark.parametrize(
    ("instrument", "readings", "tolerance", "nearest"),
    [(Sinewave(), {"y": 2.6}, 0.05, 2.0), (RoboticArm(), {"reach": 2.3, "height": 0.4}, 0.02, 2.0)],
    ids=["sinewave", "robotic-arm"],
)
def test_what_a_bent_response_never_gives_is_told_with_what_comes_near(instrument, readings, tolerance, nearest):
    done = searched(instrument, readings, tolerance)
    finding = done.findings[-1]
    assert finding.verdict is Verdict.NOT_REACHABLE
    assert f"the last {patience(instrument.space.d)} readings came no nearer" in finding.sentence
    assert finding.facts.readings[0] == pytest.approx(nearest, abs=0.15)
    assert not done.exams


def test_a_search_is_stuck_when_nothing_came_nearer_for_long():
    wanted, tolerance, none = np.array([1.0]), np.array([0.1]), np.zeros(1)

    def known(readings):
        settings = np.linspace(0, 1, len(readings))[:, None]
        return TrainingRows(settings, np.array(readings)[:, None], np.array([0.01]), none, unshared)

    long = patience(1)
    assert not stuck(wanted, tolerance, none, known([0.0] * long)), "nothing to compare with"
    assert stuck(wanted, tolerance, none, known([0.3, *[0.0] * long]))
    assert stuck(wanted, tolerance, none, known([0.3, *[0.31] * long])), "nearer by no more than noise"
    assert not stuck(wanted, tolerance, none, known([0.3, *[0.0] * (long - 1), 0.4]))


def insight(instrument, written, n):
    """What is known after ``n`` requests of a campaign."""
    plan = Plan(Campaign.parse(written), instrument.space)
    done = Simulation(Plan(Campaign.parse({**written, "budget": n}), instrument.space), instrument)
    done.run()
    fits = [step for step in [plan.next_step(done.history, None)] if isinstance(step, Fit)]
    assert fits
    fitted = fit_models(plan.campaign.models, plan.space, plan.columns, done.history, fits[0].round)
    return plan.insight(done.history, fitted)


def test_a_line_is_a_guide_to_a_lamp_and_none_to_an_arm():
    lamp = {"name": "lamp", "instrument": "twin", "targets": [{"readings": {"445nm": 16384}}], "design": "one-by-one"}
    arm = SCENARIOS["robotic-arm"].campaign(0, 60).model_dump()
    assert not insight(Twin(seed=1), lamp, 4).astray
    assert insight(RoboticArm(noise=0.01), arm, 5).astray


# ---------------------------------------------------------------------- where to look then


def rows(response, n=60, noise=0.01):
    rng = np.random.default_rng(0)
    settings = rng.random((n, 2))
    readings = response(settings) + noise * rng.standard_normal((n, 1))
    return TrainingRows(settings, readings, np.array([noise]), np.zeros(1), unshared)


def waves(settings):
    """Many in the first knob, hardly anything in the second."""
    return np.sin(12 * settings[:, :1]) + 0.2 * settings[:, 1:]


def test_a_knob_that_does_little_is_stretched_and_kriging_gains_by_that():
    known, fresh = rows(waves, 40), np.random.default_rng(1).random((200, 2))
    (stretch,) = length_scales(known)
    assert stretch[1] > 2 * stretch[0]
    assert stretch.prod() == pytest.approx(1)
    level = known.readings.mean(axis=0)
    off = []
    for each in (
        known,
        TrainingRows(known.settings, known.readings, known.noise, known.drift, unshared, stretch=stretch[None]),
    ):
        mean, deviation = kriged(each, known.readings - level, fresh)
        off.append(float(np.sqrt(np.mean((mean + level - waves(fresh)) ** 2))))
        assert np.mean(np.abs(mean + level - waves(fresh)) < 3 * deviation) > 0.95
    assert off[1] < 0.7 * off[0]


def test_slopes_of_stretched_kriging_are_those_of_what_it_expects():
    known = rows(waves, 40)
    krige = Kriging.of(replace(known, stretch=length_scales(known)), known.readings)
    at, step = np.full((1, 2), 0.4), 1e-5
    mean, slopes = krige.tangent(at)
    np.testing.assert_allclose(mean, krige.at(at)[0], atol=1e-9)
    ahead = np.stack([krige.at(at + step * np.eye(2)[k])[0][0] for k in range(2)], axis=1)
    np.testing.assert_allclose(slopes[0], (ahead - mean.T) / step, rtol=1e-3, atol=1e-3)


def test_what_is_measured_is_where_the_target_is_expected_and_not_where_it_was_found():
    known, target = rows(waves), np.array([0.6])
    starts = np.random.default_rng(2).random((300, 2))
    level = ConstantModel(known.readings.mean(axis=0))
    found = probable_settings(level, target, np.array([0.02]), known, starts, NOBODY, 6)
    assert len(found) == 6
    assert np.abs(waves(found) - target).max() < 0.1
    apart = np.linalg.norm(found[:, None] - found[None], axis=2) + np.eye(6)
    assert apart.min() >= 0.1
    others = probable_settings(level, target, np.array([0.02]), known, starts, found[:1], 6)
    assert np.linalg.norm(others - found[0], axis=1).min() >= 0.15
