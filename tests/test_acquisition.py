import numpy as np
import pytest
from problems import PAPER, Line, twin_rows
from scipy.spatial.distance import cdist, pdist

from sdl import plugins
from sdl.errors import InvalidInput, TooFewRows
from strategies.acquisition import SpaceFilling, Uncertainty
from strategies.contract import Acquisition
from strategies.ensemble import refitted
from strategies.models.linear import LinearProgram
from strategies.models.mixture import Mixture

NOISE = np.array([30.0, 74, 60, 132, 50, 50, 73, 40, 522, 100])
NAMES = plugins.names("sdl.acquisitions")


def rng(seed=0):
    return np.random.default_rng(seed)


def ensemble(n, model=LinearProgram, members=8):
    readings, settings = twin_rows(n)
    return refitted(model, readings, settings, members, rng()), settings


def propose(acquisition, n=6, rows=5, seed=0, targets=(PAPER,)):
    models, settings = ensemble(rows)
    return acquisition.propose(models, targets, settings, NOISE, n, rng(seed)), settings


@pytest.fixture(params=NAMES)
def acquisition(request):
    return plugins.build("sdl.acquisitions", request.param)


@pytest.mark.fault("M-11")
def test_batch_is_in_the_box_and_apart(acquisition):
    batch, measured = propose(acquisition)
    assert isinstance(acquisition, Acquisition)
    assert batch.shape == (6, 3)
    assert ((batch >= 0) & (batch <= 1)).all()
    assert pdist(batch).min() > 0.025
    assert cdist(batch, measured).min() > 0.025


def test_rng_alone_decides(acquisition):
    assert np.array_equal(propose(acquisition, seed=3)[0], propose(acquisition, seed=3)[0])
    assert not np.array_equal(propose(acquisition, seed=3)[0], propose(acquisition, seed=4)[0])


def test_global_generator_is_left_alone(acquisition):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    propose(acquisition)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_first_points_of_a_larger_batch_are_the_smaller_batch(acquisition):
    assert np.array_equal(propose(acquisition, n=2)[0], propose(acquisition, n=5)[0][:2])


@pytest.mark.parametrize("model", [LinearProgram, Mixture])
def test_nothing_left_to_learn_below_the_noise(model):
    models, settings = ensemble(60, model)
    loud, quiet = 10 * NOISE, NOISE / 100
    assert Uncertainty().propose(models, [PAPER], settings, loud, 4, rng()).shape == (0, 3)
    assert len(Uncertainty().propose(models, [PAPER], settings, quiet, 4, rng())) == 4


@pytest.mark.parametrize("model", [LinearProgram, Mixture])
def test_rows_as_few_as_the_model_needs_leave_much_to_learn(model):
    models, settings = ensemble(model().rows_needed(3, 10), model)
    assert len(Uncertainty().propose(models, [PAPER], settings, NOISE, 3, rng())) == 3


def test_disagreement_in_free_channels_does_not_count():
    models = [Line([1.0, slope], [[0.5, 0.5]]) for slope in (0.0, 1.0, 2.0)]
    target, measured, noise = np.array([0.5, np.nan]), np.zeros((0, 2)), np.full(2, 0.01)
    assert not len(Uncertainty().propose(models, [target], measured, noise, 3, rng()))
    assert len(Uncertainty().propose(models, [target[::-1]], measured, noise, 3, rng())) == 3


def test_uncertain_region_is_preferred():
    class Half(Line):
        """Members agree below 0.5 and part above it."""

        def predict(self, settings):
            return settings[:, :1] + self.slope * np.maximum(settings[:, :1] - 0.5, 0)

    models = [Half([slope], [[0.1, 0.5], [0.8, 0.5]]) for slope in (-0.5, 0.0, 0.5)]
    batch = Uncertainty().propose(models, [np.array([0.3])], np.zeros((0, 2)), np.array([0.01]), 8, rng())
    assert (batch[:, 0] > 0.5).all()


def test_target_that_is_uncertain_comes_first():
    """The offers for one target are scattered and those for the other are not; the members disagree all the same."""

    class TwoTargets(Line):
        def sample(self, target, n, rng):
            low, high = ([0.2, 0.5], [0.21, 0.51]) if target[0] < 0 else ([0.6, 0.3], [1.0, 0.7])
            return rng.uniform(low, high, (n, 2))

        def predict(self, settings):
            left = settings[:, 0] < 0.5
            return self.slope * np.column_stack((left, ~left))

    models = [TwoTargets(slope, [[0.0]]) for slope in (-0.1, 0.0, 0.1)]
    targets = [np.array([-1.0, -1.0]), np.array([1.0, 1.0])]
    batch = Uncertainty().propose(models, targets, np.zeros((0, 2)), np.full(2, 0.01), 2, rng())
    assert (batch[:, 0] > 0.5).all()


def test_box_without_an_offer_is_explored():
    models = [Line([slope], [[3.0]]) for slope in (0.5, 1.0)]
    assert len(Uncertainty().propose(models, [np.array([9.0])], np.zeros((0, 1)), np.array([0.01]), 2, rng())) == 2


@pytest.mark.fault("M-11")
def test_crowded_box_gives_fewer():
    models = [Line([slope], [[0.5]]) for slope in (0.5, 1.0)]
    batch = Uncertainty(repulsion=1.0).propose(models, [np.array([0.5])], np.zeros((0, 1)), np.array([0.01]), 50, rng())
    assert 2 <= len(batch) <= 5


def test_disagreement_needs_two():
    with pytest.raises(InvalidInput, match="two models"):
        Uncertainty().propose([Line([1.0], [[0.5]])], [np.ones(1)], np.zeros((0, 1)), np.ones(1), 1, rng())


def test_space_filling_starts_from_nothing_and_fills():
    batch = SpaceFilling().propose([], [], np.zeros((0, 2)), np.ones(1), 16, rng())
    assert pdist(batch).min() > 0.15


def test_ensemble_starts_with_the_fit_on_all_rows():
    readings, settings = twin_rows(10)
    models = refitted(LinearProgram, readings, settings, 4, rng())
    whole = LinearProgram().fit(readings, settings)
    assert np.array_equal(models[0].predict(settings), whole.predict(settings))
    assert len({model.predict(settings).tobytes() for model in models}) == 4


def test_ensemble_depends_on_rng_alone():
    readings, settings = twin_rows(10)
    twice = [refitted(LinearProgram, readings, settings, 3, rng(5))[2].predict(settings) for _ in range(2)]
    assert np.array_equal(*twice)


@pytest.mark.parametrize("n", [4, 5, 12])
def test_resamples_keep_enough_distinct_rows(n):
    seen = []

    class Counting(LinearProgram):
        def fit(self, readings, settings):
            seen.append(len(np.unique(settings, axis=0)))
            return super().fit(readings, settings)

    refitted(Counting, *twin_rows(n), 30, rng())
    assert seen[0] == n
    assert min(seen) >= 3
    assert min(seen) < n


def test_ensemble_of_too_few_rows_says_how_many():
    with pytest.raises(TooFewRows, match="needs 5 rows"):
        refitted(Mixture, *twin_rows(4), 3, rng())
