"""What every registered inverse model promises; a model gets these tests by being registered."""

import numpy as np
import pytest
from problems import CHANNELS, PAPER, linear, twin_answer, twin_rows
from sklearn.exceptions import NotFittedError

from sdl import plugins
from sdl.errors import InvalidInput, TooFewRows
from strategies.contract import InverseModel

NAMES = plugins.names("sdl.inverse_models")
FREE = np.nan


@pytest.fixture(scope="session")
def dark():
    return twin_rows(60)


@pytest.fixture(params=NAMES)
def model(request):
    return plugins.build("sdl.inverse_models", request.param)


@pytest.fixture
def fitted(model, dark):
    return model.fit(*dark)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_shapes(fitted):
    assert isinstance(fitted, InverseModel)
    assert fitted.sample(PAPER, 7, rng()).shape == (7, 3)
    assert fitted.predict(np.full((5, 3), 0.5)).shape == (5, 10)


def test_sample_depends_on_rng_alone(model, dark):
    first = model.fit(*dark).sample(PAPER, 20, rng(1))
    model.sample(PAPER, 20, rng(2))
    assert np.array_equal(first, model.sample(PAPER, 20, rng(1)))
    assert np.array_equal(first, model.fit(*dark).sample(PAPER, 20, rng(1)))
    assert not np.array_equal(first, model.sample(PAPER, 20, rng(2)))


def test_global_generator_is_left_alone(model, dark):
    before = np.random.get_state()  # noqa: NPY002
    model.fit(*dark).predict(model.sample(PAPER, 20, rng()))
    after = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_before_fit_says_so(model):
    for use in (lambda: model.sample(PAPER, 1, rng()), lambda: model.predict(np.zeros((1, 3)))):
        with pytest.raises(NotFittedError, match="call fit first"):
            use()


def test_too_few_rows_says_how_many(model, dark):
    readings, settings = dark
    needed = model.rows_needed(3, 10)
    with pytest.raises(TooFewRows, match=f"needs {needed} rows, got {needed - 1}"):
        model.fit(readings[: needed - 1], settings[: needed - 1])
    with pytest.raises(TooFewRows, match=f"needs {needed} rows"):
        model.fit(readings[:0], settings[:0])
    assert np.isfinite(model.fit(readings[:needed], settings[:needed]).sample(PAPER, 50, rng())).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("where", [0, 1], ids=["reading", "setting"])
def test_row_that_is_not_finite_is_refused(model, dark, wrong, where):
    rows = [array.copy() for array in dark]
    rows[where][4, 1] = wrong
    with pytest.raises(InvalidInput, match=r"rows \[4\]"):
        model.fit(*rows)


def test_rows_that_do_not_match_are_refused(model, dark):
    with pytest.raises(InvalidInput, match=r"\(60, 10\) and \(59, 3\)"):
        model.fit(dark[0], dark[1][:-1])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.full(10, FREE), "all channels free"),
        (PAPER[:-1], r"shape \(9,\)"),
        (np.append(PAPER[:-1], np.inf), "finite"),
    ],
    ids=["nothing fixed", "too short", "infinite"],
)
def test_target_that_says_nothing_is_refused(fitted, target, message):
    with pytest.raises(InvalidInput, match=message):
        fitted.sample(target, 1, rng())


def test_fitted_data_are_left_alone(model, dark):
    readings, settings = (array.copy() for array in dark)
    expected = model.fit(readings, settings).sample(PAPER, 10, rng())
    assert np.array_equal(readings, dark[0])
    assert np.array_equal(settings, dark[1])
    readings[:], settings[:] = 0, 0
    assert np.array_equal(expected, model.sample(PAPER, 10, rng()))


def spoiled(kind):
    settings = rng().random((12, 2))
    readings = linear(settings)
    if kind == "constant channel":
        readings[:, 1] = 7.0
    elif kind == "dead channel":
        readings[:, 1] = 0.0
    elif kind == "constant knob":
        settings[:, 1] = 0.5
        readings = linear(settings)
    elif kind == "duplicate rows":
        settings[6:], readings[6:] = settings[:6], readings[:6]
    elif kind == "one row again and again":
        settings[:], readings[:] = settings[0], readings[0]
    return readings, settings


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "kind",
    [
        "collinear",
        "constant channel",
        "dead channel",
        "constant knob",
        "duplicate rows",
        "one row again and again",
    ],
)
def test_poor_rows_are_no_exception(model, kind):
    readings, settings = spoiled(kind)
    model.fit(readings, settings)
    assert np.isfinite(model.sample(readings[0], 200, rng())).all()
    np.testing.assert_allclose(model.predict(settings), readings, atol=8)


@pytest.mark.parametrize("fixed", [[1], [5], [0, 9], [1, 3], [1, 3, 6], [0, 1, 2, 3, 4, 5, 6, 7, 9]])
def test_any_subset_of_channels(fitted, dark, fixed):
    settings = np.array([0.4, 0.3, 0.6])
    target = np.full(10, FREE)
    target[fixed] = fitted.predict(settings[None])[0, fixed]
    draws = fitted.sample(target, 400, rng())
    missed = fitted.predict(draws)[:, fixed] - target[fixed]
    assert (np.median(np.abs(missed), axis=0) < 0.02 * np.ptp(dark[0], axis=0)[fixed]).all()


def test_freedom_of_the_target_is_spread(fitted):
    target = np.where(np.array(CHANNELS) == "630nm", 16384.0, FREE)
    spread = fitted.sample(target, 400, rng()).std(axis=0)
    assert spread[0] < 0.03
    assert (spread[1:] > 0.2).all()


def test_forward_and_back_on_the_twin(fitted):
    answer = twin_answer(PAPER)
    fixed = ~np.isnan(PAPER)
    np.testing.assert_allclose(np.median(fitted.sample(PAPER, 1000, rng()), axis=0), answer, atol=0.01)
    np.testing.assert_allclose(fitted.predict(answer[None])[0, fixed], PAPER[fixed], rtol=0.01)


def test_spread_is_what_the_noise_leaves(fitted):
    assert (fitted.sample(PAPER, 1000, rng()).std(axis=0) < 0.006).all()
    assert (fitted.sample(PAPER, 1000, rng()).std(axis=0) > 0.001).all()


def test_few_rows_are_less_certain(model, dark):
    def spread(rows):
        model.fit(dark[0][rows], dark[1][rows])
        return model.sample(PAPER, 500, rng()).std(axis=0)

    few = [spread(slice(start, start + 6)) for start in range(0, 60, 6)]
    assert (np.median(few, axis=0) > 1.2 * spread(slice(None))).all()


def test_linear_solves_within_the_bounds(dark):
    readings, settings = dark
    model = plugins.build("sdl.inverse_models", "linear").fit(readings, settings)
    beyond = np.where(np.isnan(PAPER), FREE, 60000.0)
    draws = model.sample(beyond, 200, rng())
    assert ((draws >= 0) & (draws <= 1)).all()
    assert (draws == 1).any(axis=1).all()


def test_linear_with_intercept_needs_no_background(dark):
    readings, settings = dark
    model = plugins.build("sdl.inverse_models", "linear", {"intercept": True}).fit(readings + 5000, settings)
    assert model.rows_needed(3, 10) == 4
    np.testing.assert_allclose(np.median(model.sample(PAPER + 5000, 500, rng()), axis=0), twin_answer(PAPER), atol=0.01)


def test_pls_makes_one_regression_for_each_set_of_channels(dark):
    model = plugins.build("sdl.inverse_models", "pls").fit(*dark)
    for target in (PAPER, 1.1 * PAPER, np.ones(10)):
        model.sample(target, 1, rng())
    assert len(model.backward_) == 2
