"""Rival models: the wrong one falls by what was read, the right one stands, and learning asks where they part."""

from dataclasses import replace

import numpy as np
import pytest

from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput, TooFewRows
from sdl.history import History, RoundFacts, RoundKind
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Channel, Knob, Space
from strategies.contract import Remoteness
from strategies.evaluation.simulation import Simulation
from strategies.fitting.rivals import judge_rivals
from strategies.fitting.training_rows import fit_rows
from strategies.models.base.noise import residual_noise, span
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Stop

BUMP, WIDTH = np.array([10.0, -6.0]), 0.2


class Plain:
    """A plane, by least squares, with the posterior of its coefficients."""

    bump = 0.0

    def rows_needed(self, d, p):
        return d + 2

    def inputs(self, settings):
        return np.column_stack((np.ones(len(settings)), settings))

    def corner(self, settings):
        return self.bump * corner(settings)

    def fit(self, readings, settings):
        if len(settings) < self.rows_needed(settings.shape[1], 0):
            raise TooFewRows(self.rows_needed(settings.shape[1], 0), len(settings))
        inputs, left = self.inputs(settings), readings - self.corner(settings)
        self.inverse_ = np.linalg.pinv(inputs.T @ inputs)
        self.slopes_ = self.inverse_ @ inputs.T @ left
        self.span_ = span(readings)
        self.noise_ = residual_noise(left - inputs @ self.slopes_, self.span_, inputs.shape[1])
        return self

    def predict(self, settings):
        return self.inputs(settings) @ self.slopes_ + self.corner(settings)

    def simulate(self, settings, n, rng):
        inputs = self.inputs(settings)
        wider = np.sqrt(1 + np.einsum("mi,ij,mj->m", inputs, self.inverse_, inputs))
        return self.predict(settings) + wider[:, None] * self.noise_.draw((n, len(settings)), rng)

    def sample(self, target, n, rng):
        fixed, places = ~np.isnan(target), rng.random((8 * n, 2))
        off = np.abs((self.predict(places) - target)[:, fixed] / self.span_[fixed]).max(axis=1)
        return places[np.argsort(off)[:n]]

    def remoteness(self, target):
        return Remoteness(0.0, "")


class Cornered(Plain):
    """The same with a bump in one corner."""

    bump = 1.0


class Twin(Plain):
    """The same as the plane, by another name."""


def corner(settings):
    return np.exp(-((settings - 1) ** 2).sum(axis=1, keepdims=True) / (2 * WIDTH**2)) * BUMP


class Instrument:
    """Two knobs, two channels; a bump in the corner or none."""

    identity, patience = "cornered", Patience()
    space = Space(
        knobs=[Knob(name="x"), Knob(name="y")],
        channels=[Channel(name=name, unit="", integral=False, floor=None) for name in "ab"],
    )

    def __init__(self, seed, bump):
        self.rng, self.bump = np.random.default_rng([77, seed]), bump

    def measure(self, settings):
        x, y = settings["x"], settings["y"]
        truth = np.array([100 * x + 20 * y, 10 * x + 80 * y]) + self.bump * corner(np.array([[x, y]]))[0]
        return Reply(settings, dict(zip("ab", truth + self.rng.standard_normal(2), strict=True)), "")

    def close(self):
        pass


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Models of these names, beside those that there are."""
    ours, load, names = {"plain": Plain, "cornered": Cornered, "twin-of-plain": Twin}, plugins.load, plugins.names
    monkeypatch.setattr(plugins, "load", lambda group, name: ours.get(name) or load(group, name))
    monkeypatch.setattr(plugins, "names", lambda group: tuple(sorted({*names(group), *ours})))


def written(seed=0, acquisition="disagreement", rivals=("plain", "cornered"), **others):
    return Campaign.parse(
        {
            "name": "rivals",
            "seed": seed,
            "budget": 60,
            "instrument": "twin",
            "targets": [{"name": "middle", "readings": {"a": 50.0, "b": 30.0}, "tolerance": 0.5}],
            "models": ["linear"],
            "rivals": list(rivals),
            "acquisition": {"plugin": acquisition, "below": 1.0, "rounds": 60},
            **others,
        }
    )


def until_one_falls(seed, acquisition, bump):
    """How many readings it takes, and how the rivals stand then."""
    instrument = Instrument(seed, bump)
    plan = Plan(written(seed, acquisition), instrument.space)
    campaign, fitted = Simulation(plan, instrument), None
    while not isinstance(step := plan.next_step(campaign.history, fitted), Stop):
        if isinstance(step, Fit):
            fitted = plan.fit(step, campaign.history)
            if any(rival.facts.fell for rival in fitted.rivals.values()):
                break
        else:
            campaign._begin(step)
    return len(campaign.observations), {name: rival.facts for name, rival in fitted.rivals.items()}


@pytest.mark.parametrize(("bump", "wrong"), [(1.0, "plain"), (0.0, "cornered")])
def test_the_rival_that_is_wrong_falls_and_its_reading_is_named(bump, wrong):
    _, rivals = until_one_falls(1, "disagreement", bump)
    (fallen,) = [name for name, facts in rivals.items() if facts.fell]
    right = ({*rivals} - {fallen}).pop()
    assert fallen == wrong
    assert f"times less likely than {right!r} by reading" in rivals[wrong].fell
    assert all(each in rivals[wrong].fell for each in ("a = ", "b = ", " at x = ", ", y = "))


@pytest.mark.slow
def test_readings_where_rivals_part_fell_the_wrong_one_sooner_than_readings_all_over():
    tried = [(seed, bump) for seed in range(500, 510) for bump in (0.0, 1.0)]
    spent = {}
    for acquisition in ("disagreement", "space-filling"):
        found = [until_one_falls(seed, acquisition, bump) for seed, bump in tried]
        spent[acquisition] = np.median([readings for readings, _ in found])
        wrong = ["cornered" if bump == 0 else "plain" for _, bump in tried]
        assert [next(name for name, facts in rivals.items() if facts.fell) for _, rivals in found] == wrong
    assert spent["disagreement"] < 0.8 * spent["space-filling"]


def test_rivals_that_say_the_same_stand_and_the_campaign_goes_on_to_its_exam():
    instrument = Instrument(3, 0.0)
    campaign = Simulation(Plan(written(rivals=("plain", "twin-of-plain")), instrument.space), instrument)
    campaign.run()
    assert any(round_.kind is RoundKind.EXAM for round_ in campaign.rounds)
    assert not any(rival.fell for round_ in campaign.rounds for rival in (round_.facts.rivals or {}).values())


def seen(seed=3, bump=0.0):
    """A campaign on a plane up to its last learning round."""
    instrument = Instrument(seed, bump)
    campaign = Simulation(Plan(written(acquisition="space-filling"), instrument.space), instrument)
    campaign.run()
    return campaign.history


def test_what_a_round_records_is_what_the_next_one_goes_on_from():
    history = seen()
    plan, number = Plan(written(acquisition="space-filling"), Instrument.space), history.rounds[-1].number
    rounds = [replace(each, facts=RoundFacts.from_json(each.facts.to_json())) for each in history.rounds]
    known = [
        {name: rival.facts.to_json() for name, rival in plan.fit(Fit(number, number), each).rivals.items()}
        for each in (history, replace(history, rounds=rounds))
    ]
    assert known[0] == known[1]
    assert sum(rival["foretold"] for rival in known[0].values()) > 0


def test_a_single_outlier_fells_no_rival():
    observations = [each for each in seen().observations if each.purpose.teaches][:8]
    observations[-1] = replace(observations[-1], readings=observations[-1].readings + 1e4)
    rows = fit_rows(Instrument.space, [0, 1], History(observations=observations), 10**6)
    makers = {"plain": Plain, "cornered": Cornered}
    rivals = judge_rivals(makers, rows, Instrument.space, [0, 1], History(), 10**6, lambda _: None)
    assert [rival.facts.fell for rival in rivals.values()] == [None, None]
    assert all(rival.facts.outside for rival in rivals.values())


def test_one_rival_alone_and_one_that_is_not_there_are_refused():
    with pytest.raises(InvalidInput, match="rivals are two models or more, got 'plain' alone"):
        written(rivals=["plain"])
    with pytest.raises(InvalidInput, match="rivals that are the same never part: plain is there twice"):
        written(rivals=["plain", "cornered", "plain"])
