"""Campaigns on instruments that are nothing like the lamp: other units, noise that is not white, nothing declared."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from rehearsing import campaign

from sdl.campaign.definition import Target
from sdl.history import Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Reply
from sdl.space import Channel, Knob, Space, Window
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan
from strategies.posterior import Pursuit, Rows, Statement, learn_all
from strategies.posterior.reach import noise_correlation


@dataclass
class Formula:
    """An instrument of a formula: settings in the unit box, ``(d,)``, and a generator in, readings out, ``(p,)``."""

    formula: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    d: int = 2
    p: int = 1
    noise: tuple[float | None, ...] = (None,)
    identity: str = "formula"
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(6))

    def __post_init__(self):
        channels = [
            Channel(name=f"c{c}", floor=None, integral=False, noise=self.noise[c % len(self.noise)])
            for c in range(self.p)
        ]
        self.space = Space(knobs=[Knob(name=f"k{k}") for k in range(self.d)], channels=channels)

    def measure(self, settings):
        readings = self.formula(np.array([settings[name] for name in self.space.knob_names]), self.rng)
        named = dict(zip(self.space.channel_names, readings.tolist(), strict=True))
        return Reply(applied=dict(settings), readings=named, raw=json.dumps(named))

    def close(self):
        pass


def run_on(instrument, readings, tolerance, **changes):
    done = Simulation(Plan(campaign(targets=[target(readings, tolerance)], **changes), instrument.space), instrument)
    done.run()
    return done


def target(readings, tolerance):
    return {"name": "target", "readings": readings, "tolerance": tolerance}


@pytest.mark.parametrize("unit", [1e-15, 1e15])
def test_the_same_campaign_in_other_units_sends_the_same_requests(unit):
    def settings_sent(unit):
        slopes = np.array([[1.0, 0.3], [0.2, 1.5]])
        instrument = Formula(
            lambda x, rng: unit * (np.array([1.0, 2.0]) + x @ slopes + 0.02 * rng.standard_normal(2)),
            p=2,
            noise=(0.02 * unit, None),
        )
        done = run_on(instrument, {"c0": 1.7 * unit, "c1": 3.0 * unit}, 0.04 * unit, budget=60)
        assert done.findings[-1].verdict is Verdict.VERIFIED
        return np.array([observation.settings for observation in done.observations])

    assert settings_sent(unit) == pytest.approx(settings_sent(1.0), abs=1e-6)


@pytest.mark.parametrize(("passed_on", "low", "high"), [(0.6, 0.35, 0.9), (0.0, 0.0, 0.3)])
def test_how_much_of_its_noise_a_reading_passes_on_is_learned(passed_on, low, high):
    rng, last, rows = np.random.default_rng(8), 0.0, Rows.empty(2, 1)
    statement, pursuit = Statement.unstated(2, 1), Pursuit(0, Window.about(np.array([1.5]), np.array([0.05])))
    for place in np.tile([[0.1, 0.2], [0.9, 0.3], [0.3, 0.9], [0.7, 0.7]], (12, 1)):
        last = passed_on * last + np.sqrt(1 - passed_on**2) * rng.standard_normal()
        rows = rows.with_row(place, np.array([place @ np.array([1.0, 2.0]) + 0.1 * last]), statement)
    assert low <= float(noise_correlation(learn_all(rows, statement), pursuit)[0]) <= high


def test_a_channel_between_a_floor_of_noise_and_a_bend_is_verified_with_nothing_declared():
    def formula(x, rng):
        signal = 40 * (1 - np.exp(-3 * x[0])) * (0.4 + x[1] ** 2)
        return np.array([5 + signal + 0.3 * rng.standard_normal(), 2 * x[1] + 0.02 * rng.standard_normal()])

    done = run_on(Formula(formula, p=2), {"c0": 30.0, "c1": 1.4}, {"c0": 1.0, "c1": 0.06}, budget=60)
    assert done.findings[-1].verdict is Verdict.VERIFIED
    assert len(done.observations) <= 30
    assert np.isfinite(done.findings[-1].facts.noise).all()


@pytest.mark.parametrize(
    ("wish", "verdict"),
    [
        (">= 3.5", Verdict.VERIFIED),
        ("<= 1.5", Verdict.VERIFIED),
        ("2.0 .. 2.3", Verdict.VERIFIED),
        (">= 5", Verdict.NOT_REACHABLE),
        ("<= 0", Verdict.NOT_REACHABLE),
    ],
)
def test_each_kind_of_target_has_its_verdict(wish, verdict):
    """A plane that reads from 1 to 4."""
    instrument = Formula(lambda x, rng: 1 + x @ np.array([[1.0], [2.0]]) + 0.05 * rng.standard_normal(1))
    done = run_on(instrument, {"c0": wish}, "1 %", budget=40)
    assert done.findings[-1].verdict is verdict
    if verdict is Verdict.VERIFIED:
        assert Target(readings={"c0": wish}).interval("c0").holds(1 + done.findings[-1].settings @ np.array([1.0, 2.0]))
    else:
        assert done.findings[-1].facts.excess[0] > 0
        assert "the nearest that can be reached is c0" in done.findings[-1].sentence


def test_of_a_side_several_answers_are_found_far_from_each_other():
    instrument = Formula(lambda x, rng: 1 + x @ np.array([[1.0], [2.0]]) + 0.05 * rng.standard_normal(1))
    written = {**target({"c0": ">= 2"}, "1 %"), "answers": 2}
    done = Simulation(Plan(campaign(targets=[written], budget=60), instrument.space), instrument)
    done.run()
    one, other = (each.settings for each in done.findings if each.verdict is Verdict.VERIFIED)
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize(("bend", "verdict"), [(1.0, Verdict.VERIFIED), (1.2, Verdict.NOT_REACHABLE)])
def test_a_whole_spectrum_has_one_verdict_which_says_what_part_of_it_misses(bend, verdict):
    """All ten channels of the lamp, of which three knobs give the shape or, with a dent in it, do not."""
    lamp = Twin(seed=2)
    spectrum = lamp.space.named_readings(lamp.truth(np.array([[0.3, 0.4, 0.6]]))[0].round())
    done = run_on(lamp, {**spectrum, "555nm": bend * spectrum["555nm"]}, "3 %", budget=40)
    found = done.findings[-1]
    assert found.verdict is verdict
    assert len(found.facts.channels) == 10
    if verdict is Verdict.VERIFIED:
        assert "within the tolerance: all 10 channels, farthest " in found.sentence
    else:
        assert " of 10 channels, farthest 555nm " in found.sentence
        assert int(np.argmax(found.facts.excess)) == list(found.facts.channels).index("555nm")
