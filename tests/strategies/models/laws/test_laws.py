"""A physical law of a user's own as an inverse model: parameters, what rows do not tell, and the contract."""

import numpy as np
import pytest
from problems import rates

from sdl.errors import InvalidInput
from sdl.space import Channel, Knob, NamedColumns, Space
from strategies import Law, Parameter
from strategies.models.conformance import CHECKS, SLOPES, D, P, poor_rows_are_no_exception
from strategies.models.laws.beer_lambert import BeerLambert
from strategies.models.laws.michaelis_menten import MichaelisMenten

CHANNELS = tuple(f"c{channel}" for channel in range(P))
COLUMNS = NamedColumns.of(Space.unit("x0", "x1", "x2", channels=CHANNELS), CHANNELS, subtracted=False)


class Bench(Law):
    """The instrument of the contract's checks: knobs add their known shares; gain and bend are hidden."""

    parameters = (Parameter("gain", 0.1, 10, scale="log"), Parameter("bend", -20, 20))

    def readings(self, settings, parameters):
        def share(k, c):
            x = settings[f"x{k}"]
            return SLOPES[k, c] * x + parameters["bend"] * (SLOPES[k, c] > 0) * np.sin(np.pi * x)

        return {name: parameters["gain"] * sum(share(k, c) for k in range(D)) for c, name in enumerate(CHANNELS)}


def columns(high, *, low=0.0, subtracted=False):
    space = Space(
        knobs=(Knob(name="substrate", low=low, high=high, off=low),),
        channels=(Channel(name="rate", floor=None, integral=False),),
    )
    return NamedColumns.of(space, ["rate"], subtracted=subtracted)


def agrees(parameter, truth):
    """Whether a truth lies within three half widths of the middle of a 90 % interval."""
    width = parameter.high - parameter.low
    return parameter.low - width < truth < parameter.high + width


@pytest.mark.slow
@pytest.mark.parametrize(
    "check", [each for each in CHECKS if each is not poor_rows_are_no_exception], ids=lambda check: check.__name__
)
def test_a_law_keeps_the_contract(check):
    """But for rows that no such law could give: there it says so, and is not bent until it meets them."""
    check(lambda: Bench().in_units(COLUMNS))


def test_rows_tell_the_parameters_in_their_units():
    told = MichaelisMenten().in_units(columns(20.0)).fit(*rates(20.0)).law_facts
    assert told.misfit is None
    for name, truth in (("Vmax", 6.0), ("Km", 3.0)):
        assert agrees(told.parameters[name], truth)
        assert told.parameters[name].high < 1.3 * told.parameters[name].low
    assert told.correlations["Vmax, Km"] > 0.8
    assert told.combinations == ()


def test_far_below_km_only_the_ratio_is_told():
    told = MichaelisMenten().in_units(columns(0.05)).fit(*rates(0.05)).law_facts
    assert {each.told for each in told.parameters.values()} == {"at least"}
    (together,) = told.combinations
    assert together.startswith("Vmax Km^-1 = ")
    assert float(together.split()[3]) == pytest.approx(2.0, rel=0.02)
    assert told.words["not determined"] == "Vmax, Km"


def test_stray_light_that_no_reading_reaches_has_an_upper_bound_alone():
    space = Space(knobs=(Knob(name="concentration", high=2.0),), channels=(Channel(name="absorbance", floor=None),))
    readings, unit = rates(2.0, respond=lambda c: 0.4 * c)
    law = BeerLambert().in_units(NamedColumns.of(space, ["absorbance"], subtracted=False)).fit(readings, unit)
    assert law.law_facts.parameters["stray"].told == "at most"
    assert law.law_facts.parameters["absorptivity"].told is None


def test_what_is_known_beforehand_counts():
    class Known(MichaelisMenten):
        parameters = (
            Parameter("Vmax", 1e-3, 1e4, scale="log"),
            Parameter("Km", 1e-3, 1e4, "mM", scale="log", expected=3.0, deviation=0.15),
        )

    told = Known().in_units(columns(0.05)).fit(*rates(0.05)).law_facts.parameters
    assert 2.6 < told["Km"].low < 3.0 < told["Km"].high < 3.4
    assert agrees(told["Vmax"], 6.0)
    assert str(told["Km"]).startswith("not determined by the rows")
    assert str(told["Km"]).endswith(" mM)")


def test_a_wrong_law_is_called_so():
    readings, unit = rates(20.0, respond=lambda s: 6 * s / (3 + s + s**2 / 3))
    assert "rate" in MichaelisMenten().in_units(columns(20.0)).fit(readings, unit).law_facts.misfit


def test_a_background_that_was_subtracted_is_allowed_for():
    """Readings less that at substrate 1: the law has a rate there too, and all rows share the error of one reading."""
    readings, unit = rates(20.0, low=1.0)
    fits = [
        MichaelisMenten().in_units(columns(20.0, low=1.0, subtracted=True)).fit(readings - background, unit)
        for background in (1.5, 1.55)  # 6 / (3 + 1), and what one reading may say of it
    ]
    for fit in fits:
        told = fit.law_facts.parameters
        assert agrees(told["Vmax"], 6.0)
        assert agrees(told["Km"], 3.0)
    off = fits[1].predict(unit) - fits[0].predict(unit)
    np.testing.assert_allclose(off, -0.05, atol=0.025)


@pytest.mark.parametrize(
    ("give", "says"),
    [
        (lambda: Parameter("k", 2, 1), "low < high"),
        (lambda: Parameter("k", 0, 1, scale="log"), "above 0"),
        (lambda: Parameter("k", 0, 1, expected=0.5), "both expected and deviation"),
        (lambda: Parameter("k", 0, 1, expected=2, deviation=1), "expected within"),
        (lambda: BeerLambert().in_units(columns(1.0)), "asks for 'concentration'"),
        (lambda: MichaelisMenten(rate="speed").in_units(columns(1.0)), "needed are rate"),
        (lambda: MichaelisMenten().fit(*rates(1.0)), "call in_units first"),
    ],
    ids=["bounds", "logarithm", "half a prior", "prior outside", "knob", "channel", "units"],
)
def test_what_cannot_be_is_refused(give, says):
    with pytest.raises(InvalidInput, match=says):
        give()


@pytest.mark.slow
def test_regions_hold_and_poor_designs_are_told():
    """A few tables of the benchmark; ``sdl benchmark laws`` has the figures."""
    from flows.benchmarks.laws import CASES, judge_tables

    for case in CASES.values():
        tables = [judge_tables(case, seed) for seed in range(16)]
        mean = {name: np.mean([each[name] for each in tables]) for name in tables[0]}
        assert mean["region"] > 0.65
        assert mean["told"] > 0.8
        assert mean["wrong"] < 0.1
