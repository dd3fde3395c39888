"""An instrument put together from parts: its truth is the mean of its readings, and its parts do what they say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kurtosis

from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument
from sdl.instruments.simulated.backgrounds import Daylight, Steady, SwitchedLamp
from sdl.instruments.simulated.composed import Composed, NoiseSize
from sdl.instruments.simulated.reading_errors import Correlated, HeavyTailed, Normal, Outliers
from sdl.instruments.simulated.responses import (
    Emulated,
    Plane,
    Products,
    Saturating,
    SilentSteps,
    Sum,
    Threshold,
    Waves,
)
from sdl.space import Channel, Knob, Space

SLOPES = np.array([[10.0, 2.0], [1.0, 20.0]])
KNOBS = (Knob(name="a", low=0, high=2, off=0), Knob(name="b", low=-1, high=1))
MIDDLE = {"a": 1.0, "b": 0.0}


def composed(floor=None, ceiling=None, **parts):
    channels = tuple(Channel(name=name, floor=floor, ceiling=ceiling, integral=False, noise=0.5) for name in "yz")
    made = {
        "response": Plane(SLOPES),
        "noise": NoiseSize(np.array([0.5, 0.1]), np.zeros(2)),
        "background": Steady(np.array([3.0, 4.0])),
        "rng": np.random.default_rng(1),
    }
    return Composed("test", Space(knobs=KNOBS, channels=channels), **{**made, **parts})


def read(instrument, settings=MIDDLE, n=1):
    return np.array([list(instrument.measure(settings).readings.values()) for _ in range(n)])


@pytest.mark.parametrize(
    "errors", [Normal(), HeavyTailed(), Correlated(0.7), Outliers()], ids=lambda e: type(e).__name__
)
def test_truth_is_the_mean_of_many_readings(errors):
    instrument = composed(errors=errors)
    readings = read(instrument, n=4000)
    (truth,) = instrument.truth(np.array([[1.0, 0.0]]))
    assert truth.tolist() == [3 + 5 + 0.5, 4 + 1 + 10]
    assert np.abs(readings.mean(axis=0) - truth).max() < 0.05


def test_it_is_an_instrument_and_refuses_what_its_space_does_not_have():
    assert isinstance(composed(), Instrument)
    with pytest.raises(InvalidInput, match="unknown knob 'c'"):
        composed().measure(MIDDLE | {"c": 1})


def test_noise_is_that_of_its_size_where_it_is_lit_and_none_in_the_dark():
    lit, dark = read(composed(), n=4000), read(composed(), {"a": 0.0, "b": -1.0}, n=50)
    assert lit.std(axis=0) == pytest.approx([0.5, 0.1], rel=0.05)
    assert dark.std() == pytest.approx(0.5)  # the two channels differ, and nothing else does
    assert np.ptp(dark, axis=0).tolist() == [0, 0]


def test_noise_that_grows_is_added_to_the_rest_in_quadrature():
    noise = NoiseSize(np.array([3.0]), np.array([0.5]), 0.4)
    sizes = noise.at(np.array([[10.0], [0.0], [0.0]]), np.array([False, False, True]))
    assert sizes[:, 0].tolist() == [5.0, 3.0, 0.5]


def test_a_sensor_rounds_to_its_step_and_cuts_at_floor_and_ceiling():
    instrument = composed(floor=4.0, ceiling=12.0, sensor_step=np.array([0.25, 0.25]))
    readings = read(instrument, n=100)
    assert (readings % 0.25 == 0).all()
    assert readings[:, 1].tolist() == [12.0] * 100
    assert read(instrument, {"a": 0.0, "b": -1.0}).tolist() == [[4.0, 4.0]]


def test_gain_drifts_by_its_share_with_each_request_and_truth_with_it():
    quiet = composed(noise=NoiseSize(np.zeros(2), np.zeros(2)), gain_drift=-0.002)
    readings = read(quiet, n=101)
    lit = readings - [3.0, 4.0]
    assert lit[100] == pytest.approx(0.8 * lit[0])
    assert quiet.truth(np.array([[1.0, 0.0]]))[0] == pytest.approx(readings[100])


def test_steps_that_the_instrument_states_are_applied_and_told():
    space = composed().space
    stepped = replace(
        composed(),
        space=space.model_copy(update={"knobs": (KNOBS[0].model_copy(update={"resolution": 0.5}), KNOBS[1])}),
    )
    assert stepped.measure({"a": 0.7, "b": 0.0}).applied["a"] == 0.5
    assert stepped.truth(np.array([[0.7, 0.0]])).tolist() == stepped.truth(np.array([[0.5, 0.0]])).tolist()


def test_silent_steps_are_applied_and_not_told():
    silent = composed(response=SilentSteps(Plane(SLOPES), 4))
    assert silent.measure({"a": 0.7, "b": 0.0}).applied["a"] == 0.7
    assert silent.truth(np.array([[0.7, 0.0]])).tolist() == silent.truth(np.array([[0.5, 0.0]])).tolist()


# ---------------------------------------------------------------------- errors and backgrounds


def draws(errors, n=20_000, p=2):
    rng = np.random.default_rng(3)
    return np.array([errors.draw(p, rng) for _ in range(n)])


@pytest.mark.parametrize("errors", [Normal(), HeavyTailed(4.5), Correlated(0.8)], ids=lambda e: type(e).__name__)
def test_errors_have_mean_0_and_standard_deviation_1(errors):
    assert np.abs(draws(errors).mean(axis=0)).max() < 0.05
    assert draws(errors).std(axis=0) == pytest.approx([1, 1], abs=0.05)


def test_student_has_heavier_tails_than_a_normal_distribution():
    assert kurtosis(draws(HeavyTailed(3.0)))[0] > 5


@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_correlated_errors_keep_their_share_from_one_request_to_the_next(correlation):
    errors = draws(Correlated(correlation))[:, 0]
    assert np.corrcoef(errors[1:], errors[:-1])[0, 1] == pytest.approx(correlation, abs=0.03)


def test_of_the_readings_3_percent_are_far_off_in_all_channels_at_once():
    far = np.abs(draws(Outliers())) > 5
    assert far.mean() == pytest.approx(0.03, abs=0.005)
    assert (far[:, 0] == far[:, 1]).mean() > 0.99


def test_daylight_begins_at_its_median_and_forgets_itself_within_its_memory():
    light, rng, logarithms = Daylight(np.array([5.0]), 0.6, 20.0), np.random.default_rng(0), []
    assert light.level.tolist() == [5.0]
    for _ in range(40_000):
        light.advance(rng)
        logarithms.append(np.log(light.level[0]))
    assert np.median(logarithms) == pytest.approx(np.log(5), abs=0.1)
    assert np.std(logarithms) == pytest.approx(0.6, rel=0.1)
    assert np.corrcoef(logarithms[20:], logarithms[:-20])[0, 1] == pytest.approx(np.exp(-1), abs=0.08)


def test_a_lamp_is_switched_after_every_so_many_requests():
    lamp, levels = SwitchedLamp(np.array([1.0]), np.array([10.0]), 3), []
    for _ in range(9):
        lamp.advance(np.random.default_rng(0))
        levels.append(lamp.level[0])
    assert levels == [1, 1, 1, 11, 11, 11, 1, 1, 1]


# ---------------------------------------------------------------------- responses

HALVES = np.array([[0.5], [0.5]])
SLOPE = Plane(np.array([[2.0], [4.0]]))
PAIR = np.array([[[0.0], [4.0]], [[0.0], [0.0]]])
HILL = Emulated(np.array([[0.5, 0.5]]), np.array([0.1, 0.1]), np.array([[7.0]]), np.zeros(1))


@pytest.mark.parametrize(
    ("response", "middle"),
    [
        (SLOPE, 3.0),
        (Saturating(np.array([2.0]), 2 * HALVES), 2 * (1 - np.exp(-1))),
        (Products(SLOPE.slopes, PAIR), 4.0),
        (Threshold(np.array([2.0]), HALVES, np.array([0.5]), np.array([0.05])), 1.0),
        (Sum(SLOPE, HILL), 10.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_response_is_its_formula_and_nothing_with_every_knob_low(response, middle):
    low, half = response(np.array([[0.0, 0.0], [0.5, 0.5]]))
    assert low[0] == pytest.approx(0.0, abs=1e-9)
    assert half[0] == pytest.approx(middle, abs=1e-4)


def test_waves_have_the_standard_deviation_that_was_asked_for():
    rng = np.random.default_rng(5)
    values = [Waves.drawn(np.array([3.0]), 2, 0.5, rng)(np.array([[0.3, 0.6]]))[0, 0] for _ in range(2000)]
    assert np.std(values) == pytest.approx(3.0, rel=0.06)
